//! One JWK of the stored ring, including members that this version does not know.

use serde_json::{Map, Value, json};

use super::{Jwk, KeyError, KeyLife, NewKey, SEALING_USE, TAG_USE};
use crate::time::UnixSeconds;

/// One JWK of the ring.
#[derive(Clone)]
pub(super) struct Entry(Map<String, Value>);

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyUse {
    /// Signs access tokens.
    Signing,
    /// Tags refresh tokens.
    Tag,
    /// Seals secrets.
    Sealing,
}

/// The public facts about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// Its id: `kid`, or else the thumbprint.
    pub kid: String,
    /// What it is for.
    pub use_: KeyUse,
    /// The algorithm of its signatures, tags or seals.
    pub algorithm: &'static str,
    /// When it signs and verifies.
    pub life: KeyLife,
}

impl KeyUse {
    /// What a key of this use does, in words.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Signing => "sign access tokens",
            Self::Tag => "tag refresh tokens",
            Self::Sealing => "seal secrets",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Signing => "sig",
            Self::Tag => TAG_USE,
            Self::Sealing => SEALING_USE,
        }
    }
}

impl From<Map<String, Value>> for Entry {
    fn from(members: Map<String, Value>) -> Self {
        Self(members)
    }
}

impl From<NewKey> for Entry {
    /// A key that states its id, and has no life yet.
    fn from(key: NewKey) -> Self {
        let mut entry = Self(key.0);
        if let Ok(kid) = entry.kid() {
            entry.0.insert("kid".to_owned(), Value::String(kid));
        }
        entry
    }
}

impl Entry {
    pub(super) fn kid(&self) -> Result<String, KeyError> {
        self.jwk()?.id()
    }

    pub(super) fn is_for(&self, use_: KeyUse) -> bool {
        self.0.get("use").and_then(Value::as_str) == Some(use_.name())
    }

    pub(super) fn life(&self) -> KeyLife {
        let time = |name| self.0.get(name).and_then(Value::as_u64).map(UnixSeconds::new);
        KeyLife {
            issued_at: time("iat"),
            not_before: time("nbf").unwrap_or_default(),
            expires_at: time("exp"),
        }
    }

    pub(super) fn set_life(&mut self, life: KeyLife) {
        let beginning = Some(life.not_before).filter(|at| at.get() > 0);
        let times = [("iat", life.issued_at), ("nbf", beginning), ("exp", life.expires_at)];
        for (name, time) in times {
            match time {
                Some(time) => self.0.insert(name.to_owned(), json!(time.get())),
                None => self.0.remove(name),
            };
        }
    }

    pub(super) fn algorithm(&self) -> Option<&'static str> {
        Some(self.jwk().ok()?.algorithm().ok()?.name())
    }

    pub(super) fn summary(&self) -> Option<KeySummary> {
        let other = [KeyUse::Tag, KeyUse::Sealing].into_iter().find(|use_| self.is_for(*use_));
        let use_ = other.unwrap_or(KeyUse::Signing);
        let algorithm = self.algorithm()?;
        Some(KeySummary {
            kid: self.kid().ok()?,
            use_,
            algorithm: if use_ == KeyUse::Sealing { "A256GCM" } else { algorithm },
            life: self.life(),
        })
    }

    pub(super) fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }

    fn jwk(&self) -> Result<Jwk, KeyError> {
        serde_json::from_value(self.to_json()).map_err(|_| KeyError::Malformed)
    }
}
