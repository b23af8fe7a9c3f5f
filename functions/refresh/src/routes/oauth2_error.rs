//! Error responses of the routes for OAuth libraries (RFC 6749 §5.2).

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use ratchet_core::dpop::ProofError;
use ratchet_http::{
    client_auth::BASIC_CHALLENGE,
    json::json,
    problem::{ProblemCode, proof_code, proof_detail},
};
use serde::Serialize;

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = OAuth2Error))]
pub(crate) struct OAuthError {
    error: &'static str,
    error_description: &'static str,
}

impl OAuthError {
    /// The response to a request that does not prove possession of a key (RFC 9449 §5, §8).
    pub(super) fn refused_proof(error: ProofError) -> Response {
        Self::response(proof_code(error), proof_detail(error))
    }

    /// A response with one of the registered error codes.
    pub(super) fn response(error: &'static str, error_description: &'static str) -> Response {
        Self { error, error_description }.with_status(StatusCode::BAD_REQUEST)
    }

    /// The response to a client that has not authenticated: always the same. It is counted among the
    /// refusals, so that operators see attempts.
    pub(super) fn invalid_client() -> Response {
        let error_description = "authenticate with the id and the secret of a client";
        let error = Self { error: "invalid_client", error_description };
        let code = ProblemCode(error.error);
        let mut response = error.with_status(StatusCode::UNAUTHORIZED);
        let challenge = HeaderValue::from_static(BASIC_CHALLENGE);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response.extensions_mut().insert(code);
        response
    }

    fn with_status(&self, status: StatusCode) -> Response {
        let mut response = json(status, self);
        // RFC 6749 §5.1 requires it beside `no-store`.
        response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        response
    }
}
