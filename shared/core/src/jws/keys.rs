//! Keys as `jsonwebtoken` takes them, which is without looking at them: they are checked here, once,
//! when they are made.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPairComponents, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
        Ed25519KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair,
    },
};
use jsonwebtoken::{DecodingKey, EncodingKey, crypto};
use pkcs8::PrivateKeyInfoRef;

use super::SignatureAlgorithm;

/// A key that verifies signatures of one algorithm.
pub struct VerificationKey {
    algorithm: SignatureAlgorithm,
    key: DecodingKey,
}

impl VerificationKey {
    pub(crate) fn hs256(secret: &[u8]) -> Self {
        Self { algorithm: SignatureAlgorithm::Hs256, key: DecodingKey::from_secret(secret) }
    }

    /// `None` unless `point` (SEC 1, uncompressed) is on the curve.
    pub(crate) fn es256(point: &[u8]) -> Option<Self> {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
        let key = DecodingKey::from_ec_der(point);
        Some(Self { algorithm: SignatureAlgorithm::Es256, key })
    }

    pub(crate) fn ed25519(public: &[u8]) -> Option<Self> {
        ParsedPublicKey::new(&ED25519, public).ok()?;
        Some(Self { algorithm: SignatureAlgorithm::EdDsa, key: DecodingKey::from_ed_der(public) })
    }

    pub(crate) fn rs256(n: &[u8], e: &[u8]) -> Option<Self> {
        let components = PublicKeyComponents { n, e };
        components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
        let key = DecodingKey::from_rsa_raw_components(n, e);
        Some(Self { algorithm: SignatureAlgorithm::Rs256, key })
    }

    /// The one algorithm that it verifies.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Whether `signature`, in base64url, is this key's over `input`.
    pub(super) fn verifies(&self, input: &[u8], signature: &str) -> bool {
        crypto::verify(signature, input, &self.key, self.algorithm.into()).unwrap_or(false)
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// A key that signs with one algorithm.
///
/// # Security
/// Prints as a placeholder and is wiped when dropped.
pub struct PrivateKey {
    algorithm: SignatureAlgorithm,
    key: EncodingKey,
}

/// The cryptographic library refused to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library refused to sign")]
pub struct SignError;

impl PrivateKey {
    pub(crate) fn hs256(secret: &[u8]) -> Self {
        Self { algorithm: SignatureAlgorithm::Hs256, key: EncodingKey::from_secret(secret) }
    }

    /// `None` unless `point` is the public half of `d`.
    pub(crate) fn es256(d: &[u8], point: &[u8]) -> Option<Self> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, d, point).ok()?;
        let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().ok()?.as_ref());
        Some(Self { algorithm: SignatureAlgorithm::Es256, key })
    }

    /// `None` unless `public` is the public half of `seed`.
    pub(crate) fn ed25519(seed: &[u8], public: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()?;
        let key = EncodingKey::from_ed_der(pair.to_pkcs8v1().ok()?.as_ref());
        Some(Self { algorithm: SignatureAlgorithm::EdDsa, key })
    }

    /// `None` unless all components belong together.
    pub(crate) fn rs256(components: &KeyPairComponents<&[u8]>) -> Option<Self> {
        let pair = RsaKeyPair::from_components(components).ok()?;
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        // `jsonwebtoken` takes what is inside: an RSAPrivateKey (RFC 8017 A.1.2).
        let info = PrivateKeyInfoRef::try_from(pkcs8.as_ref()).ok()?;
        let key = EncodingKey::from_rsa_der(info.private_key.as_bytes());
        Some(Self { algorithm: SignatureAlgorithm::Rs256, key })
    }

    pub(super) const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The signature over `input`, in base64url.
    pub(crate) fn sign(&self, input: &[u8]) -> Result<String, SignError> {
        crypto::sign(input, &self.key, self.algorithm.into()).map_err(|_| SignError)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}
