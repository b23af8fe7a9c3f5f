//! Error answers of the routes for libraries that speak OAuth (RFC 6749 §5.2).

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use ratchet_http::tokens::json;
use serde::Serialize;

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "OAuth2Error"))]
pub(crate) struct OAuthError {
    error: &'static str,
    error_description: &'static str,
}

impl OAuthError {
    /// The answer with one of the registered error codes.
    pub(super) fn answer(error: &'static str, error_description: &'static str) -> Response {
        let mut response = json(StatusCode::BAD_REQUEST, &Self { error, error_description });
        // RFC 6749 §5.1 asks for it beside `no-store`.
        response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        response
    }
}
