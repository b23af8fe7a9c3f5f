//! Sealing a secret for the holder of the one before it.
//!
//! When a token is superseded, the session keeps its successor's secret, encrypted under a key that
//! is derived from the *superseded* secret. With a superseded token, the service can walk forward,
//! seal by seal, to the live one. The tables and the key ring alone cannot open a seal.
//!
//! AES-256-GCM with a random nonce; the key is HKDF-SHA-256 (RFC 5869) of the superseded secret;
//! user id, session id and the superseded generation are associated data.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};
use zeroize::Zeroizing;

use crate::{
    ids::{SessionId, UserId},
    secret::TokenSecret,
};

const SECRET: usize = 32;
const GCM_TAG: usize = 16;
/// Length in bytes of a [`SealedSecret`]: nonce, ciphertext and authentication tag.
pub const SEALED_LEN: usize = NONCE_LEN + SECRET + GCM_TAG;

/// The secret that followed a superseded one, sealed for its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SealedSecret([u8; SEALED_LEN]);

impl SealedSecret {
    /// Nothing: a session that is bound to a key keeps no seals, because its secrets follow from the
    /// tag key.
    pub const NOTHING: Self = Self([0; SEALED_LEN]);

    /// A sealed secret as the session item holds it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SEALED_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes that the session item holds.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SEALED_LEN] {
        &self.0
    }
}

/// The position in a chain that a seal is bound to.
#[derive(Debug, Clone, Copy)]
pub struct SealContext {
    /// Whose session it is.
    pub user_id: UserId,
    /// Which session it is.
    pub session_id: SessionId,
    /// The generation of the superseded secret.
    pub generation: u32,
}

impl SealContext {
    fn associated_data(&self) -> [u8; 36] {
        let mut data = [0; 36];
        let parts = self.user_id.as_bytes().iter().chain(self.session_id.as_bytes());
        let generation = self.generation.to_be_bytes();
        for (to, from) in data.iter_mut().zip(parts.chain(&generation)) {
            *to = *from;
        }
        data
    }
}

/// A seal could not be made or opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a secret could not be sealed, or its seal does not open")]
pub struct SealError;

/// Seals `successor` for the holder of `superseded`. `nonce` is twelve fresh random bytes.
///
/// # Errors
/// [`SealError`] if the cryptographic library refuses, which valid input never causes.
pub fn seal(
    superseded: &TokenSecret,
    successor: &TokenSecret,
    context: &SealContext,
    nonce: [u8; NONCE_LEN],
) -> Result<SealedSecret, SealError> {
    let data = context.associated_data();
    let sealed = seal_with(&key_of(superseded)?, successor.expose(), &data, nonce)?;
    Ok(SealedSecret(sealed.try_into().map_err(|_| SealError)?))
}

/// Opens a seal with the superseded secret.
///
/// # Errors
/// [`SealError`] for another secret, another context or altered bytes.
pub fn open(
    superseded: &TokenSecret,
    sealed: &SealedSecret,
    context: &SealContext,
) -> Result<TokenSecret, SealError> {
    let opened = open_with(&key_of(superseded)?, &sealed.0, &context.associated_data())?;
    let secret = opened.first_chunk::<SECRET>().ok_or(SealError)?;
    Ok(TokenSecret::new(*secret))
}

/// Seals `secret` with a key: nonce, ciphertext and authentication tag.
///
/// # Errors
/// [`SealError`] if the cryptographic library refuses, which valid input never causes.
pub(crate) fn seal_with(
    key: &LessSafeKey,
    secret: &[u8],
    associated_data: &[u8],
    nonce: [u8; NONCE_LEN],
) -> Result<Vec<u8>, SealError> {
    let mut in_out = Zeroizing::new(secret.to_vec());
    let (used, data) = (Nonce::assume_unique_for_key(nonce), Aad::from(associated_data));
    let tag = key.seal_in_place_separate_tag(used, data, &mut in_out).map_err(|_| SealError)?;
    Ok([nonce.as_slice(), in_out.as_slice(), tag.as_ref()].concat())
}

/// Opens what [`seal_with`] returned.
///
/// # Errors
/// [`SealError`] for another key, other associated data or altered bytes.
pub(crate) fn open_with(
    key: &LessSafeKey,
    sealed: &[u8],
    associated_data: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError)?;
    let mut in_out = Zeroizing::new(ciphertext.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened = key.open_in_place(nonce, Aad::from(associated_data), &mut in_out);
    let len = opened.map_err(|_| SealError)?.len();
    in_out.truncate(len);
    Ok(in_out)
}

fn key_of(superseded: &TokenSecret) -> Result<LessSafeKey, SealError> {
    let extracted = Salt::new(HKDF_SHA256, b"ratchet").extract(superseded.expose());
    let expanded =
        extracted.expand(&[b"sealed successor v1"], &AES_256_GCM).map_err(|_| SealError)?;
    Ok(LessSafeKey::new(UnboundKey::from(expanded)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> SealContext {
        SealContext {
            user_id: UserId::from_bytes([1; 16]),
            session_id: SessionId::from_bytes([2; 16]),
            generation: 3,
        }
    }

    fn sealed() -> SealedSecret {
        seal(&TokenSecret::new([4; 32]), &TokenSecret::new([5; 32]), &context(), [6; 12]).unwrap()
    }

    #[test]
    fn the_superseded_secret_opens_the_seal() {
        let opened = open(&TokenSecret::new([4; 32]), &sealed(), &context()).unwrap();
        assert_eq!(opened.expose(), &[5; 32]);
    }

    #[test]
    fn no_other_secret_opens_it_not_even_the_successor() {
        for other in [[5; 32], [0; 32]] {
            assert_eq!(
                open(&TokenSecret::new(other), &sealed(), &context()).unwrap_err(),
                SealError
            );
        }
    }

    #[test]
    fn a_seal_opens_only_where_it_belongs() {
        let held = TokenSecret::new([4; 32]);
        for elsewhere in [
            SealContext { user_id: UserId::from_bytes([9; 16]), ..context() },
            SealContext { session_id: SessionId::from_bytes([9; 16]), ..context() },
            SealContext { generation: 4, ..context() },
        ] {
            assert_eq!(open(&held, &sealed(), &elsewhere).unwrap_err(), SealError);
        }
        for byte in 0..SEALED_LEN {
            let mut altered = *sealed().as_bytes();
            altered[byte] ^= 1;
            assert_eq!(
                open(&held, &SealedSecret::from_bytes(altered), &context()).unwrap_err(),
                SealError
            );
        }
    }
}
