//! The ring as it is written: the JSON of the secret, of which a rotation changes what it knows and
//! keeps what it does not.

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{Jwk, KeyError, KeyLife, KeyRing, KeyRingError, NewKey, TAG_USE, seed::FirstKeys};
use crate::{encoding::to_base64url, time::UnixSeconds};

/// The longest string that a secret may hold, in bytes (Secrets Manager).
pub const MAX_RING_LEN: usize = 65_536;

/// A ring that can be changed and written back. Only whoever may write the secret needs one.
///
/// # Security
/// JSON with private members: not wiped when dropped. Prints as a placeholder.
#[derive(Clone)]
pub struct RingDocument {
    pub(super) keys: Vec<Entry>,
    rest: Map<String, Value>,
}

/// One JWK of the ring.
#[derive(Clone)]
pub(super) struct Entry(Map<String, Value>);

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Signs access tokens.
    Signing,
    /// Tags refresh tokens.
    Tag,
}

impl std::fmt::Debug for RingDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RingDocument").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl RingDocument {
    /// Reads the secret's string. A `seed` becomes the keys that are derived from it, so that they
    /// can be retired one by one.
    ///
    /// # Errors
    /// [`KeyRingError`], as [`KeyRing::parse`].
    pub fn parse(secret: &str, now: UnixSeconds) -> Result<Self, KeyRingError> {
        KeyRing::parse(secret, now)?;
        let mut rest: Map<String, Value> =
            serde_json::from_str(secret).map_err(|_| KeyRingError::Malformed)?;
        let Some(Value::Array(listed)) = rest.remove("keys") else {
            return Err(KeyRingError::Malformed);
        };
        let mut keys = Vec::new();
        if let Some(Value::String(seed)) = rest.remove("seed") {
            let first = FirstKeys::derive(&seed).ok_or(KeyRingError::ShortSeed)?;
            keys.push(Entry::first("sig", first.signing.as_slice()));
            keys.push(Entry::first(TAG_USE, first.tag.as_slice()));
        }
        for key in listed {
            let Value::Object(key) = key else { return Err(KeyRingError::Malformed) };
            keys.push(Entry(key));
        }
        Ok(Self { keys, rest })
    }

    /// The string for the secret.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let keys: Vec<_> = self.keys.iter().map(|entry| Value::Object(entry.0.clone())).collect();
        let mut whole = self.rest.clone();
        whole.insert("keys".to_owned(), Value::Array(keys));
        Zeroizing::new(Value::Object(whole).to_string())
    }

    /// Which version of the secret this one was made from, if it says.
    #[must_use]
    pub fn based_on(&self) -> Option<&str> {
        self.rest.get("based_on").and_then(Value::as_str)
    }

    /// Notes which version of the secret this one was made from: one that was made from another
    /// version than the current one must not replace it.
    pub fn set_based_on(&mut self, version: &str) {
        self.rest.insert("based_on".to_owned(), json!(version));
    }

    /// What can be shown of its keys, in the order in which they began to count.
    pub fn summaries(&self) -> impl Iterator<Item = KeySummary> {
        let mut summaries: Vec<_> = self.keys.iter().filter_map(Entry::summary).collect();
        summaries.sort_by_key(|key| (key.use_ == KeyUse::Tag, key.life.not_before));
        summaries.into_iter()
    }
}

/// What can be shown of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// Its id: `kid`, or else the thumbprint.
    pub kid: String,
    /// What it is for.
    pub use_: KeyUse,
    /// The algorithm of its signatures or tags.
    pub algorithm: &'static str,
    /// From when to when it counts.
    pub life: KeyLife,
}

impl Entry {
    fn first(use_: &str, secret: &[u8]) -> Self {
        let members = json!({"kty": "oct", "use": use_, "alg": "HS256", "k": to_base64url(secret)});
        let Value::Object(members) = members else { return Self(Map::new()) };
        Self(members).with_kid()
    }

    pub(super) fn new(key: NewKey, issued_at: UnixSeconds, not_before: UnixSeconds) -> Self {
        let mut entry = Self(key.0).with_kid();
        entry.set("iat", issued_at);
        entry.set("nbf", not_before);
        entry
    }

    fn with_kid(mut self) -> Self {
        if let Ok(kid) = self.kid() {
            self.0.insert("kid".to_owned(), Value::String(kid));
        }
        self
    }

    pub(super) fn kid(&self) -> Result<String, KeyError> {
        self.jwk()?.id()
    }

    pub(super) fn is_for(&self, use_: KeyUse) -> bool {
        let name = match use_ {
            KeyUse::Signing => "sig",
            KeyUse::Tag => TAG_USE,
        };
        self.0.get("use").and_then(Value::as_str) == Some(name)
    }

    pub(super) fn life(&self) -> KeyLife {
        let time = |name| self.0.get(name).and_then(Value::as_u64).map(UnixSeconds::new);
        KeyLife {
            issued_at: time("iat"),
            not_before: time("nbf").unwrap_or(UnixSeconds::new(0)),
            expires_at: time("exp"),
        }
    }

    pub(super) fn set(&mut self, name: &str, time: UnixSeconds) {
        self.0.insert(name.to_owned(), json!(time.get()));
    }

    pub(super) fn algorithm(&self) -> Option<&'static str> {
        Some(self.jwk().ok()?.algorithm().ok()?.name())
    }

    fn summary(&self) -> Option<KeySummary> {
        let use_ = if self.is_for(KeyUse::Tag) { KeyUse::Tag } else { KeyUse::Signing };
        Some(KeySummary {
            kid: self.kid().ok()?,
            use_,
            algorithm: self.algorithm()?,
            life: self.life(),
        })
    }

    fn jwk(&self) -> Result<Jwk, KeyError> {
        serde_json::from_value(Value::Object(self.0.clone())).map_err(|_| KeyError::Malformed)
    }
}
