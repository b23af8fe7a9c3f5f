//! `ratchet users export`: everything that another system needs, including password hashes.

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    path::Path,
};

use indicatif::ProgressBar;
use ratchet_core::{
    encoding::{from_base64url, to_base64url},
    second_factor::{Enabled, RecoveryHash, SealedTotpSecret},
    time::UnixMillis,
};
use ratchet_store::{StoreError, users::Profile};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Damaged, PAGE};
use crate::{connection::Connection, failure::Failure, output};

/// A line of an export or an import.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) email: String,
    #[serde(default)]
    pub(super) email_confirmed: bool,
    #[serde(default)]
    pub(super) disabled: bool,
    #[serde(default)]
    pub(super) roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) claims: Map<String, Value>,
    pub(super) password_hash: String,
    /// The second factor, if one is on. Its secret is sealed under a key of the key ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) second_factor: Option<FactorLine>,
}

/// A second factor, in a line. Bytes are in base64url.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FactorLine {
    kid: String,
    sealed: String,
    last_step: u64,
    recovery: Vec<String>,
    enabled_at: u64,
}

impl FactorLine {
    fn new(enabled: &Enabled) -> Self {
        Self {
            kid: enabled.secret.kid.clone(),
            sealed: to_base64url(&enabled.secret.sealed),
            last_step: enabled.last_step,
            recovery: enabled.recovery.iter().map(|it| to_base64url(it.as_bytes())).collect(),
            enabled_at: enabled.since.get(),
        }
    }

    /// The second factor; `None` if a member is not base64url or has another length.
    pub(super) fn parse(&self) -> Option<Enabled> {
        let hash =
            |text: &String| from_base64url(text)?.try_into().ok().map(RecoveryHash::from_bytes);
        let (kid, sealed) = (self.kid.clone(), from_base64url(&self.sealed)?);
        Some(Enabled {
            secret: SealedTotpSecret { kid, sealed },
            last_step: self.last_step,
            recovery: self.recovery.iter().map(hash).collect::<Option<_>>()?,
            since: UnixMillis::new(self.enabled_at),
        })
    }
}

impl Line {
    fn new(profile: Profile, factor: Option<&Enabled>) -> Self {
        Self {
            second_factor: factor.map(FactorLine::new),
            id: Some(profile.user.id.to_string()),
            name: profile.user.name,
            email: profile.email,
            email_confirmed: profile.user.email_confirmed,
            disabled: output::status(profile.user.status) == "disabled",
            roles: profile.user.roles,
            claims: profile.user.claims.as_map().clone(),
            password_hash: profile.password_hash.expose().to_owned(),
        }
    }
}

pub(super) async fn run(connection: &Connection, file: &Path) -> Result<(), Failure> {
    let cannot = || Failure::io(format!("{} cannot be written", file.display()));
    let mut writer: Box<dyn Write> = if file == Path::new("-") {
        Box::new(io::stdout().lock())
    } else {
        let mut options = OpenOptions::new();
        // Only the operator may read it: password hashes can be attacked offline.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.write(true).create_new(true).open(file).map_err(cannot())?;
        Box::new(BufWriter::new(file))
    };
    let bar = ProgressBar::new_spinner();
    let mut after = None;
    let mut damaged = Damaged::default();
    loop {
        let page = connection.users.profiles(after.as_deref(), PAGE).await?;
        for listed in page.users {
            let profile = match listed.profile {
                Ok(profile) => profile,
                Err(error) => {
                    damaged.add(&listed.name_key, &error);
                    continue;
                }
            };
            let factor = if profile.user.second_factor {
                let found = connection.users.find_factor(profile.user.id).await;
                match found.map(|factor| factor.and_then(|factor| factor.enabled)) {
                    Ok(Some(enabled)) => Some(enabled),
                    Ok(None) => {
                        damaged.add(&listed.name_key, &StoreError::MalformedItem("second_factor"));
                        continue;
                    }
                    Err(error @ StoreError::MalformedItem(_)) => {
                        damaged.add(&listed.name_key, &error);
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            } else {
                None
            };
            let line = serde_json::to_string(&Line::new(profile, factor.as_ref()));
            let line = line.map_err(|error| Failure::machine(&error))?;
            writeln!(writer, "{line}").map_err(cannot())?;
            bar.inc(1);
        }
        bar.set_message(format!("{} users", bar.position()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    writer.flush().map_err(cannot())?;
    bar.finish_and_clear();
    eprintln!("{} users written", bar.position());
    damaged.result()
}
