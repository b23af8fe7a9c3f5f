//! `ratchet keys …`.

use ratchet_core::{
    entropy::random,
    jws::SignatureAlgorithm,
    key_ring::{
        KeySummary, KeyUse, RingDocument,
        rotation::{RotationError, Start},
    },
    time::UnixSeconds,
};
use ratchet_store::{
    LoadError,
    key_ring::versions::{KeyRingVersions, Promotion, Version},
};
use serde::Serialize;

use crate::{arguments::KeysCommand, failure::Failure, output, time::now};

/// A key as printed, without anything private. Times are Unix seconds; a key that `begins_at` 0
/// is the oldest one.
#[derive(Serialize)]
struct Printed {
    kid: String,
    r#use: &'static str,
    alg: &'static str,
    state: &'static str,
    begins_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

pub(crate) async fn run(
    versions: &KeyRingVersions,
    command: KeysCommand,
    json: bool,
) -> Result<(), Failure> {
    match command {
        KeysCommand::List => {
            let (_, ring) = load(versions).await?;
            list(&ring, json)
        }
        KeysCommand::Rotate { now: false } => {
            versions.ask_for_rotation().await?;
            output::done("Secrets Manager is rotating the key ring", json)
        }
        KeysCommand::Rotate { now: true } => {
            let (version, ring) = load(versions).await?;
            let policy = ring.policy_by_hand();
            let rotated = ring.rotated(&policy, Start::AtOnce, now().seconds())?;
            replace(versions, &version, rotated).await?;
            output::done("a new key signs from now on", json)
        }
        KeysCommand::Revoke { kid } => {
            let (version, ring) = load(versions).await?;
            let policy = ring.policy_by_hand();
            let without = ring.without(&kid, &policy, now().seconds())?;
            replace(versions, &version, without).await?;
            output::done(&format!("the key {kid} was revoked"), json)
        }
    }
}

/// The current version and its ring. Also reads a ring without a signing key, because these
/// commands repair it.
async fn load(versions: &KeyRingVersions) -> Result<(Version, RingDocument), Failure> {
    let version = versions.current().await?;
    // The configured algorithm is not known here. It matters only for a ring that was never
    // rotated, whose first keys are all valid.
    let ring = RingDocument::parse(&version.ring, SignatureAlgorithm::default())
        .map_err(|error| Failure::Refused(error.to_string()))?;
    Ok((version, ring))
}

async fn replace(
    versions: &KeyRingVersions,
    from: &Version,
    mut ring: RingDocument,
) -> Result<(), Failure> {
    ring.set_based_on(&from.id);
    let id = random::<16>().map_err(|error| Failure::machine(&error))?;
    let id = format!("{:032x}", u128::from_be_bytes(id));
    match versions.replace(&id, &ring.to_json(), &from.id).await? {
        Promotion::Done => Ok(()),
        Promotion::Superseded => Err(Failure::Refused(
            "the key ring was changed at the same time; nothing was done. Try again".to_owned(),
        )),
    }
}

fn list(ring: &RingDocument, json: bool) -> Result<(), Failure> {
    let now = now().seconds();
    let keys: Vec<_> = ring.summaries().collect();
    for use_ in [KeyUse::Signing, KeyUse::Tag, KeyUse::Sealing] {
        let of_use = || keys.iter().filter(move |key| key.use_ == use_);
        let active =
            of_use().filter(|key| key.life.may_sign(now)).max_by_key(|key| key.life.not_before);
        for key in of_use() {
            print(key, state(key, active, now), json)?;
        }
        // Sealing keys have no end, so there is no gap.
        let gap = if use_ == KeyUse::Sealing { None } else { ring.gap_from(use_, now) };
        if let Some(gap) = gap {
            let (purpose, from) = (use_.purpose(), gap.get());
            output::warning(&format!(
                "no key of the ring can {purpose} from {from} on; `keys rotate --now` mends it"
            ))?;
        }
    }
    Ok(())
}

fn state(key: &KeySummary, active: Option<&KeySummary>, now: UnixSeconds) -> &'static str {
    if key.life.expired(now) {
        "expired"
    } else if key.life.not_before > now {
        "published"
    } else if active == Some(key) {
        "active"
    } else if key.use_ == KeyUse::Sealing {
        "opens"
    } else {
        "verifies"
    }
}

const fn use_name(use_: KeyUse) -> &'static str {
    match use_ {
        KeyUse::Signing => "access tokens",
        KeyUse::Tag => "refresh tokens",
        KeyUse::Sealing => "second factors",
    }
}

fn print(key: &KeySummary, state: &'static str, json: bool) -> Result<(), Failure> {
    let printed = Printed {
        kid: key.kid.clone(),
        r#use: use_name(key.use_),
        alg: key.algorithm,
        state,
        begins_at: key.life.not_before.get(),
        expires_at: key.life.expires_at.map(UnixSeconds::get),
    };
    if json {
        return output::json(&printed);
    }
    let Printed { kid, r#use, alg, .. } = &printed;
    let end = printed.expires_at.map_or_else(|| "-".to_owned(), |end| end.to_string());
    output::line(&format!(
        "{kid:<43}  {use:<14}  {alg:<5}  {state:<9}  from {}  to {end}",
        printed.begins_at
    ))
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Unavailable(error) => Self::Store(error),
            LoadError::Missing(_) => Self::NotFound(error.to_string()),
            LoadError::TriedAMomentAgo | LoadError::Invalid(_) => Self::Refused(error.to_string()),
        }
    }
}

impl From<RotationError> for Failure {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::UnknownKey => Self::NotFound(error.to_string()),
            RotationError::Generate(_) => Self::machine(&error),
            RotationError::Ring(_)
            | RotationError::SealingKey
            | RotationError::Gap { .. }
            | RotationError::TooLong => Self::Refused(error.to_string()),
        }
    }
}
