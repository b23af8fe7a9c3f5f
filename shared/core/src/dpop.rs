//! Proofs of possession of a key (DPoP, RFC 9449).
//!
//! A client that sends a proof when it signs in binds its session to the key that signed the proof.
//! Without a new proof in each request, the session's tokens are useless. A proof is a JWT with its
//! public key in the header; [`verify`] checks it and returns the thumbprint of the key.
//!
//! # Security
//! The `jti` of a proof is not remembered. Somebody who copies a whole request can send it again,
//! to the same URL and with the same token, while its nonce is valid.

mod nonce;

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use self::nonce::{NONCE_LIFE, Nonce};
use crate::{
    encoding::{from_base64url, sha256, to_base64url},
    jws::{JoseHeader, MAX_TOKEN_LEN, SignatureAlgorithm, UnverifiedToken},
    key_ring::Jwk,
    time::UnixSeconds,
};

/// The header's `typ` (RFC 9449 §4.2).
const TYP: &str = "dpop+jwt";

/// How far `iat` may be from the verifier's clock, in both directions.
pub const PROOF_LIFE: Duration = Duration::from_secs(60);

/// The longest `jti` that is accepted, in bytes.
const MAX_JTI_LEN: usize = 256;

/// The algorithms that proofs may be signed with: the asymmetric ones of access tokens.
pub fn algorithms() -> impl Iterator<Item = SignatureAlgorithm> {
    SignatureAlgorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric())
}

/// The SHA-256 thumbprint of a public key (RFC 7638), `jkt` in RFC 9449.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The thumbprint with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads base64url; `None` unless it is canonical and has 32 bytes.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        from_base64url(text)?.try_into().ok().map(Self)
    }
}

/// In base64url.
impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_base64url(&self.0))
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text).ok_or_else(|| D::Error::custom("not a SHA-256 thumbprint"))
    }
}

/// Why a request does not prove possession of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ProofError {
    /// There is no proof.
    #[error("the request has no proof")]
    Missing,
    /// There is more than one header, it is not a JWT of the right type, or its key or signature is
    /// wrong.
    #[error("the proof is malformed, or its signature does not verify")]
    Malformed,
    /// `htm` or `htu` is not the method or the URL of the request.
    #[error("the proof is for another method or URL")]
    WrongRequest,
    /// `ath` is absent, or not the hash of the access token.
    #[error("the proof is for another access token")]
    WrongAccessToken,
    /// `iat` is too far from the verifier's clock.
    #[error("the proof is too old, or from the future")]
    WrongTime,
    /// The nonce is absent, not ours or too old. Nothing else is wrong: the same claims with a new
    /// nonce are accepted.
    #[error("the proof has no nonce, or one that is too old")]
    StaleNonce,
    /// It proves possession of a key other than the one that the token is bound to.
    #[error("the proof is of another key")]
    WrongKey,
    /// The token is presented with the scheme `DPoP`, but is not bound to a key.
    #[error("the token is bound to no key")]
    NotBound,
}

impl ProofError {
    /// The name in log events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::WrongRequest => "wrong_request",
            Self::WrongAccessToken => "wrong_access_token",
            Self::WrongTime => "wrong_time",
            Self::StaleNonce => "stale_nonce",
            Self::WrongKey => "wrong_key",
            Self::NotBound => "not_bound",
        }
    }
}

/// What a request says about possession of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Possession {
    /// Nothing: it has no proof.
    Unclaimed,
    /// It proves possession of the key with this thumbprint.
    Proved(Thumbprint),
    /// It has a proof that is refused.
    Refused(ProofError),
}

impl Possession {
    /// The key, if its possession is proved.
    #[must_use]
    pub const fn key(self) -> Option<Thumbprint> {
        match self {
            Self::Proved(key) => Some(key),
            Self::Unclaimed | Self::Refused(_) => None,
        }
    }

    /// Why it does not prove possession of a session's key. Call it only if it does not: a proved
    /// key is then another one.
    #[must_use]
    pub const fn refusal(self) -> ProofError {
        match self {
            Self::Unclaimed => ProofError::Missing,
            Self::Proved(_) => ProofError::WrongKey,
            Self::Refused(error) => error,
        }
    }

    /// Whether it proves possession of the key that a token is bound to.
    ///
    /// # Errors
    /// [`ProofError`] if it does not.
    pub fn of(self, bound_to: Thumbprint) -> Result<(), ProofError> {
        match self {
            Self::Proved(key) if key == bound_to => Ok(()),
            other => Err(other.refusal()),
        }
    }
}

/// How a request presents its access token (RFC 6750 §2.1, RFC 9449 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Anybody who has the token may use it.
    Bearer,
    /// Only the owner of the token's key may use it.
    Dpop,
}

