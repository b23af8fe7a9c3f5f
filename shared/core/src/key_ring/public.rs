//! The public half of a signing key, as it is published (RFC 7517).

use serde::Serialize;

use crate::jws::SignatureAlgorithm;

/// A public JWK. It has no variant for symmetric keys and no private members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicJwk {
    kid: String,
    #[serde(rename = "use")]
    use_: &'static str,
    alg: &'static str,
    #[serde(flatten)]
    key: PublicMembers,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kty")]
enum PublicMembers {
    #[serde(rename = "EC")]
    Ec { crv: &'static str, x: String, y: String },
    #[serde(rename = "OKP")]
    Okp { crv: &'static str, x: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

impl PublicJwk {
    pub(super) fn ec(kid: &str, algorithm: SignatureAlgorithm, x: String, y: String) -> Self {
        Self::new(kid, algorithm, PublicMembers::Ec { crv: "P-256", x, y })
    }

    pub(super) fn okp(kid: &str, algorithm: SignatureAlgorithm, x: String) -> Self {
        Self::new(kid, algorithm, PublicMembers::Okp { crv: "Ed25519", x })
    }

    pub(super) fn rsa(kid: &str, algorithm: SignatureAlgorithm, n: String, e: String) -> Self {
        Self::new(kid, algorithm, PublicMembers::Rsa { n, e })
    }

    fn new(kid: &str, algorithm: SignatureAlgorithm, key: PublicMembers) -> Self {
        Self { kid: kid.to_owned(), use_: "sig", alg: algorithm.name(), key }
    }
}
