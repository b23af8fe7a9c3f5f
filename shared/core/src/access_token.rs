//! Access tokens: JWTs (RFC 7519) of the profile RFC 9068, issued and verified strictly.
//!
//! [`jws`](crate::jws) checks signatures. This module checks every claim, at the time that the caller
//! passes in (RFC 8725 §3).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    amr::Amr,
    custom_claims::CustomClaims,
    dpop::Thumbprint,
    encoding::to_base64url,
    ids::{SessionId, UserId},
    jws::{JwsError, MAX_TOKEN_LEN, SignError, UnverifiedToken, VerificationKey},
    key_ring::KeyRing,
    time::UnixSeconds,
};

/// The header's `typ` (RFC 9068 §2.1). It keeps other JWTs of the same issuer out.
const TYP: &str = "at+jwt";

/// The longest life that a configuration can give to a token.
pub const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// The greatest total length of issuer, audience and client id, in bytes, each as a JSON string.
///
/// A user's name, roles and custom claims are limited too. So no token is longer than
/// [`MAX_TOKEN_LEN`], even if it is signed with an RSA key of 2048 bits.
pub const MAX_ORIGIN_LEN: usize = 544;

/// The contents of access tokens, and what a verifier accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenPolicy {
    /// `iss`, compared exactly.
    pub issuer: String,
    /// Former values of `issuer`. Tokens of these issuers are accepted until they expire.
    pub former_issuers: Vec<String>,
    /// `aud`, compared exactly; a list is never accepted.
    pub audience: String,
    /// Former values of `audience`, accepted in the same way.
    pub former_audiences: Vec<String>,
    /// `client_id` (RFC 9068 §2.2) of the first-party client.
    pub client_id: String,
    /// How long a token lives. One that was issued for longer, by an earlier configuration, expires
    /// after this time too.
    pub life: Duration,
    /// How far the clocks of issuer and verifier may differ, for every claim.
    pub clock_skew: Duration,
    /// How far `iat` and `nbf` may be in the future, if that is more than `clock_skew`. Unlike
    /// `clock_skew` it does not extend the life of a token.
    pub leeway: Duration,
}

impl AccessTokenPolicy {
    /// When a token with these claims expires under this policy, without any clock skew.
    #[must_use]
    pub fn expires_at(&self, claims: &Claims) -> UnixSeconds {
        claims.exp.min(claims.iat.plus(self.life))
    }

    /// Whether issuer, audience and client id leave enough room for everything else in a token.
    #[must_use]
    pub fn leaves_room(&self) -> bool {
        let texts = [&self.issuer, &self.audience, &self.client_id];
        let len = |text| serde_json::to_string(text).map_or(usize::MAX, |json| json.len());
        texts.map(len).iter().fold(0_usize, |sum, len| sum.saturating_add(*len)) <= MAX_ORIGIN_LEN
    }

    /// The second in which a token with these claims is no longer accepted.
    fn expiry(&self, claims: &Claims) -> UnixSeconds {
        self.expires_at(claims).plus(self.clock_skew)
    }

    /// The URLs of the resource at `path`, under the issuer and under each former issuer.
    #[must_use]
    pub fn urls(&self, path: &str) -> Vec<String> {
        let issuers = std::iter::once(&self.issuer).chain(&self.former_issuers);
        issuers.map(|issuer| format!("{}{path}", issuer.trim_end_matches('/'))).collect()
    }

    fn check_origin(&self, claims: &Claims) -> Result<(), AccessTokenError> {
        let is_ours = claims.iss == self.issuer || self.former_issuers.contains(&claims.iss);
        let is_for_us = claims.aud == self.audience || self.former_audiences.contains(&claims.aud);
        if is_ours && is_for_us { Ok(()) } else { Err(AccessTokenError::Foreign) }
    }

    fn check_times(&self, claims: &Claims, now: UnixSeconds) -> Result<(), AccessTokenError> {
        let latest = now.plus(self.clock_skew.max(self.leeway));
        let life = claims.exp.get().checked_sub(claims.iat.get());
        let longest = self.life.max(LONGEST_LIFE).as_secs();
        if life.is_none_or(|life| life > longest) {
            Err(AccessTokenError::ImpossibleTimes)
        } else if claims.iat > latest || claims.nbf.is_some_and(|nbf| nbf > latest) {
            Err(AccessTokenError::NotYetValid)
        } else {
            Ok(())
        }
    }
}

