//! Keys as the cryptographic library holds them: parsed and checked once, used often.

use std::fmt;

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPairComponents, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
        Ed25519KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};

use super::SignatureAlgorithm;

/// A key that verifies signatures of one algorithm.
pub struct VerificationKey {
    algorithm: SignatureAlgorithm,
    material: Verifying,
}

enum Verifying {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl VerificationKey {
    pub(crate) fn hs256(secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self { algorithm: SignatureAlgorithm::Hs256, material: Verifying::Secret(Box::new(key)) }
    }

    /// `None` unless `point` (SEC 1, uncompressed) is on the curve.
    pub(crate) fn es256(point: &[u8]) -> Option<Self> {
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
        Some(Self { algorithm: SignatureAlgorithm::Es256, material: Verifying::Public(key) })
    }

    pub(crate) fn ed25519(public: &[u8]) -> Option<Self> {
        let key = ParsedPublicKey::new(&ED25519, public).ok()?;
        Some(Self { algorithm: SignatureAlgorithm::EdDsa, material: Verifying::Public(key) })
    }

    pub(crate) fn rs256(n: &[u8], e: &[u8]) -> Option<Self> {
        let components = PublicKeyComponents { n, e };
        let key = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
        Some(Self { algorithm: SignatureAlgorithm::Rs256, material: Verifying::Public(key) })
    }

    /// The one algorithm that it verifies.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    pub(super) fn verifies(&self, input: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Verifying::Secret(key) => hmac::verify(key, input, signature).is_ok(),
            Verifying::Public(key) => key.verify_sig(input, signature).is_ok(),
        }
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
/// Prints as a placeholder. The library wipes its keys when they are dropped.
pub struct PrivateKey(Signing);

enum Signing {
    Secret(Box<hmac::Key>),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// The cryptographic library refused to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library refused to sign")]
pub struct SignError;

impl PrivateKey {
    pub(crate) fn hs256(secret: &[u8]) -> Self {
        Self(Signing::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret))))
    }

    /// `None` unless `point` is the public half of `d`.
    pub(crate) fn es256(d: &[u8], point: &[u8]) -> Option<Self> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, d, point).ok()?;
        Some(Self(Signing::P256(pair)))
    }

    /// `None` unless `public` is the public half of `seed`.
    pub(crate) fn ed25519(seed: &[u8], public: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()?;
        Some(Self(Signing::Ed25519(pair)))
    }

    /// `None` unless all components belong together.
    pub(crate) fn rs256(components: &KeyPairComponents<&[u8]>) -> Option<Self> {
        Some(Self(Signing::Rsa(RsaKeyPair::from_components(components).ok()?)))
    }

    pub(super) const fn algorithm(&self) -> SignatureAlgorithm {
        match &self.0 {
            Signing::Secret(_) => SignatureAlgorithm::Hs256,
            Signing::P256(_) => SignatureAlgorithm::Es256,
            Signing::Ed25519(_) => SignatureAlgorithm::EdDsa,
            Signing::Rsa(_) => SignatureAlgorithm::Rs256,
        }
    }

    pub(crate) fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.0 {
            Signing::Secret(key) => Ok(hmac::sign(key, input).as_ref().to_vec()),
            Signing::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), input).map_err(|_| SignError)?;
                Ok(signature.as_ref().to_vec())
            }
            Signing::Ed25519(pair) => {
                Ok(pair.try_sign(input).map_err(|_| SignError)?.as_ref().to_vec())
            }
            Signing::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature)
                    .map_err(|_| SignError)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}