impl Scheme {
    /// The scheme of the header `Authorization`, and the token after it. `None` for other schemes.
    #[must_use]
    pub fn of_header(value: &str) -> Option<(Self, &str)> {
        let (scheme, token) = value.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            Some((Self::Bearer, token.trim()))
        } else if scheme.eq_ignore_ascii_case("dpop") {
            Some((Self::Dpop, token.trim()))
        } else {
            None
        }
    }

    /// Whether a request may use an access token that is bound to the key `bound_to`, or to none.
    ///
    /// # Errors
    /// [`ProofError`] if it may not.
    pub fn permits(
        self,
        bound_to: Option<Thumbprint>,
        possession: Possession,
    ) -> Result<(), ProofError> {
        match (bound_to, self) {
            (None, Self::Bearer) => Ok(()),
            (None, Self::Dpop) => Err(ProofError::NotBound),
            (Some(_), Self::Bearer) => Err(ProofError::Missing),
            (Some(key), Self::Dpop) => possession.of(key),
        }
    }
}

/// The request that a proof has to be for.
#[derive(Debug, Clone, Copy)]
pub struct ProofTarget<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The URLs of the resource, without query and fragment. One of them has to match.
    pub urls: &'a [String],
    /// The access token in the request, if the proof has to name it.
    pub access_token: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofHeader {
    typ: String,
    alg: String,
    jwk: Jwk,
    #[serde(default, rename = "kid")]
    _kid: Option<String>,
}

impl JoseHeader for ProofHeader {
    fn alg(&self) -> &str {
        &self.alg
    }
}

/// Other members are ignored (RFC 9449 §4.2).
#[derive(Deserialize)]
struct ProofClaims {
    jti: String,
    htm: String,
    htu: String,
    iat: UnixSeconds,
    nbf: Option<UnixSeconds>,
    exp: Option<UnixSeconds>,
    ath: Option<String>,
    nonce: Option<String>,
}

/// Checks the proof of a request to a service that issues no nonces.
#[must_use]
pub fn possession(proof: &str, target: &ProofTarget<'_>, now: UnixSeconds) -> Possession {
    verify(proof, target, now, |_| true).map_or_else(Possession::Refused, Possession::Proved)
}

/// Checks a proof at `now` (RFC 9449 §4.3) and returns the thumbprint of its key.
///
/// `is_fresh` decides about the nonce. It is called last, so [`ProofError::StaleNonce`] means that
/// nothing else is wrong.
///
/// # Errors
/// [`ProofError`].
pub fn verify(
    proof: &str,
    target: &ProofTarget<'_>,
    now: UnixSeconds,
    is_fresh: impl FnOnce(Option<&str>) -> bool,
) -> Result<Thumbprint, ProofError> {
    let (claims, key) = signed_claims(proof).ok_or(ProofError::Malformed)?;
    let is_for_us = target.urls.iter().any(|url| is_same_resource(&claims.htu, url));
    if claims.htm != target.method || !is_for_us {
        return Err(ProofError::WrongRequest);
    }
    if let Some(token) = target.access_token
        && claims.ath.as_deref() != Some(&to_base64url(&sha256(token.as_bytes())))
    {
        return Err(ProofError::WrongAccessToken);
    }
    let too_old = claims.iat.plus(PROOF_LIFE) < now || claims.exp.is_some_and(|exp| exp <= now);
    let latest = now.plus(PROOF_LIFE);
    if too_old || claims.iat > latest || claims.nbf.is_some_and(|nbf| nbf > latest) {
        return Err(ProofError::WrongTime);
    }
    if is_fresh(claims.nonce.as_deref()) { Ok(key) } else { Err(ProofError::StaleNonce) }
}

/// The claims of a well-formed, correctly signed proof, and the thumbprint of its key.
fn signed_claims(proof: &str) -> Option<(ProofClaims, Thumbprint)> {
    let token: UnverifiedToken<'_, ProofHeader> =
        UnverifiedToken::parse_within(proof, MAX_TOKEN_LEN).ok()?;
    let ProofHeader { typ, jwk, .. } = token.header();
    // Without a private member, the key is asymmetric.
    if typ != TYP || jwk.is_secret() {
        return None;
    }
    let key = jwk.verification_key().ok()?;
    let thumbprint = Thumbprint::from_text(&jwk.thumbprint().ok()?)?;
    let (_, payload) = token.verify(&key).ok()?;
    let claims: ProofClaims = serde_json::from_str(str::from_utf8(&payload).ok()?).ok()?;
    let has_id = !claims.jti.is_empty() && claims.jti.len() <= MAX_JTI_LEN;
    has_id.then_some((claims, thumbprint))
}

/// Whether `htu` names the resource at `url`. Ignores the query and the fragment of `htu`, the case
/// of scheme and host, and the scheme's default port (RFC 9449 §4.3, RFC 3986 §6.2).
fn is_same_resource(htu: &str, url: &str) -> bool {
    let parts = |url: &'_ str| {
        let (scheme, rest) = url.split_once("://")?;
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
        let own_port = if scheme == "https" { ":443" } else { ":80" };
        let host = authority.strip_suffix(own_port).unwrap_or(&authority).to_owned();
        Some((scheme, host, if path.is_empty() { "/" } else { path }.to_owned()))
    };
    parts(htu).is_some_and(|htu| Some(htu) == parts(url))
}

#[cfg(test)]
mod tests;
