//! A key that signs access tokens.

use std::fmt;

use zeroize::Zeroizing;

use super::{KeyError, KeyLife, PublicJwk, jwk::Jwk};
use crate::jws::{self, PrivateKey, SignError, SignatureAlgorithm, VerificationKey};

/// A key that signs and verifies access tokens.
pub struct SigningKey {
    kid: String,
    life: KeyLife,
    private: PrivateKey,
    verification: VerificationKey,
    public: Option<PublicJwk>,
}

impl SigningKey {
    /// The id in the header of the tokens it signs.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its one algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.verification.algorithm()
    }

    /// When it signs and verifies.
    #[must_use]
    pub const fn life(&self) -> KeyLife {
        self.life
    }

    /// The key that verifies its signatures.
    #[must_use]
    pub const fn verification_key(&self) -> &VerificationKey {
        &self.verification
    }

    /// A JWS (RFC 7515 §7.1) of this key over `payload`.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, typ: &str, payload: &[u8]) -> Result<Zeroizing<String>, SignError> {
        jws::sign(typ, &self.kid, payload, &self.private)
    }

    #[cfg(test)]
    pub(crate) const fn private(&self) -> &PrivateKey {
        &self.private
    }

    pub(super) const fn public(&self) -> Option<&PublicJwk> {
        self.public.as_ref()
    }

    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        let kid = jwk.id()?;
        Ok(Self {
            private: jwk.private_key()?,
            verification: jwk.verification_key()?,
            public: jwk.public(&kid)?,
            life: jwk.life(),
            kid,
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}
