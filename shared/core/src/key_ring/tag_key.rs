//! A key that tags refresh tokens.

use std::fmt;

use aws_lc_rs::hmac;

use super::{KeyError, KeyLife, jwk::Jwk};
use crate::time::UnixSeconds;

/// A key that tags refresh tokens.
pub struct TagKey {
    life: KeyLife,
    hmac: hmac::Key,
}

impl TagKey {
    /// A tag key without end.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self::from_secret(secret, KeyLife::from(UnixSeconds::new(0)))
    }

    /// From when to when it counts.
    #[must_use]
    pub const fn life(&self) -> KeyLife {
        self.life
    }

    pub(crate) const fn hmac(&self) -> &hmac::Key {
        &self.hmac
    }

    /// A key for another purpose: the first block of HKDF-Expand (RFC 5869 §2.3) with this key as
    /// the pseudorandom one.
    pub(crate) fn derive(&self, info: &[u8]) -> hmac::Key {
        let mut context = hmac::Context::with_key(&self.hmac);
        context.update(info);
        context.update(&[1]);
        hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref())
    }

    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        jwk.algorithm()?;
        Ok(Self::from_secret(&jwk.strong_hmac_secret()?, jwk.life()))
    }

    pub(super) fn from_secret(secret: &[u8], life: KeyLife) -> Self {
        Self { life, hmac: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(..)")
    }
}
