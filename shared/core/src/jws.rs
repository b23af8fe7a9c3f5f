//! JWS compact serialisation (RFC 7515 §7.1), read strictly.
//!
//! `jsonwebtoken` signs and verifies. This module chooses the key and the algorithm.
//! The order of the checks matters (RFC 8725 §3): first the size, then the shape, a header without
//! unknown members, the key by `kid` alone, the key's one algorithm, and the signature. The payload is
//! not read before all of them have passed.

mod algorithm;
mod keys;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

pub use self::{
    algorithm::SignatureAlgorithm,
    keys::{PrivateKey, SignError, VerificationKey},
};
use crate::encoding::{from_base64url, to_base64url};

/// The longest token that is read, in bytes.
pub const MAX_TOKEN_LEN: usize = 4096;

/// Why a text is not a JWS of one of our keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than the limit: [`MAX_TOKEN_LEN`] for tokens.
    #[error("the token is too long")]
    TooLong,
    /// Not three parts of canonical base64url with a JSON header.
    #[error("the token is malformed")]
    Malformed,
    /// The header names another algorithm than the key is for.
    #[error("the token's algorithm is not the key's")]
    WrongAlgorithm,
    /// The signature is not the key's.
    #[error("the token's signature does not verify")]
    BadSignature,
}

/// A JOSE header (RFC 7515 §4).
///
/// # Security
/// Any other member is an error. `crit`, `b64`, `zip` and the members that carry or point to a key
/// (`jwk`, `jku`, `x5u`, `x5c`) ask for something that this crate does not do, and it issues nothing
/// that has them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The algorithm, as text: compared with the key's, never used to choose one.
    pub alg: String,
    /// The token's type.
    pub typ: Option<String>,
    /// The id of the key.
    pub kid: Option<String>,
}

/// A header of one type of token.
pub trait JoseHeader: DeserializeOwned {
    /// `alg`, as text: compared with the key's, never used to choose one.
    fn alg(&self) -> &str;
}

impl JoseHeader for Header {
    fn alg(&self) -> &str {
        &self.alg
    }
}

/// A token that has been taken apart but not verified.
#[derive(Debug)]
pub struct UnverifiedToken<'t, H = Header> {
    header: H,
    payload: Vec<u8>,
    signing_input: &'t str,
    signature: &'t str,
}

impl<'t> UnverifiedToken<'t> {
    /// Takes a compact serialisation apart.
    ///
    /// # Errors
    /// [`JwsError::TooLong`] and [`JwsError::Malformed`].
    pub fn parse(token: &'t str) -> Result<Self, JwsError> {
        Self::parse_within(token, MAX_TOKEN_LEN)
    }
}

impl<'t, H: JoseHeader> UnverifiedToken<'t, H> {
    /// Takes a compact serialisation apart, with a header of any type and a limit on its length.
    pub(crate) fn parse_within(token: &'t str, max_len: usize) -> Result<Self, JwsError> {
        if token.len() > max_len {
            return Err(JwsError::TooLong);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Malformed)?;
        let decode = |part| from_base64url(part).ok_or(JwsError::Malformed);
        let header = serde_json::from_slice(&decode(header)?).map_err(|_| JwsError::Malformed)?;
        let payload = decode(payload)?;
        decode(signature)?;
        Ok(Self { header, payload, signing_input, signature })
    }

    /// The header. Before [`Self::verify`], use it only to choose the key by its `kid`.
    #[must_use]
    pub const fn header(&self) -> &H {
        &self.header
    }

    /// The payload, if `key` signed it with the key's algorithm.
    ///
    /// # Errors
    /// [`JwsError::WrongAlgorithm`] and [`JwsError::BadSignature`].
    pub fn verify(self, key: &VerificationKey) -> Result<(H, Vec<u8>), JwsError> {
        if self.header.alg() != key.algorithm().name() {
            return Err(JwsError::WrongAlgorithm);
        }
        if key.verifies(self.signing_input.as_bytes(), self.signature) {
            Ok((self.header, self.payload))
        } else {
            Err(JwsError::BadSignature)
        }
    }
}

/// Signs `payload` and serialises it compactly, with a header of `typ`, `alg` and `kid`.
///
/// # Errors
/// [`SignError`].
pub(crate) fn sign(
    typ: &str,
    kid: &str,
    payload: &[u8],
    key: &PrivateKey,
) -> Result<Zeroizing<String>, SignError> {
    let header = IssuedHeader { typ, alg: key.algorithm().name(), kid };
    let header = serde_json::to_vec(&header).map_err(|_| SignError)?;
    let mut token = Zeroizing::new(to_base64url(&header));
    token.push('.');
    token.push_str(&to_base64url(payload));
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&signature);
    Ok(token)
}

#[derive(Serialize)]
struct IssuedHeader<'a> {
    typ: &'a str,
    alg: &'static str,
    kid: &'a str,
}

#[cfg(test)]
mod tests;
