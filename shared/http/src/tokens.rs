//! Responses with tokens (RFC 6749 §5.1).

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use ratchet_core::{device_token::EncodedDeviceToken, second_factor::RecoveryCode};
use ratchet_service::tokens::{FreshAccessToken, TokenPair};
use serde::Serialize;

use crate::json::json;

/// A token pair as a response, with the refresh token in the body.
#[derive(Debug)]
pub struct TokenResponse(pub TokenPair);

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema))]
pub(crate) struct Body<'a> {
    /// A JWT (RFC 9068), for the header `Authorization`.
    pub(crate) access_token: &'a str,
    /// How to present the access token: `Bearer`, or `DPoP` if it is bound to a key (RFC 9449 §5).
    pub(crate) token_type: &'static str,
    /// Life of the access token, in seconds.
    pub(crate) expires_in: u64,
    /// For the next `POST /refresh`. Absent if it is in the cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<&'a str>,
    /// Life of the refresh token unless it is used before, in seconds.
    pub(crate) refresh_token_expires_in: u64,
    /// Life of the session however often it is refreshed, in seconds.
    pub(crate) session_expires_in: u64,
    /// When to refresh, in seconds: spread, so that clients do not come all at once.
    pub(crate) refresh_after: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device_token: Option<&'a str>,
    /// Recovery codes of the second factor that this sign-in has switched on. They are shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recovery_codes: Option<Vec<String>>,
}

#[cfg(feature = "contract")]
impl utoipa::PartialSchema for TokenResponse {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        Body::schema()
    }
}

#[cfg(feature = "contract")]
impl utoipa::ToSchema for TokenResponse {
    fn name() -> std::borrow::Cow<'static, str> {
        "TokenPair".into()
    }
}

impl IntoResponse for TokenResponse {
    fn into_response(self) -> Response {
        let Self(pair) = self;
        response(&pair, Some(pair.refresh_token.expose()))
    }
}

/// A fresh access token as a response. The client keeps its refresh token.
#[derive(Debug)]
pub struct AccessTokenResponse(pub FreshAccessToken);

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema))]
struct AccessTokenBody<'a> {
    /// A JWT (RFC 9068), for the header `Authorization`.
    access_token: &'a str,
    /// How to present it: `Bearer`, or `DPoP` if it is bound to a key (RFC 9449 §5).
    token_type: &'static str,
    /// Its life, in seconds.
    expires_in: u64,
    /// When to refresh, in seconds: spread, so that clients do not come all at once.
    refresh_after: u64,
}

impl IntoResponse for AccessTokenResponse {
    fn into_response(self) -> Response {
        let Self(FreshAccessToken { access_token, is_bound, expires_in, refresh_after }) = self;
        let token_type = token_type(is_bound);
        let access_token = &access_token;
        json(
            StatusCode::OK,
            &AccessTokenBody { access_token, token_type, expires_in, refresh_after },
        )
    }
}

#[cfg(feature = "contract")]
impl utoipa::PartialSchema for AccessTokenResponse {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        AccessTokenBody::schema()
    }
}

#[cfg(feature = "contract")]
impl utoipa::ToSchema for AccessTokenResponse {
    fn name() -> std::borrow::Cow<'static, str> {
        "AccessToken".into()
    }
}

#[cfg(feature = "contract")]
impl AccessTokenResponse {
    /// An example for the description of the API.
    #[must_use]
    pub fn example() -> Option<serde_json::Value> {
        let access_token = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.….…";
        let (token_type, expires_in, refresh_after) = (token_type(false), 300, 214);
        let body = AccessTokenBody { access_token, token_type, expires_in, refresh_after };
        serde_json::to_value(body).ok()
    }
}

const fn token_type(is_bound: bool) -> &'static str {
    if is_bound { "DPoP" } else { "Bearer" }
}

/// The response for a client whose refresh token travels in a cookie.
pub(crate) fn without_refresh_token(pair: &TokenPair) -> Response {
    response(pair, None)
}

fn response(pair: &TokenPair, refresh_token: Option<&str>) -> Response {
    let body = Body {
        access_token: &pair.access_token,
        token_type: token_type(pair.is_bound),
        expires_in: pair.expires_in,
        refresh_token,
        refresh_token_expires_in: pair.refresh_token_expires_in,
        session_expires_in: pair.session_expires_in,
        refresh_after: pair.refresh_after,
        device_token: pair.device_token.as_ref().map(EncodedDeviceToken::expose),
        recovery_codes: pair
            .recovery_codes
            .as_ref()
            .map(|codes| codes.iter().map(RecoveryCode::expose).collect()),
    };
    json(StatusCode::OK, &body)
}
