//! The key ring: a JWK Set (RFC 7517 §5) with private members, kept as one secret.
//!
//! Keys with `"use": "sig"` sign access tokens, each with the one algorithm that its `kty` and `crv`
//! stand for; keys with [`TAG_USE`] tag refresh tokens. `nbf` and `exp` drive a key's
//! [life](KeyLife). The member `sealing`, beside `keys`, lists keys with [`SEALING_USE`], which seal
//! secrets that have to be read again.
//!
//! A new deployment needs no second step to generate keys: its ring has empty `keys` and a `seed`
//! of random characters, from which the first keys are derived. A ring without sealing keys has one
//! for each of its tag keys, derived from it. The next change of the ring writes those out, and
//! nothing removes them.

mod document;
mod entry;
mod generate;
mod jwk;
mod known_keys;
mod life;
pub mod plan;
mod policy;
mod public;
mod public_keys;
mod replacement;
pub mod rotation;
mod sealing_key;
mod seed;
mod signing_key;
mod tag_key;
mod thumbprint;

use serde::Deserialize;
use zeroize::Zeroizing;

pub use self::{
    document::{MAX_RING_LEN, RingDocument},
    entry::{KeySummary, KeyUse},
    generate::{GenerateError, NewKey},
    jwk::{Jwk, KeyError},
    life::KeyLife,
    policy::RotationPolicy,
    public::PublicJwk,
    public_keys::PublicKeys,
    replacement::Unfit,
    sealing_key::SealingKey,
    seed::MIN_SEED_CHARS,
    signing_key::SigningKey,
    tag_key::TagKey,
};
use crate::{
    jws::{SignatureAlgorithm, VerificationKey},
    time::UnixSeconds,
};

/// The private `use` (RFC 7517 §4.2) of keys that tag refresh tokens.
pub const TAG_USE: &str = "refresh-tag";

/// The private `use` of keys that seal secrets.
pub const SEALING_USE: &str = "sealing";

/// The shortest HMAC key, in bytes (RFC 7518 §3.2).
pub const MIN_HMAC_KEY: usize = 32;

/// Why a text is not a key ring that a function can start with.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyRingError {
    /// Not JSON, or not of the shape of a JWK Set.
    #[error(
        "the key ring is no JWK Set: expected {{\"keys\": […]}}, with a \"seed\" if it is empty"
    )]
    Malformed,
    /// A seed too short to derive keys from.
    #[error("the key ring's seed is shorter than {MIN_SEED_CHARS} characters")]
    ShortSeed,
    /// One key of the ring cannot be used.
    #[error("key {position} of the key ring cannot be used: {reason}")]
    Key {
        /// Its place in `keys`, from 0.
        position: usize,
        /// The reason.
        reason: KeyError,
    },
    /// One of its sealing keys cannot be used.
    #[error("sealing key {position} of the key ring cannot be used: {reason}")]
    SealingKey {
        /// Its place in `sealing`, from 0.
        position: usize,
        /// The reason.
        reason: KeyError,
    },
    /// No key for access tokens whose `nbf` has passed and whose `exp` has not.
    #[error("no key of the key ring may sign access tokens now")]
    NoSigner,
    /// No key for refresh tokens whose `nbf` has passed and whose `exp` has not.
    #[error("no key of the key ring may tag refresh tokens now")]
    NoTagKey,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
    #[serde(default)]
    sealing: Vec<Jwk>,
    seed: Option<Zeroizing<String>>,
}

/// The keys behind access and refresh tokens, and behind sealed secrets.
#[derive(Debug)]
pub struct KeyRing {
    signing: Vec<SigningKey>,
    tags: Vec<TagKey>,
    sealing: Vec<SealingKey>,
}

impl KeyRing {
    /// Reads the secret's string, for a function that only verifies or that signs with the default
    /// algorithm.
    ///
    /// # Errors
    /// As [`Self::parse_for`].
    pub fn parse(secret: &str, now: UnixSeconds) -> Result<Self, KeyRingError> {
        Self::parse_for(secret, SignatureAlgorithm::default(), now)
    }

    /// Reads the secret's string. `algorithm` decides which of the keys that are derived from a seed
    /// signs; a ring that was rotated decides that itself. Unknown members are ignored, unknown keys
    /// are not.
    ///
    /// # Errors
    /// [`KeyRingError`] if any key in it cannot be used, or if no key may sign or tag at `now`. A ring
    /// with a bad key is refused as a whole, so that an operator learns of it before the remaining
    /// keys sign tokens.
    pub fn parse_for(
        secret: &str,
        algorithm: SignatureAlgorithm,
        now: UnixSeconds,
    ) -> Result<Self, KeyRingError> {
        let ring = Self::read(secret, algorithm)?;
        ring.signer(now).ok_or(KeyRingError::NoSigner)?;
        ring.tagger(now).ok_or(KeyRingError::NoTagKey)?;
        Ok(ring)
    }

