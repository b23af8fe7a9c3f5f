//! New keys, as private JWKs.
//!
//! Random ones are drawn inside the cryptographic library, which generates RSA keys from its own
//! randomness only. So, unlike everything else in this crate, they are not a function of parameters;
//! only the edges call for them.

use aws_lc_rs::{
    agreement::{ECDH_P256, PrivateKey},
    encoding::{AsBigEndian as _, AsDer as _, Curve25519SeedBin, EcPrivateKeyBin, Pkcs8V1Der},
    rsa::KeySize,
    signature::{Ed25519KeyPair, KeyPair as _, RsaKeyPair},
};
use pkcs1::RsaPrivateKey;
use pkcs8::PrivateKeyInfoRef;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{Jwk, KeyError, SEALING_USE, TAG_USE};
use crate::{encoding::to_base64url, entropy::random, jws::SignatureAlgorithm};

/// The cryptographic library did not make a key.
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
    /// A random key that signs access tokens.
    ///
    /// # Errors
    /// [`GenerateError`].
    pub fn signing(algorithm: SignatureAlgorithm) -> Result<Self, GenerateError> {
        match algorithm {
            SignatureAlgorithm::Hs256 => Ok(Self::hs256(&*secret()?)),
            SignatureAlgorithm::Es256 => {
                let key = PrivateKey::generate(&ECDH_P256).map_err(|_| GenerateError)?;
                let d: EcPrivateKeyBin<'_> = key.as_be_bytes().map_err(|_| GenerateError)?;
                Self::p256(d.as_ref()).ok_or(GenerateError)
            }
            SignatureAlgorithm::EdDsa => Self::ed25519(&*secret()?).ok_or(GenerateError),
            SignatureAlgorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| GenerateError)?;
                Self::rsa(&pair).ok_or(GenerateError)
            }
        }
    }

    /// A random key that tags refresh tokens.
    ///
    /// # Errors
    /// [`GenerateError`].
    pub fn tag() -> Result<Self, GenerateError> {
        Ok(Self::tag_of(&*secret()?))
    }

    /// A random key that seals secrets.
    ///
    /// # Errors
    /// [`GenerateError`].
    pub fn sealing() -> Result<Self, GenerateError> {
        Ok(Self::sealing_of(&*secret()?))
    }

    pub(super) fn hs256(secret: &[u8; 32]) -> Self {
        let k = to_base64url(secret);
        Self::for_signing(SignatureAlgorithm::Hs256, [("kty", "oct".to_owned()), ("k", k)])
    }

    /// `None` unless `d` is a private key on P-256: above 0, below the curve's order.
    pub(super) fn p256(d: &[u8]) -> Option<Self> {
        let public = PrivateKey::from_private_key(&ECDH_P256, d).ok()?.compute_public_key().ok()?;
        // Uncompressed (SEC 1 §2.3.3): 4, then both coordinates.
        let (x, y) = public.as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
        let members = [
            ("kty", "EC".to_owned()),
            ("crv", "P-256".to_owned()),
            ("x", to_base64url(x)),
            ("y", to_base64url(y)),
            ("d", to_base64url(d)),
        ];
        Some(Self::for_signing(SignatureAlgorithm::Es256, members))
    }

    pub(super) fn ed25519(seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let seed: Curve25519SeedBin<'_> = pair.seed().ok()?.as_be_bytes().ok()?;
        let members = [
            ("kty", "OKP".to_owned()),
            ("crv", "Ed25519".to_owned()),
            ("x", to_base64url(pair.public_key().as_ref())),
            ("d", to_base64url(seed.as_ref())),
        ];
        Some(Self::for_signing(SignatureAlgorithm::EdDsa, members))
    }

    fn rsa(pair: &RsaKeyPair) -> Option<Self> {
        let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        let info = PrivateKeyInfoRef::try_from(der.as_ref()).ok()?;
        let key = RsaPrivateKey::try_from(info.private_key.as_bytes()).ok()?;
        let member = |name, number: pkcs1::UintRef<'_>| (name, to_base64url(number.as_bytes()));
        let members = [
            ("kty", "RSA".to_owned()),
            member("n", key.modulus),
            member("e", key.public_exponent),
            member("d", key.private_exponent),
            member("p", key.prime1),
            member("q", key.prime2),
            member("dp", key.exponent1),
            member("dq", key.exponent2),
            member("qi", key.coefficient),
        ];
        Some(Self::for_signing(SignatureAlgorithm::Rs256, members))
    }

    pub(super) fn tag_of(secret: &[u8; 32]) -> Self {
        let mut key = Self::hs256(secret);
        key.0.insert("use".to_owned(), json!(TAG_USE));
        key
    }

    pub(super) fn sealing_of(secret: &[u8; 32]) -> Self {
        let mut key = Self::hs256(secret);
        key.0.insert("use".to_owned(), json!(SEALING_USE));
        key.0.remove("alg");
        key
    }

    fn for_signing<const N: usize>(
        algorithm: SignatureAlgorithm,
        members: [(&str, String); N],
    ) -> Self {
        let common = [("use", "sig".to_owned()), ("alg", algorithm.name().to_owned())];
        let members = members.into_iter().chain(common);
        Self(members.map(|(name, value)| (name.to_owned(), Value::String(value))).collect())
    }

    /// The JWK.
    ///
    /// # Security
    /// With its private members: only for the line that writes it into a ring.
    #[must_use]
    pub fn expose(self) -> Value {
        Value::Object(self.0)
    }

    pub(super) fn into_jwk(self) -> Result<Jwk, KeyError> {
        serde_json::from_value(self.expose()).map_err(|_| KeyError::Malformed)
    }
}

fn secret() -> Result<Zeroizing<[u8; 32]>, GenerateError> {
    random().map(Zeroizing::new).map_err(|_| GenerateError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::from_base64url;

    #[test]
    fn every_generated_key_is_accepted_by_a_ring_and_different() {
        for algorithm in SignatureAlgorithm::ALL {
            let [one, other] = [0, 1].map(|_| {
                let jwk = NewKey::signing(algorithm).unwrap().into_jwk().unwrap();
                assert!(jwk.private_key().is_ok(), "{algorithm:?}");
                assert_eq!(jwk.verification_key().unwrap().algorithm(), algorithm);
                jwk.id().unwrap()
            });
            assert_ne!(one, other);
        }
    }

    #[test]
    fn numbers_that_are_not_private_keys_on_p256_are_rejected() {
        // The order of the curve (SEC 2 §2.4.2), and its neighbours.
        let order = from_base64url("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE").unwrap();
        let with_last = |last| [&order[..31], &[last]].concat();
        for d in [vec![0; 32], order.clone(), with_last(0x52), vec![0xff; 32], vec![1; 31]] {
            assert!(NewKey::p256(&d).is_none(), "{d:?}");
        }
        assert!(NewKey::p256(&with_last(0x50)).is_some());
    }

    #[test]
    fn debug_output_shows_nothing() {
        assert_eq!(format!("{:?}", NewKey::tag().unwrap()), "NewKey(..)");
    }
}
