//! Error responses of the routes for OAuth libraries (RFC 6749 §5.2).

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use ratchet_http::json::json;
use serde::Serialize;

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = OAuth2Error))]
pub(crate) struct OAuthError {
    error: &'static str,
    error_description: &'static str,
}

impl OAuthError {
    /// A response with one of the registered error codes.
    pub(super) fn response(error: &'static str, error_description: &'static str) -> Response {
        let mut response = json(StatusCode::BAD_REQUEST, &Self { error, error_description });
        // RFC 6749 §5.1 requires it beside `no-store`.
        response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        response
    }
}
