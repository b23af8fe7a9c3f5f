//! A key that seals secrets which have to be read again, such as those of second factors.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, LessSafeKey, NONCE_LEN, UnboundKey},
    hkdf::{HKDF_SHA256, Prk},
};
use zeroize::Zeroizing;

use super::{KeyError, KeyLife, NewKey, TagKey, jwk::Jwk};
use crate::{
    encoding::sha256,
    seal::{SealError, open_with, seal_with},
};

/// A key that seals and opens secrets, by AES-256-GCM with random nonces.
///
/// # Security
/// A sealed secret names its key. No change of a ring removes a sealing key, so every sealed secret
/// can be opened as long as the ring exists.
pub struct SealingKey {
    id: String,
    life: KeyLife,
    key: LessSafeKey,
}

impl SealingKey {
    /// Its id: `kid`, or else the thumbprint.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it was made, and when it begins to seal. It has no end.
    #[must_use]
    pub const fn life(&self) -> KeyLife {
        self.life
    }

    /// Seals `secret`. `context` has to be the same when it is opened, and `nonce` is random.
    ///
    /// # Errors
    /// [`SealError`] if the cryptographic library refuses, which valid input never causes.
    pub fn seal(
        &self,
        secret: &[u8],
        context: &[u8],
        nonce: [u8; NONCE_LEN],
    ) -> Result<Vec<u8>, SealError> {
        seal_with(&self.key, secret, context, nonce)
    }

    /// Opens what [`Self::seal`] returned.
    ///
    /// # Errors
    /// [`SealError`] for another key, another context or altered bytes.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        open_with(&self.key, sealed, context)
    }

    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        jwk.algorithm()?;
        let secret = jwk.strong_hmac_secret()?;
        // HKDF-Extract makes 32 bytes of a longer secret.
        let prk = Prk::new_less_safe(HKDF_SHA256, Zeroizing::new(sha256(&secret)).as_slice());
        let key = prk.expand(&[b"ratchet sealed secret v1"], &AES_256_GCM);
        let key = UnboundKey::from(key.map_err(|_| KeyError::Malformed)?);
        Ok(Self { id: jwk.id()?, life: jwk.life(), key: LessSafeKey::new(key) })
    }

    /// The sealing key of a ring that has none: it follows from a tag key.
    pub(super) fn of_tag_key(tag_key: &TagKey) -> Result<Self, KeyError> {
        let mut key = Self::from_jwk(&derived(tag_key)?.into_jwk()?)?;
        key.life.not_before = tag_key.life().not_before;
        key.life.issued_at = tag_key.life().issued_at;
        Ok(key)
    }
}

/// The sealing key that follows from a tag key, as a JWK.
pub(super) fn derived(tag_key: &TagKey) -> Result<NewKey, KeyError> {
    Ok(NewKey::sealing_of(&*tag_key.derive_bytes(b"ratchet sealing key v1")?))
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealingKey {
        SealingKey::of_tag_key(&TagKey::new(&std::array::from_fn(|at| {
            byte.wrapping_add(u8::try_from(at).unwrap())
        })))
        .unwrap()
    }

    #[test]
    fn only_the_same_key_and_context_open_a_seal() {
        let sealed = key(1).seal(b"secret", b"context", [6; NONCE_LEN]).unwrap();
        assert_eq!(key(1).open(&sealed, b"context").unwrap().as_slice(), b"secret");
        assert_eq!(key(1).open(&sealed, b"another").unwrap_err(), SealError);
        assert_eq!(key(2).open(&sealed, b"context").unwrap_err(), SealError);
        for byte in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[byte] ^= 1;
            assert_eq!(key(1).open(&altered, b"context").unwrap_err(), SealError);
            assert_eq!(key(1).open(&sealed[..byte], b"context").unwrap_err(), SealError);
        }
    }

    #[test]
    fn nothing_prints_a_key() {
        assert_eq!(format!("{:?}", key(1)), "SealingKey(..)");
    }
}
