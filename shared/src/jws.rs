//! JWS compact serialisation (RFC 7515 §7.1), read strictly.
//!
//! The order of the checks is the point (RFC 8725 §3): the size first, then the shape, then a
//! header with nothing in it that we do not understand, then the key by `kid` alone, then the one
//! algorithm that the key is for, then the signature. Nothing of the payload is looked at before.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use crate::encoding::from_base64url;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_LEN: usize = 4096;

/// Why a text is no JWS that a key of ours made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`MAX_TOKEN_LEN`].
    #[error("the token is longer than {MAX_TOKEN_LEN} bytes")]
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
/// Any other member is an error: `crit`, `b64`, `zip`, and every member that carries or points to
/// a key (`jwk`, `jku`, `x5u`, `x5c`) would ask for something that we do not do, and we issue
/// nothing that has more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The algorithm, as text: it is compared with the key's and never chooses anything.
    pub alg: String,
    /// The token's type.
    pub typ: Option<String>,
    /// The id of the key.
    pub kid: Option<String>,
}

/// A token that has been taken apart and not been verified.
#[derive(Debug)]
pub struct UnverifiedToken<'t> {
    header: Header,
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
        if token.len() > MAX_TOKEN_LEN {
            return Err(JwsError::TooLong);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Malformed)?;
        let decode = |part| from_base64url(part).ok_or(JwsError::Malformed);
        let header = serde_json::from_slice(&decode(header)?).map_err(|_| JwsError::Malformed)?;
        // Decoded only for its strictness: `verify` takes the text.
        decode(signature)?;
        Ok(Self { header, payload: decode(payload)?, signing_input, signature })
    }

    /// The header: to choose the key by its `kid`, and for nothing else before [`Self::verify`].
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The payload, if `key` signed it with the key's algorithm.
    ///
    /// # Errors
    /// [`JwsError::WrongAlgorithm`] and [`JwsError::BadSignature`].
    pub fn verify(self, key: &VerificationKey) -> Result<(Header, Vec<u8>), JwsError> {
        if self.header.alg != key.algorithm.name() {
            return Err(JwsError::WrongAlgorithm);
        }
        let genuine = jsonwebtoken::crypto::verify(
            self.signature,
            self.signing_input.as_bytes(),
            &key.key,
            key.algorithm.jose(),
        );
        if genuine == Ok(true) {
            Ok((self.header, self.payload))
        } else {
            Err(JwsError::BadSignature)
        }
    }
}

/// The algorithms that access tokens may be signed with (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl SignatureAlgorithm {
    /// The name in JOSE headers and JWKs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    pub(crate) const fn jose(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
            Self::Rs256 => Algorithm::RS256,
        }
    }
}

/// A key that verifies signatures of one algorithm.
pub struct VerificationKey {
    algorithm: SignatureAlgorithm,
    key: DecodingKey,
}

impl VerificationKey {
    pub(crate) const fn new(algorithm: SignatureAlgorithm, key: DecodingKey) -> Self {
        Self { algorithm, key }
    }
}

impl std::fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerificationKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
