//! Token pairs: issues them, and reads refresh tokens that clients present.

use std::sync::Arc;

use ratchet_core::{
    access_token::{self, AccessTokenPolicy, Claims, Subject},
    authentication::Authentication,
    device_token::EncodedDeviceToken,
    entropy::random,
    ids::SessionId,
    key_ring::KeyRing,
    refresh_token::{EncodedRefreshToken, RefreshToken, RefreshTokenError},
    second_factor::RecoveryCode,
    session::Session,
    time::{UnixMillis, refresh_after},
    user::User,
};
use ratchet_store::{KeyRingCache, LoadError};
use zeroize::Zeroizing;

use crate::Fault;

/// An access token and a refresh token on their way to the client. All durations are in seconds
/// from now.
#[derive(Debug)]
pub struct TokenPair {
    /// The session.
    pub session_id: SessionId,
    /// The access token.
    pub access_token: Zeroizing<String>,
    /// The refresh token.
    pub refresh_token: EncodedRefreshToken,
    /// Whether both are bound to a key.
    pub is_bound: bool,
    /// How long the access token lives.
    pub expires_in: u64,
    /// How long the refresh token lives if it is not used.
    pub refresh_token_expires_in: u64,
    /// How long the session lives, however often it is refreshed.
    pub session_expires_in: u64,
    /// When the client should refresh.
    pub refresh_after: u64,
    /// Shows at the next sign-in that this device has signed in before.
    pub device_token: Option<EncodedDeviceToken>,
    /// The recovery codes of a second factor that the sign-in has switched on.
    pub recovery_codes: Option<Vec<RecoveryCode>>,
}

/// A fresh access token of a session whose refresh token stays as it is.
#[derive(Debug)]
pub struct FreshAccessToken {
    /// The access token.
    pub access_token: Zeroizing<String>,
    /// Whether it is bound to a key.
    pub is_bound: bool,
    /// How long it lives, in seconds.
    pub expires_in: u64,
    /// When the client should refresh, in seconds.
    pub refresh_after: u64,
}

/// Issues token pairs.
#[derive(Debug, Clone)]
pub(crate) struct TokenIssuer {
    policy: Arc<AccessTokenPolicy>,
}

impl TokenIssuer {
    pub(crate) fn new(policy: AccessTokenPolicy) -> Self {
        Self { policy: Arc::new(policy) }
    }

    /// Issues the access token that answers a step-up of the caller with these claims.
    ///
    /// # Errors
    /// [`Fault`] if there is no key to sign with, or no randomness.
    pub(crate) fn issue_stepped_up(
        &self,
        user: &User,
        claims: &Claims,
        authentication: Authentication,
        ring: &KeyRing,
    ) -> Result<FreshAccessToken, Fault> {
        let now = authentication.at.seconds();
        let subject = Subject {
            user_id: user.id,
            session_id: claims.sid,
            auth_time: now,
            name: user.name.clone(),
            roles: user.roles.clone(),
            claims: user.claims.clone(),
            jkt: claims.jkt(),
            amr: authentication.amr,
            step_up: true,
        };
        let [jitter] = random()?;
        Ok(FreshAccessToken {
            access_token: access_token::issue(&subject, &self.policy, ring, now, random()?)?,
            is_bound: subject.jkt.is_some(),
            expires_in: self.policy.life.as_secs(),
            refresh_after: refresh_after(self.policy.life, jitter),
        })
    }

    /// Issues the pair for `session`, whose live token is `refresh_token`.
    ///
    /// # Errors
    /// [`Fault`] if there is no key to sign or tag with, or no randomness.
    pub(crate) fn issue(
        &self,
        user: &User,
        session: &Session,
        refresh_token: &RefreshToken,
        ring: &KeyRing,
        now: UnixMillis,
    ) -> Result<TokenPair, Fault> {
        let seconds = now.seconds();
        let Authentication { at, amr } = session.authentication();
        let subject = Subject {
            user_id: user.id,
            session_id: session.session_id,
            auth_time: at.seconds(),
            name: user.name.clone(),
            roles: user.roles.clone(),
            claims: user.claims.clone(),
            jkt: session.jkt,
            amr,
            step_up: false,
        };
        let tag_key = ring.tagger(seconds).ok_or(Fault::NoTagKey)?;
        let [jitter] = random()?;
        Ok(TokenPair {
            session_id: session.session_id,
            access_token: access_token::issue(&subject, &self.policy, ring, seconds, random()?)?,
            refresh_token: refresh_token.encode(tag_key),
            is_bound: session.jkt.is_some(),
            expires_in: self.policy.life.as_secs(),
            refresh_token_expires_in: session.expires_at.seconds_since(seconds),
            session_expires_in: session.absolute_expires_at.seconds_since(seconds),
            refresh_after: refresh_after(self.policy.life, jitter),
            device_token: None,
            recovery_codes: None,
        })
    }
}

/// Reads a refresh token. `None` if it is not genuine.
///
/// # Errors
/// [`LoadError`] if its tag may have been made with a key that could not be loaded: a fault must
/// not sign a client out.
pub(crate) async fn read_refresh_token(
    key_ring: &KeyRingCache,
    text: &str,
    now: UnixMillis,
) -> Result<Option<RefreshToken>, LoadError> {
    let forged = |error: &RefreshTokenError| *error == RefreshTokenError::Forged;
    let read =
        key_ring.read(now, forged, |ring| RefreshToken::parse(text, ring.tag_keys(now.seconds())));
    Ok(read.await?.ok())
}
