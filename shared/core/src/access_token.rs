//! Access tokens: JWTs (RFC 7519) of the profile RFC 9068, issued and verified strictly.
//!
//! Signatures are [`jws`](crate::jws)'s business; every claim is checked here, against the one
//! clock that the caller passes in (RFC 8725 §3).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    encoding::to_base64url,
    ids::{SessionId, UserId},
    jws::{JwsError, SignError, UnverifiedToken, VerificationKey},
    key_ring::KeyRing,
    time::UnixSeconds,
};

/// The header's `typ` (RFC 9068 §2.1). It keeps other JWTs of the same issuer out.
const TYP: &str = "at+jwt";

/// What issuer and verifier of access tokens have to agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenPolicy {
    /// `iss`, compared exactly.
    pub issuer: String,
    /// `aud`, compared exactly; a list is never accepted.
    pub audience: String,
    /// `client_id` (RFC 9068 §2.2) of the first-party client.
    pub client_id: String,
    /// How long a token lives, and the longest life that is accepted.
    pub life: Duration,
    /// How far the clocks of issuer and verifier may differ.
    pub clock_skew: Duration,
}

/// Who a token is for: the part of the claims that comes from the user and the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `sub`.
    pub user_id: UserId,
    /// `sid`.
    pub session_id: SessionId,
    /// `auth_time`: when the password was proved.
    pub auth_time: UnixSeconds,
    /// `name`: the user name.
    pub name: String,
    /// `roles`.
    pub roles: Vec<String>,
}

/// The claims of an access token (RFC 7519 §4.1, RFC 9068 §2.2).
///
/// The integer types refuse floats, negative numbers and strings; a claim that comes twice is an
/// error too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The user.
    pub sub: UserId,
    /// The audience.
    pub aud: String,
    /// When the token's life ends: it is no longer accepted in that second.
    pub exp: UnixSeconds,
    /// When it was issued.
    pub iat: UnixSeconds,
    /// When its life begins, if not at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<UnixSeconds>,
    /// The token's own id.
    pub jti: String,
    /// The OAuth client.
    pub client_id: String,
    /// The session.
    pub sid: SessionId,
    /// When the password was proved.
    pub auth_time: UnixSeconds,
    /// The user name.
    pub name: String,
    /// The roles.
    #[serde(default)]
    pub roles: Vec<String>,
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
}

/// Issues an access token at `now`. `jti` is sixteen fresh random bytes.
///
/// # Errors
/// [`IssueError`]. A session must not be changed for an answer that can not be given: whether a key
/// may sign is looked up before any write; who the token is for is read while that is under way.
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
        name: subject.name.clone(),
        roles: subject.roles.clone(),
    };
    let payload = Zeroizing::new(serde_json::to_vec(&claims).map_err(|_| SignError)?);
    Ok(key.sign(TYP, &payload)?)
}

/// Why a text is no access token of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// Not a JWS, or not signed by the key that its `kid` names.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The ring has no such key: it may have been rotated since it was loaded.
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
    /// `iat` or `nbf` lies ahead: the issuer's clock is ahead of the verifier's.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The life is longer than the configured one, or ends before it begins.
    #[error("the token's times make no sense")]
    ImpossibleTimes,
}

impl AccessTokenError {
    /// Whether newer keys may verify what these do not.
    #[must_use]
    pub fn takes_unknown_key(&self) -> bool {
        *self == Self::UnknownKey
    }

    /// Whether the token may have been good, so that its client should refresh it: its key may have
    /// been removed, it may be a moment ahead, or issuer or audience may have changed. What is
    /// malformed or forged stays so.
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

/// What a genuine access token says, and whether it still counts.
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
/// [`AccessTokenError`] unless the token is genuine; being expired is no error but a
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
    // Whoever comes back after the key was retired is told the same as before: that the token has
    // expired, and so that it can be refreshed. A retired key attests nothing else.
    let claims = genuine(token, policy, |kid| ring.retired_or_verification_key(kid))?;
    let expired = claims.iat <= now && claims.exp.plus(policy.clock_skew) <= now;
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
    let claims = genuine(token, policy, key)?;
    check_times(&claims, policy, now)?;
    if claims.exp.plus(policy.clock_skew) <= now {
        Ok(Verified::Expired(claims))
    } else {
        Ok(Verified::Live(claims))
    }
}

/// Verifies an access token in everything but its lifetime: for refreshing, where an expired one
/// is welcome.
///
/// A client that comes back after weeks brings the token of its last visit: the key may have been
/// retired since, and the configured life may have become shorter. Neither makes its refresh token
/// worse, so every key that the ring still has counts here, and no point in time does.
///
/// # Errors
/// [`AccessTokenError`] unless the token is genuine.
pub fn verify_whatever_its_age(
    token: &str,
    policy: &AccessTokenPolicy,
    ring: &KeyRing,
) -> Result<Claims, AccessTokenError> {
    genuine(token, policy, |kid| ring.retired_or_verification_key(kid))
}

/// The claims of a token that is ours, checked in everything but time.
fn genuine<'k>(
    token: &str,
    policy: &AccessTokenPolicy,
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
    // As text first: the parser does not look at the letters of members that it skips.
    let claims: Claims = str::from_utf8(&payload)
        .ok()
        .and_then(|payload| serde_json::from_str(payload).ok())
        .ok_or(AccessTokenError::MalformedClaims)?;
    if claims.iss == policy.issuer && claims.aud == policy.audience {
        Ok(claims)
    } else {
        Err(AccessTokenError::Foreign)
    }
}

fn check_times(
    claims: &Claims,
    policy: &AccessTokenPolicy,
    now: UnixSeconds,
) -> Result<(), AccessTokenError> {
    let latest = now.plus(policy.clock_skew);
    let begun = claims.iat <= latest && claims.nbf.is_none_or(|nbf| nbf <= latest);
    let life = claims.exp.get().checked_sub(claims.iat.get());
    if life.is_none_or(|life| life > policy.life.as_secs()) {
        Err(AccessTokenError::ImpossibleTimes)
    } else if begun {
        Ok(())
    } else {
        Err(AccessTokenError::NotYetValid)
    }
}

#[cfg(test)]
mod tests;