/// The part of the claims that comes from the user and the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `sub`.
    pub user_id: UserId,
    /// `sid`.
    pub session_id: SessionId,
    /// `auth_time`: when the user was authenticated last.
    pub auth_time: UnixSeconds,
    /// `amr`: how the user was authenticated then.
    pub amr: Amr,
    /// `step_up`: whether this token is the answer to a step-up.
    pub step_up: bool,
    /// `name`: the user name.
    pub name: String,
    /// `roles`.
    pub roles: Vec<String>,
    /// The custom claims.
    pub claims: CustomClaims,
    /// `cnf`: the key that the session is bound to, if it is.
    pub jkt: Option<Thumbprint>,
}

/// The claims of an access token (RFC 7519 §4.1, RFC 9068 §2.2).
///
/// The integer types reject floats, negative numbers and strings. A claim that comes twice is an error
/// too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The user.
    pub sub: UserId,
    /// The audience.
    pub aud: String,
    /// When the token expires: in that second it is no longer accepted.
    pub exp: UnixSeconds,
    /// When it was issued.
    pub iat: UnixSeconds,
    /// When it becomes valid, if not at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<UnixSeconds>,
    /// The token's own id.
    pub jti: String,
    /// The OAuth client.
    pub client_id: String,
    /// The session.
    pub sid: SessionId,
    /// When the user was authenticated last: by the sign-in, or by a step-up.
    pub auth_time: UnixSeconds,
    /// How the user was authenticated then, with the names of [`Amr`]. Empty in tokens of earlier
    /// releases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// Whether this token is the answer to a step-up. Tokens of a refresh are not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub step_up: bool,
    /// The user name.
    pub name: String,
    /// The roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The key that the token is bound to, if any. A bound token is refused without a proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// The custom claims, which are at the same level in the token.
    #[serde(flatten, skip_deserializing)]
    pub custom: CustomClaims,
}

impl Claims {
    /// Reads the payload of a token.
    fn parse(payload: &str) -> Option<Self> {
        let claims: Self = serde_json::from_str(payload).ok()?;
        Some(Self { custom: CustomClaims::within(payload).ok()?, ..claims })
    }

    /// The key that the token is bound to, if it is.
    #[must_use]
    pub fn jkt(&self) -> Option<Thumbprint> {
        self.cnf.as_ref().map(|cnf| cnf.jkt)
    }
}

/// How the sender of a token proves that it is theirs (RFC 7800 §3.1).
///
/// # Security
/// Any other member would require a proof that is not checked here, so it is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// With a DPoP proof by the key with this thumbprint (RFC 9449 §6.1).
    pub jkt: Thumbprint,
}

/// No access token can be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The ring has no key that may sign now.
    #[error("no key of the key ring may sign access tokens now")]
    NoSigner,
    /// The cryptographic library refused.
    #[error("the access token could not be signed")]
    Sign(#[from] SignError),
    /// The token would be too long for verifiers. The limits on its contents rule this out, unless
    /// another program wrote the user's item or the ring has an RSA key of more than 2048 bits.
    #[error("the access token would be longer than {MAX_TOKEN_LEN} bytes")]
    TooLong,
}

/// Issues an access token at `now`. `jti` is sixteen fresh random bytes.
///
/// # Errors
/// [`IssueError`]. A session must not change for an answer that cannot be given, so callers look for a
/// signing key before any write.
pub fn issue(
    subject: &Subject,
    policy: &AccessTokenPolicy,
    ring: &KeyRing,
    now: UnixSeconds,
    jti: [u8; 16],
) -> Result<Zeroizing<String>, IssueError> {
    let key = ring.signer(now).ok_or(IssueError::NoSigner)?;
    let claims = Claims {
        iss: policy.issuer.clone(),
        sub: subject.user_id,
        aud: policy.audience.clone(),
        exp: now.plus(policy.life),
        iat: now,
        nbf: None,
        jti: to_base64url(&jti),
        client_id: policy.client_id.clone(),
        sid: subject.session_id,
        auth_time: subject.auth_time,
        amr: subject.amr.names().map(str::to_owned).collect(),
        step_up: subject.step_up,
        name: subject.name.clone(),
        roles: subject.roles.clone(),
        cnf: subject.jkt.map(|jkt| Confirmation { jkt }),
        custom: subject.claims.clone(),
    };
    let payload = Zeroizing::new(serde_json::to_vec(&claims).map_err(|_| SignError)?);
    let token = key.sign(TYP, &payload)?;
    if token.len() > MAX_TOKEN_LEN { Err(IssueError::TooLong) } else { Ok(token) }
}

