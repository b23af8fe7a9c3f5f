//! The times that a rotation keeps to. They travel with the ring, so that the rotation function and
//! the command line keep to the same ones.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::plan::{LONGEST_LEAD, Times};
use crate::{
    access_token::LONGEST_LIFE, challenge::Purpose, config::Config, device_token,
    jws::SignatureAlgorithm,
};

/// How many ended signing keys are kept at most. They verify nothing, but tell a client that comes back
/// late that its access token has expired.
pub(super) const MAX_ENDED_SIGNING_KEYS: usize = 12;

/// How many tag keys a ring has at most before emergency rotations stop adding to them.
pub(super) const MAX_TAG_KEYS: usize = 32;

/// How many sealing keys a ring has at most. None is ever removed, so they are seldom added.
pub(super) const MAX_SEALING_KEYS: usize = 24;

/// The least time between two sealing keys that the schedule adds.
pub(super) const BETWEEN_SEALING_KEYS: Duration = Duration::from_hours(365 * 24);

/// The times that a rotation keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationPolicy {
    /// The algorithm of the next key for access tokens.
    pub algorithm: SignatureAlgorithm,
    /// How long after a key was published everybody has it.
    pub lead: Duration,
    /// How long an access token is accepted after it was signed.
    pub access_tokens: Duration,
    /// How long a refresh token is accepted after it was tagged: the longest life of a session.
    pub sessions: Duration,
}

/// The policy as a member of the ring; times in seconds.
#[derive(Serialize, Deserialize)]
struct Recorded {
    algorithm: SignatureAlgorithm,
    lead: u64,
    access_tokens: u64,
    sessions: u64,
}

impl RotationPolicy {
    /// The policy of a configuration. Others keep the public keys for `jwks_max_age`, and functions
    /// the ring for `reload`; a tenth is added for failed attempts and for the rotation's own steps.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let seen = config.keys.jwks_max_age.saturating_add(config.keys.reload);
        let seconds = seen.as_secs().saturating_mul(11).div_ceil(10);
        Self {
            algorithm: config.keys.algorithm,
            lead: Duration::from_secs(seconds),
            access_tokens: config.access_token.life.saturating_add(config.access_token.clock_skew),
            sessions: config.session.absolute,
        }
    }

    /// The longest times that any configuration allows, for a ring that does not record its policy.
    #[must_use]
    pub const fn longest(algorithm: SignatureAlgorithm) -> Self {
        Self {
            algorithm,
            lead: LONGEST_LEAD,
            access_tokens: Duration::from_secs(LONGEST_LIFE.as_secs() + 300),
            sessions: Duration::from_secs(157_680_000),
        }
    }

    /// This policy, with every time at least as long as in `other`.
    #[must_use]
    pub fn covering(self, other: &Self) -> Self {
        Self {
            algorithm: self.algorithm,
            lead: self.lead.max(other.lead),
            access_tokens: self.access_tokens.max(other.access_tokens),
            sessions: self.sessions.max(other.sessions),
        }
    }

    /// How long a key must have been published when it begins: the lead without its tenth.
    pub(super) fn least_lead(&self) -> Duration {
        Duration::from_secs(self.lead.as_secs() * 10 / 11)
    }

    pub(super) const fn signing_keys(&self) -> Times {
        Times {
            lead: self.lead,
            life: self.access_tokens,
            kept: self.sessions,
            max_ended: MAX_ENDED_SIGNING_KEYS,
        }
    }

    pub(super) fn tag_keys(&self) -> Times {
        // Mailed tokens and codes are tagged too.
        let mailed = Purpose::ALL.map(Purpose::life).into_iter().max().unwrap_or_default();
        Times {
            lead: self.lead,
            life: self.sessions.max(mailed),
            kept: device_token::LIFE,
            max_ended: MAX_TAG_KEYS,
        }
    }

    /// The least time between two tag keys. It bounds how many there are, however often the ring is
    /// rotated: each lives for `sessions`, and is kept for as long as a device token lives.
    pub(super) fn between_tag_keys(&self) -> Duration {
        (self.sessions / 8).max(device_token::LIFE / 16)
    }

    pub(super) fn to_json(self) -> Value {
        let recorded = Recorded {
            algorithm: self.algorithm,
            lead: self.lead.as_secs(),
            access_tokens: self.access_tokens.as_secs(),
            sessions: self.sessions.as_secs(),
        };
        serde_json::to_value(recorded).unwrap_or_default()
    }

    /// `None` for what this version did not write and cannot read.
    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let recorded = Recorded::deserialize(value).ok()?;
        Some(Self {
            algorithm: recorded.algorithm,
            lead: Duration::from_secs(recorded.lead),
            access_tokens: Duration::from_secs(recorded.access_tokens),
            sessions: Duration::from_secs(recorded.sessions),
        })
    }
}
