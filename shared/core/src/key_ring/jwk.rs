//! One JSON Web Key (RFC 7517), read strictly: `kty` and `crv` fix its one algorithm, and its other
//! members have to agree with that.

use std::fmt;

use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{KeyLife, MIN_HMAC_KEY, PublicJwk, known_keys};
use crate::{
    encoding::from_base64url,
    jws::{PrivateKey, SignatureAlgorithm, VerificationKey},
    time::UnixSeconds,
};

/// The smallest RSA modulus, in bytes (RFC 7518 §3.3).
const MIN_RSA_MODULUS: usize = 256;

/// The only public exponent in use, 65537. An exponent of 1 would make every text its signature.
const RSA_EXPONENT: &[u8] = &[1, 0, 1];

/// The size of a coordinate and of a private key on P-256 and Ed25519, in bytes (RFC 7518 §6.2,
/// RFC 8032 §5.1.5).
const COORDINATE: usize = 32;

/// Why a JWK cannot be used.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// `use`, `kty`, `crv` and `alg` do not name one of our algorithms.
    #[error("its use, kty, crv and alg name no supported algorithm")]
    Unsupported,
    /// A member is missing or is not canonical base64url.
    #[error("a member is missing or malformed")]
    Malformed,
    /// An HMAC key below [`MIN_HMAC_KEY`] bytes, or an RSA modulus below 2048 bits.
    #[error("it is too short")]
    TooShort,
    /// A published example key, or one with fewer than eight different bytes.
    #[error("it is a known or a degenerate key")]
    Weak,
    /// The private members do not belong to the public ones: what it signs would not verify.
    #[error("its private and its public members do not belong together")]
    Mismatch,
    /// Another key of the ring has the same `kid`, so which one verifies would depend on their order.
    #[error("another key has the same kid")]
    DuplicateKid,
}

/// The members of a JSON Web Key that this crate reads. Others are ignored (RFC 7517 §4).
///
/// # Security
/// Prints as a placeholder; the private members are wiped when dropped.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    use_: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    iat: Option<u64>,
    nbf: Option<u64>,
    exp: Option<u64>,
    crv: Option<String>,
    k: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<String>,
    p: Option<String>,
    q: Option<String>,
    dp: Option<String>,
    dq: Option<String>,
    qi: Option<String>,
}

struct RsaPublic {
    n: Zeroizing<Vec<u8>>,
    e: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk")
            .field("kty", &self.kty)
            .field("use", &self.use_)
            .finish_non_exhaustive()
    }
}

