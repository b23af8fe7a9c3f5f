//! New keys, as private JWKs.
//!
//! Drawn inside the cryptographic library, which makes no RSA or P-256 key from bytes that it is
//! given: so, unlike everything else in this crate, this is not a function of its parameters. Only
//! the edges call it.

use aws_lc_rs::{
    encoding::{AsBigEndian as _, AsDer as _, Curve25519SeedBin, EcPrivateKeyBin, Pkcs8V1Der},
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
    },
};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{TAG_USE, rsa_der};
use crate::{encoding::to_base64url, entropy::random, jws::SignatureAlgorithm};

/// The cryptographic library made no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no key could be generated")]
pub struct GenerateError;

/// A private JWK, without a life yet.
///
/// # Security
/// JSON, on its way into the secret: not wiped when dropped. Prints as a placeholder.
#[derive(Clone)]
pub struct NewKey(pub(super) Map<String, Value>);

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewKey(..)")
    }
}

impl NewKey {
    /// A key that signs access tokens.
    ///
    /// # Errors
    /// [`GenerateError`].
    pub fn signing(algorithm: SignatureAlgorithm) -> Result<Self, GenerateError> {
        let mut key = match algorithm {
            SignatureAlgorithm::Hs256 => Self(oct()?),
            SignatureAlgorithm::Es256 => Self(p256()?),
            SignatureAlgorithm::EdDsa => Self(ed25519()?),
            SignatureAlgorithm::Rs256 => Self(rsa()?),
        };
        key.0.insert("use".to_owned(), json!("sig"));
        key.0.insert("alg".to_owned(), json!(algorithm.name()));
        Ok(key)
    }

    /// A key that tags refresh tokens.
    ///
    /// # Errors
    /// [`GenerateError`].
    pub fn tag() -> Result<Self, GenerateError> {
        let mut key = Self(oct()?);
        key.0.insert("use".to_owned(), json!(TAG_USE));
        Ok(key)
    }

    /// The JWK.
    ///
    /// # Security
    /// With its private members: only for the line that writes it into a ring.
    #[must_use]
    pub fn expose(self) -> Value {
        Value::Object(self.0)
    }
}

fn object<const N: usize>(members: [(&str, String); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
}

fn oct() -> Result<Map<String, Value>, GenerateError> {
    let secret = Zeroizing::new(random::<32>().map_err(|_| GenerateError)?);
    Ok(object([("kty", "oct".to_owned()), ("k", to_base64url(secret.as_slice()))]))
}

fn p256() -> Result<Map<String, Value>, GenerateError> {
    let pair =
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| GenerateError)?;
    let private = pair.private_key();
    let d: EcPrivateKeyBin<'_> = private.as_be_bytes().map_err(|_| GenerateError)?;
    // Uncompressed (SEC 1 §2.3.3): 4, then both coordinates.
    let point = pair.public_key().as_ref().strip_prefix(&[4]).ok_or(GenerateError)?;
    let (x, y) = point.split_at_checked(32).ok_or(GenerateError)?;
    Ok(object([
        ("kty", "EC".to_owned()),
        ("crv", "P-256".to_owned()),
        ("x", to_base64url(x)),
        ("y", to_base64url(y)),
        ("d", to_base64url(d.as_ref())),
    ]))
}

fn ed25519() -> Result<Map<String, Value>, GenerateError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| GenerateError)?;
    let seed = pair.seed().map_err(|_| GenerateError)?;
    let d: Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(|_| GenerateError)?;
    Ok(object([
        ("kty", "OKP".to_owned()),
        ("crv", "Ed25519".to_owned()),
        ("x", to_base64url(pair.public_key().as_ref())),
        ("d", to_base64url(d.as_ref())),
    ]))
}

fn rsa() -> Result<Map<String, Value>, GenerateError> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| GenerateError)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| GenerateError)?;
    let mut key = object([("kty", "RSA".to_owned())]);
    let components = rsa_der::components(der.as_ref()).ok_or(GenerateError)?;
    for (name, bytes) in ["n", "e", "d", "p", "q", "dp", "dq", "qi"].into_iter().zip(components) {
        key.insert(name.to_owned(), Value::String(to_base64url(bytes)));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_ring::Jwk;

    #[test]
    fn a_generated_key_is_one_that_a_ring_accepts_and_no_two_are_alike() {
        for algorithm in SignatureAlgorithm::ALL {
            let [one, other] = [0, 1].map(|_| {
                let key = NewKey::signing(algorithm).unwrap();
                let jwk: Jwk = serde_json::from_value(Value::Object(key.0)).unwrap();
                assert!(jwk.private_key().is_ok(), "{algorithm:?}");
                assert_eq!(jwk.verification_key().unwrap().algorithm(), algorithm);
                jwk.id().unwrap()
            });
            assert_ne!(one, other);
        }
    }

    #[test]
    fn debug_output_shows_nothing() {
        assert_eq!(format!("{:?}", NewKey::tag().unwrap()), "NewKey(..)");
    }
}