/// Why a text is not an access token of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// Not a JWS, or not signed by the key that its `kid` names.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// No known key has the token's `kid`. It may be newer than the keys at hand, or removed since.
    #[error("the token's kid names no key of the ring")]
    UnknownKey,
    /// The header's `typ` is not `at+jwt`.
    #[error("the token is of another type")]
    WrongType,
    /// A claim is missing, comes twice or has the wrong type.
    #[error("the token's claims are malformed")]
    MalformedClaims,
    /// `iss` or `aud` is not ours.
    #[error("the token is of another issuer or for another audience")]
    Foreign,
    /// `iat` or `nbf` is in the future: the issuer's clock is ahead of the verifier's.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The token expires before it is issued, or lives longer than any configuration allows.
    #[error("the token's times are impossible")]
    ImpossibleTimes,
}

impl AccessTokenError {
    /// Whether newer keys may verify the token.
    #[must_use]
    pub fn takes_unknown_key(&self) -> bool {
        *self == Self::UnknownKey
    }

    /// Whether the client should refresh. The token may have been valid: its key may have been
    /// removed, its issuer's clock may be ahead, or issuer or audience may have changed. Not for
    /// malformed and forged tokens.
    ///
    /// # Security
    /// A hint for clients. With [`Self::UnknownKey`] nothing about the token was verified.
    #[must_use]
    pub const fn refreshing_may_help(&self) -> bool {
        match self {
            Self::UnknownKey | Self::Foreign | Self::NotYetValid => true,
            Self::Jws(_) | Self::WrongType | Self::MalformedClaims | Self::ImpossibleTimes => false,
        }
    }
}

/// The claims of a genuine access token, and whether it has expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// Within its life.
    Live(Claims),
    /// Genuine in everything but its lifetime.
    Expired(Claims),
}

/// Verifies an access token at `now`.
///
/// # Errors
/// [`AccessTokenError`] unless the token is genuine; being expired is not an error but a
/// [`Verified::Expired`].
pub fn verify(
    token: &str,
    policy: &AccessTokenPolicy,
    ring: &KeyRing,
    now: UnixSeconds,
) -> Result<Verified, AccessTokenError> {
    let verified = verify_with(token, policy, |kid| ring.verification_key(kid, now), now);
    if verified != Err(AccessTokenError::UnknownKey) {
        return verified;
    }
    // Even if the token's key was retired, tell the client that its token has expired, so that it
    // refreshes. A retired key proves nothing else.
    let claims = verify_signature(token, ring)?;
    policy.check_origin(&claims)?;
    let expired = claims.iat <= now && policy.expiry(&claims) <= now;
    if expired { Ok(Verified::Expired(claims)) } else { Err(AccessTokenError::UnknownKey) }
}

/// As [`verify`], with keys that need not be a ring: `key` finds one by its id.
///
/// # Errors
/// [`AccessTokenError`].
pub fn verify_with<'k>(
    token: &str,
    policy: &AccessTokenPolicy,
    key: impl FnOnce(&str) -> Option<&'k VerificationKey>,
    now: UnixSeconds,
) -> Result<Verified, AccessTokenError> {
    let claims = signed_claims(token, key)?;
    policy.check_origin(&claims)?;
    policy.check_times(&claims, now)?;
    if policy.expiry(&claims) <= now {
        Ok(Verified::Expired(claims))
    } else {
        Ok(Verified::Live(claims))
    }
}

/// Verifies that a key of the ring signed this access token, whatever its times, issuer and audience:
/// for refreshing, where the access token only has to belong to the refresh token's session.
///
/// A client that comes back after weeks brings the token of its last visit. Meanwhile its key may have
/// been retired, and the configured life, issuer and audience may have changed. None of that
/// affects its refresh token.
///
/// # Errors
/// [`AccessTokenError`]. With [`AccessTokenError::UnknownKey`] the token may be of a removed key,
/// and says nothing about its refresh token.
pub fn verify_signature(token: &str, ring: &KeyRing) -> Result<Claims, AccessTokenError> {
    signed_claims(token, |kid| ring.retired_or_verification_key(kid))
}

/// The claims of a token whose signature, type and form are right.
fn signed_claims<'k>(
    token: &str,
    key: impl FnOnce(&str) -> Option<&'k VerificationKey>,
) -> Result<Claims, AccessTokenError> {
    let token = UnverifiedToken::parse(token)?;
    // The key is chosen by `kid` alone (RFC 8725 §3.1), and only from the ring.
    let kid = token.header().kid.as_deref().ok_or(AccessTokenError::UnknownKey)?;
    let key = key(kid).ok_or(AccessTokenError::UnknownKey)?;
    let (header, payload) = token.verify(key)?;
    if header.typ.as_deref() != Some(TYP) {
        return Err(AccessTokenError::WrongType);
    }
    // As text first: the parser does not check the UTF-8 of members that it skips.
    str::from_utf8(&payload).ok().and_then(Claims::parse).ok_or(AccessTokenError::MalformedClaims)
}

#[cfg(test)]
mod tests;
