//! The stored form of the ring: the JSON of the secret. Changes keep unknown members.

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{
    Jwk, KeyError, KeyRing, KeyRingError, TagKey,
    entry::{Entry, KeySummary, KeyUse},
    plan,
    policy::RotationPolicy,
    sealing_key,
    seed::first_keys,
};
use crate::{jws::SignatureAlgorithm, time::UnixSeconds};

/// The longest string that a secret may hold, in bytes (Secrets Manager).
pub const MAX_RING_LEN: usize = 65_536;

/// A ring that can be changed and written back. Only programs that may write the secret need one.
///
/// # Security
/// JSON with private members: not wiped when dropped. Prints as a placeholder.
#[derive(Clone)]
pub struct RingDocument {
    pub(super) keys: Vec<Entry>,
    /// The sealing keys. None is ever removed.
    pub(super) sealing: Vec<Entry>,
    rest: Map<String, Value>,
}

impl std::fmt::Debug for RingDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RingDocument").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl RingDocument {
    /// Reads the secret's string, also of a ring without a key that signs. A `seed` becomes the keys
    /// that are derived from it, of which that of `algorithm` signs. Sealing keys that are derived from tag
    /// keys are written out too, before any tag key can be removed.
    ///
    /// # Errors
    /// [`KeyRingError`], if any key in it cannot be used.
    pub fn parse(secret: &str, algorithm: SignatureAlgorithm) -> Result<Self, KeyRingError> {
        KeyRing::read(secret, algorithm)?;
        let mut rest: Map<String, Value> =
            serde_json::from_str(secret).map_err(|_| KeyRingError::Malformed)?;
        let Some(Value::Array(listed)) = rest.remove("keys") else {
            return Err(KeyRingError::Malformed);
        };
        let mut keys = Vec::new();
        if let Some(Value::String(seed)) = rest.remove("seed") {
            let first = first_keys(&seed, algorithm).ok_or(KeyRingError::ShortSeed)?;
            keys.extend(first.into_iter().map(Entry::from));
        }
        for key in listed {
            let Value::Object(key) = key else { return Err(KeyRingError::Malformed) };
            keys.push(Entry::from(key));
        }
        let mut sealing = Vec::new();
        if let Some(Value::Array(listed)) = rest.remove("sealing") {
            for key in listed {
                let Value::Object(key) = key else { return Err(KeyRingError::Malformed) };
                sealing.push(Entry::from(key));
            }
        }
        if sealing.is_empty() {
            let tags = keys.iter().filter(|key| key.is_for(KeyUse::Tag));
            sealing = tags
                .map(sealing_key_of)
                .collect::<Result<_, _>>()
                .map_err(|reason| KeyRingError::SealingKey { position: 0, reason })?;
        }
        Ok(Self { keys, sealing, rest })
    }

    /// The string for the secret.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let keys = self.keys.iter().map(Entry::to_json).collect();
        let mut whole = self.rest.clone();
        whole.insert("keys".to_owned(), Value::Array(keys));
        let sealing = self.sealing.iter().map(Entry::to_json).collect();
        whole.insert("sealing".to_owned(), Value::Array(sealing));
        Zeroizing::new(Value::Object(whole).to_string())
    }

    /// Which version of the secret this one was made from, if it says.
    #[must_use]
    pub fn based_on(&self) -> Option<&str> {
        self.rest.get("based_on").and_then(Value::as_str)
    }

    /// Records which version of the secret this one was made from. It must not replace any other.
    pub fn set_based_on(&mut self, version: &str) {
        self.rest.insert("based_on".to_owned(), json!(version));
    }

    /// The policy of the rotation function, as of its last rotation.
    #[must_use]
    pub fn policy(&self) -> Option<RotationPolicy> {
        self.rest.get("policy").and_then(RotationPolicy::from_json)
    }

    /// Records the configured policy and returns the one to rotate by: no time in it is shorter
    /// than in the policy that was recorded before, because tokens and copies from then are about.
    pub fn adopt_policy(&mut self, configured: &RotationPolicy) -> RotationPolicy {
        let before = self.policy();
        self.rest.insert("policy".to_owned(), configured.to_json());
        before.map_or(*configured, |before| configured.covering(&before))
    }

    /// The policy for a change by hand: the recorded one, or else the longest times that a
    /// configuration can have, with the algorithm of the newest key.
    #[must_use]
    pub fn policy_by_hand(&self) -> RotationPolicy {
        self.policy().unwrap_or_else(|| {
            let newest = self.summaries().filter(|key| key.use_ == KeyUse::Signing).last();
            let algorithm = newest.and_then(|key| {
                SignatureAlgorithm::ALL.into_iter().find(|known| known.name() == key.algorithm)
            });
            RotationPolicy::longest(algorithm.unwrap_or_default())
        })
    }

    /// The public facts about its keys, those for access tokens first, by the time they begin.
    pub fn summaries(&self) -> impl Iterator<Item = KeySummary> {
        let entries = self.keys.iter().chain(&self.sealing);
        let mut summaries: Vec<_> = entries.filter_map(Entry::summary).collect();
        summaries.sort_by_key(|key| (key.use_, key.life.not_before));
        summaries.into_iter()
    }

    /// The first moment from `now` on at which no key of this use signs or tags, if there is one.
    #[must_use]
    pub fn gap_from(&self, use_: KeyUse, now: UnixSeconds) -> Option<UnixSeconds> {
        let lives = self.lives(use_).map(|mut life| {
            if life.not_before <= now {
                life.not_before = UnixSeconds::new(0);
            }
            life
        });
        plan::first_gap(lives.filter(|life| !life.expired(now))).map(|gap| gap.max(now))
    }

    pub(super) fn lives(&self, use_: KeyUse) -> impl Iterator<Item = super::KeyLife> {
        self.keys.iter().filter(move |key| key.is_for(use_)).map(Entry::life)
    }
}

/// The sealing key that follows from a tag key, with its life but for the end.
fn sealing_key_of(tag: &Entry) -> Result<Entry, KeyError> {
    let jwk: Jwk = serde_json::from_value(tag.to_json()).map_err(|_| KeyError::Malformed)?;
    let mut key = Entry::from(sealing_key::derived(&TagKey::from_jwk(&jwk)?)?);
    key.set_life(super::KeyLife { expires_at: None, ..tag.life() });
    Ok(key)
}
