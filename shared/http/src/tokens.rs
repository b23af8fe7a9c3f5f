//! The answer that carries a token pair (RFC 6749 §5.1).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use ratchet_core::{
    access_token::{self, AccessTokenPolicy, Subject},
    device_token::EncodedDeviceToken,
    entropy::random,
    key_ring::KeyRing,
    refresh_token::{EncodedRefreshToken, RefreshToken},
    session::Session,
    time::{UnixMillis, refresh_after},
    user::User,
};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::Problem;

/// A token pair on its way to the client.
#[derive(Debug)]
pub struct TokenPair {
    access_token: Zeroizing<String>,
    refresh_token: EncodedRefreshToken,
    expires_in: u64,
    refresh_token_expires_in: u64,
    session_expires_in: u64,
    refresh_after: u64,
    device_token: Option<EncodedDeviceToken>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "TokenPair"))]
pub(crate) struct Body<'a> {
    /// A JWT (RFC 9068), for the header `Authorization: Bearer …`.
    access_token: &'a str,
    /// `Bearer`.
    token_type: &'static str,
    /// Life of the access token, in seconds.
    expires_in: u64,
    /// For the next `POST /refresh`. Not there if it is in the cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    /// Life of the refresh token if it is not used before, in seconds.
    refresh_token_expires_in: u64,
    /// Life of the session however often it is refreshed, in seconds.
    session_expires_in: u64,
    /// When to refresh, in seconds: spread, so that clients do not come all at once.
    refresh_after: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<&'a str>,
}

impl TokenPair {
    /// Issues the pair for `session`, whose live token is `refresh_token`.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] if nothing can be signed or drawn.
    pub fn issue(
        user: &User,
        session: &Session,
        refresh_token: &RefreshToken,
        policy: &AccessTokenPolicy,
        ring: &KeyRing,
        now: UnixMillis,
    ) -> Result<Self, Problem> {
        let seconds = now.seconds();
        let subject = Subject {
            user_id: user.id,
            session_id: session.session_id,
            auth_time: session.auth_time.seconds(),
            name: user.name.clone(),
            roles: user.roles.clone(),
        };
        let tag_key = ring.tagger(seconds).ok_or(Problem::Unavailable)?;
        let [jitter] = random()?;
        Ok(Self {
            access_token: access_token::issue(&subject, policy, ring, seconds, random()?)?,
            refresh_token: refresh_token.encode(tag_key),
            expires_in: policy.life.as_secs(),
            refresh_token_expires_in: session.expires_at.seconds_since(seconds),
            session_expires_in: session.absolute_expires_at.seconds_since(seconds),
            refresh_after: refresh_after(policy.life, jitter),
            device_token: None,
        })
    }

    /// The pair, and what shows next time that this device has signed in before.
    #[must_use]
    pub fn with_device_token(self, device_token: EncodedDeviceToken) -> Self {
        Self { device_token: Some(device_token), ..self }
    }
}

impl TokenPair {
    /// The refresh token, to be sent.
    #[must_use]
    pub fn refresh_token(&self) -> &str {
        self.refresh_token.expose()
    }

    /// When the refresh token ends if it is not used before, in seconds from now.
    #[must_use]
    pub const fn refresh_token_expires_in(&self) -> u64 {
        self.refresh_token_expires_in
    }

    /// The answer of a client whose refresh token travels in a cookie.
    #[must_use]
    pub fn without_refresh_token(&self) -> Response {
        self.response(None)
    }

    fn response(&self, refresh_token: Option<&str>) -> Response {
        let body = Body {
            access_token: &self.access_token,
            token_type: "Bearer",
            expires_in: self.expires_in,
            refresh_token,
            refresh_token_expires_in: self.refresh_token_expires_in,
            session_expires_in: self.session_expires_in,
            refresh_after: self.refresh_after,
            device_token: self.device_token.as_ref().map(EncodedDeviceToken::expose),
        };
        json(StatusCode::OK, &body)
    }
}

impl IntoResponse for TokenPair {
    fn into_response(self) -> Response {
        self.response(Some(self.refresh_token.expose()))
    }
}

/// A JSON answer.
#[must_use]
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let Ok(body) = serde_json::to_vec(body) else {
        return Problem::Internal.into_response();
    };
    let content_type = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