impl Jwk {
    /// Its `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The key that verifies signatures, if this JWK is for signing with one of our algorithms.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn verification_key(&self) -> Result<VerificationKey, KeyError> {
        let other_use = self.use_.as_deref().is_some_and(|use_| use_ != "sig");
        if other_use || !self.permits("verify") {
            return Err(KeyError::Unsupported);
        }
        match self.algorithm()? {
            SignatureAlgorithm::Hs256 => Ok(VerificationKey::hs256(&self.hmac_secret()?)),
            SignatureAlgorithm::Es256 => {
                VerificationKey::es256(&self.point()?).ok_or(KeyError::Malformed)
            }
            SignatureAlgorithm::EdDsa => {
                VerificationKey::ed25519(&coordinate(self.x.as_ref())?).ok_or(KeyError::Malformed)
            }
            SignatureAlgorithm::Rs256 => {
                let RsaPublic { n, e } = self.rsa_public()?;
                VerificationKey::rs256(&n, &e).ok_or(KeyError::Malformed)
            }
        }
    }

    /// The private key, if this JWK is for signing and strong enough.
    pub(super) fn private_key(&self) -> Result<PrivateKey, KeyError> {
        if !self.permits("sign") {
            return Err(KeyError::Unsupported);
        }
        if known_keys::is_known(&self.thumbprint()?) {
            return Err(KeyError::Weak);
        }
        Ok(match self.algorithm()? {
            SignatureAlgorithm::Hs256 => PrivateKey::hs256(&self.strong_hmac_secret()?),
            SignatureAlgorithm::Es256 => {
                let d = coordinate(self.d.as_ref())?;
                PrivateKey::es256(&d, &self.point()?).ok_or(KeyError::Mismatch)?
            }
            SignatureAlgorithm::EdDsa => {
                let (d, x) = (coordinate(self.d.as_ref())?, coordinate(self.x.as_ref())?);
                PrivateKey::ed25519(&d, &x).ok_or(KeyError::Mismatch)?
            }
            SignatureAlgorithm::Rs256 => self.rsa_private_key()?,
        })
    }

    /// The public half of this key; `None` if it is symmetric.
    pub(super) fn public(&self, kid: &str) -> Result<Option<PublicJwk>, KeyError> {
        let algorithm = self.algorithm()?;
        let member = |member: &Option<String>| member.clone().ok_or(KeyError::Malformed);
        Ok(match algorithm {
            SignatureAlgorithm::Hs256 => None,
            SignatureAlgorithm::Es256 => {
                Some(PublicJwk::ec(kid, algorithm, member(&self.x)?, member(&self.y)?))
            }
            SignatureAlgorithm::EdDsa => Some(PublicJwk::okp(kid, algorithm, member(&self.x)?)),
            SignatureAlgorithm::Rs256 => {
                Some(PublicJwk::rsa(kid, algorithm, member(&self.n)?, member(&self.e)?))
            }
        })
    }

    /// The `kid`, or else the thumbprint.
    pub(super) fn id(&self) -> Result<String, KeyError> {
        self.kid.clone().map_or_else(|| self.thumbprint(), Ok)
    }

    /// Whether it has a member that is secret (RFC 7518 §6.2.2, §6.3.2, §6.4).
    pub(crate) fn is_secret(&self) -> bool {
        let secret = [&self.k, &self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi];
        secret.iter().any(|member| member.is_some())
    }

    /// The JWK thumbprint (RFC 7638 §3, RFC 8037 §2): SHA-256 over the required members in
    /// alphabetical order. That of an `oct` key is public too; a key of 256 random bits cannot be
    /// guessed from it.
    pub(crate) fn thumbprint(&self) -> Result<String, KeyError> {
        let member = |member: &Option<String>| member.clone().ok_or(KeyError::Malformed);
        let members = match self.algorithm()? {
            SignatureAlgorithm::Hs256 => vec![("k", member(&self.k)?), ("kty", self.kty.clone())],
            SignatureAlgorithm::Es256 => vec![
                ("crv", member(&self.crv)?),
                ("kty", self.kty.clone()),
                ("x", member(&self.x)?),
                ("y", member(&self.y)?),
            ],
            SignatureAlgorithm::EdDsa => vec![
                ("crv", member(&self.crv)?),
                ("kty", self.kty.clone()),
                ("x", member(&self.x)?),
            ],
            SignatureAlgorithm::Rs256 => {
                vec![("e", member(&self.e)?), ("kty", self.kty.clone()), ("n", member(&self.n)?)]
            }
        };
        Ok(super::thumbprint::of(members))
    }

    pub(super) fn is_for(&self, use_: &str) -> bool {
        self.use_.as_deref() == Some(use_)
    }

    /// The one algorithm of `kty` and `crv`; `alg` has to name it, if present.
    pub(super) fn algorithm(&self) -> Result<SignatureAlgorithm, KeyError> {
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("oct", None) => SignatureAlgorithm::Hs256,
            ("EC", Some("P-256")) => SignatureAlgorithm::Es256,
            ("OKP", Some("Ed25519")) => SignatureAlgorithm::EdDsa,
            ("RSA", None) => SignatureAlgorithm::Rs256,
            _ => return Err(KeyError::Unsupported),
        };
        match self.alg.as_deref() {
            None => Ok(algorithm),
            Some(name) if name == algorithm.name() => Ok(algorithm),
            Some(_) => Err(KeyError::Unsupported),
        }
    }

    pub(super) fn life(&self) -> KeyLife {
        KeyLife {
            issued_at: self.iat.map(UnixSeconds::new),
            not_before: UnixSeconds::new(self.nbf.unwrap_or_default()),
            expires_at: self.exp.map(UnixSeconds::new),
        }
    }

    /// The secret of an `oct` key, unless it is a published example or a few bytes repeated.
    pub(super) fn strong_hmac_secret(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let secret = self.hmac_secret()?;
        let mut different = secret.clone();
        different.sort_unstable();
        different.dedup();
        let known =
            known_keys::is_known_secret(&secret) || known_keys::is_known(&self.thumbprint()?);
        if different.len() < 8 || known { Err(KeyError::Weak) } else { Ok(secret) }
    }

    fn hmac_secret(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let secret = bytes(self.k.as_ref())?;
        if secret.len() < MIN_HMAC_KEY { Err(KeyError::TooShort) } else { Ok(secret) }
    }

    /// The public point, uncompressed (SEC 1 §2.3.3).
    fn point(&self) -> Result<Vec<u8>, KeyError> {
        let (x, y) = (coordinate(self.x.as_ref())?, coordinate(self.y.as_ref())?);
        Ok([&[4], x.as_slice(), y.as_slice()].concat())
    }

    fn rsa_public(&self) -> Result<RsaPublic, KeyError> {
        let (n, e) = (bytes(self.n.as_ref())?, bytes(self.e.as_ref())?);
        if n.first().is_none_or(|first| *first == 0) {
            return Err(KeyError::Malformed);
        }
        if n.len() < MIN_RSA_MODULUS {
            return Err(KeyError::TooShort);
        }
        if e.as_slice() != RSA_EXPONENT {
            return Err(KeyError::Weak);
        }
        Ok(RsaPublic { n, e })
    }

    fn rsa_private_key(&self) -> Result<PrivateKey, KeyError> {
        let RsaPublic { n, e } = self.rsa_public()?;
        let private = |member: &Option<String>| bytes(member.as_ref());
        let (exponent, first_prime, second_prime) =
            (private(&self.d)?, private(&self.p)?, private(&self.q)?);
        let (first_exponent, second_exponent, coefficient) =
            (private(&self.dp)?, private(&self.dq)?, private(&self.qi)?);
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: n.as_slice(), e: e.as_slice() },
            d: exponent.as_slice(),
            p: first_prime.as_slice(),
            q: second_prime.as_slice(),
            dP: first_exponent.as_slice(),
            dQ: second_exponent.as_slice(),
            qInv: coefficient.as_slice(),
        };
        PrivateKey::rs256(&components).ok_or(KeyError::Mismatch)
    }

    /// Whether `key_ops` (RFC 7517 §4.3) is absent or has `operation`.
    fn permits(&self, operation: &str) -> bool {
        self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == operation))
    }
}

fn bytes(member: Option<&String>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    member.and_then(|text| from_base64url(text)).map(Zeroizing::new).ok_or(KeyError::Malformed)
}

fn coordinate(member: Option<&String>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    bytes(member).and_then(|bytes| {
        if bytes.len() == COORDINATE { Ok(bytes) } else { Err(KeyError::Malformed) }
    })
}

#[cfg(test)]
mod tests;