    /// Like [`Self::parse_for`], but also accepts a ring in which no key may sign or tag. It can
    /// still verify.
    ///
    /// # Errors
    /// [`KeyRingError`] if any key in it cannot be used.
    pub fn read(secret: &str, algorithm: SignatureAlgorithm) -> Result<Self, KeyRingError> {
        let set: JwkSet = serde_json::from_str(secret).map_err(|_| KeyRingError::Malformed)?;
        let mut ring = Self { signing: Vec::new(), tags: Vec::new(), sealing: Vec::new() };
        if let Some(seed) = &set.seed {
            let first = seed::first_keys(seed, algorithm).ok_or(KeyRingError::ShortSeed)?;
            for key in first {
                let added = key.into_jwk().and_then(|jwk| ring.add(&jwk));
                added.map_err(|_| KeyRingError::Malformed)?;
            }
        }
        for (position, jwk) in set.keys.iter().enumerate() {
            ring.add(jwk).map_err(|reason| KeyRingError::Key { position, reason })?;
        }
        for (position, jwk) in set.sealing.iter().enumerate() {
            let unusable = |reason| KeyRingError::SealingKey { position, reason };
            if !jwk.is_for(SEALING_USE) {
                return Err(unusable(KeyError::Unsupported));
            }
            ring.sealing.push(SealingKey::from_jwk(jwk).map_err(unusable)?);
        }
        if ring.sealing.is_empty() {
            let derived = ring.tags.iter().map(SealingKey::of_tag_key);
            ring.sealing = derived
                .collect::<Result<_, _>>()
                .map_err(|reason| KeyRingError::SealingKey { position: 0, reason })?;
        }
        Ok(ring)
    }

    /// The key that signs access tokens at `now`: the one that began to sign last.
    #[must_use]
    pub fn signer(&self, now: UnixSeconds) -> Option<&SigningKey> {
        let able = self.signing.iter().filter(|key| key.life().may_sign(now));
        able.max_by_key(|key| key.life().not_before)
    }

    /// Every unexpired key for access tokens.
    pub fn signing_keys(&self, now: UnixSeconds) -> impl Iterator<Item = &SigningKey> {
        self.signing.iter().filter(move |key| !key.life().expired(now))
    }

    /// The unexpired key of that id.
    #[must_use]
    pub fn verification_key(&self, kid: &str, now: UnixSeconds) -> Option<&VerificationKey> {
        self.signing_keys(now).find(|key| key.kid() == kid).map(SigningKey::verification_key)
    }

    /// What others need to verify access tokens: the public halves of all unexpired keys, including
    /// those that do not sign yet. Symmetric keys have none.
    pub fn public_keys(&self, now: UnixSeconds) -> impl Iterator<Item = &PublicJwk> {
        self.signing_keys(now).filter_map(SigningKey::public)
    }

    /// The key of that id, expired or not: proves that a token was ours once.
    #[must_use]
    pub fn retired_or_verification_key(&self, kid: &str) -> Option<&VerificationKey> {
        self.signing.iter().find(|key| key.kid() == kid).map(SigningKey::verification_key)
    }

    /// The key that tags refresh tokens at `now`.
    #[must_use]
    pub fn tagger(&self, now: UnixSeconds) -> Option<&TagKey> {
        let able = self.tags.iter().filter(|key| key.life().may_sign(now));
        able.max_by_key(|key| key.life().not_before)
    }

    /// Every key whose tag on refresh tokens and in messages counts at `now`.
    pub fn tag_keys(&self, now: UnixSeconds) -> impl Iterator<Item = &TagKey> {
        self.tags.iter().filter(move |key| !key.life().expired(now))
    }

    /// Every key whose tag on device tokens and on clients' secrets counts: also those that have
    /// ended, because both live longer than a session. A revoked key is not among them.
    pub fn device_tag_keys(&self) -> impl Iterator<Item = &TagKey> {
        self.tags.iter()
    }

    /// The key that seals at `now`: the one that began to seal last, or the first of all.
    #[must_use]
    pub fn sealer(&self, now: UnixSeconds) -> Option<&SealingKey> {
        let begins = |key: &&SealingKey| key.life().not_before;
        let begun = self.sealing.iter().filter(|key| key.life().not_before <= now);
        begun.max_by_key(begins).or_else(|| self.sealing.iter().min_by_key(begins))
    }

    /// The sealing key of that id.
    #[must_use]
    pub fn sealing_key(&self, id: &str) -> Option<&SealingKey> {
        self.sealing.iter().find(|key| key.id() == id)
    }

    /// Every sealing key.
    pub fn sealing_keys(&self) -> impl Iterator<Item = &SealingKey> {
        self.sealing.iter()
    }

    fn add(&mut self, jwk: &Jwk) -> Result<(), KeyError> {
        if jwk.is_for("sig") {
            let key = SigningKey::from_jwk(jwk)?;
            if self.signing.iter().any(|other| other.kid() == key.kid()) {
                return Err(KeyError::DuplicateKid);
            }
            self.signing.push(key);
        } else if jwk.is_for(TAG_USE) {
            self.tags.push(TagKey::from_jwk(jwk)?);
        } else {
            return Err(KeyError::Unsupported);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
