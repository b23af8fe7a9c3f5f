//! `POST /oauth2/revoke` (RFC 7009): log-out for OAuth libraries.

use std::fmt;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use ratchet_http::{
    Problem,
    body::{Describe, Form},
    dpop::Proof,
};
use ratchet_service::{
    access::{AccessError, AccessTokenVerifier},
    clock,
    end_sessions::{LogOut, LogOutError},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::oauth2_error::OAuthError;

/// The request body (RFC 7009 §2.1). `token_type_hint` is not needed: only refresh tokens can be
/// revoked.
#[derive(Deserialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = OAuth2RevokeRequest))]
pub(crate) struct Request {
    #[cfg_attr(feature = "contract", schema(value_type = String, min_length = 1))]
    token: Zeroizing<String>,
}

impl Describe for Request {
    const EXPECTED: &'static str = "token=…";
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Ends the session of a refresh token (RFC 7009).
///
/// An invalid token counts as revoked (§2.2). A live access token does not, because it stays valid
/// (§2.2.1).
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/oauth2/revoke", operation_id = "oauth2Revoke",
    params(ratchet_http::contract::ProofOfPossession),
    request_body(
        content = Request, content_type = "application/x-www-form-urlencoded",
        examples(("a-refresh-token" = (summary = "a refresh token", value = json!({
            "token": "rt1_AaIMQeYvc_Ce…",
        })))),
    ),
    responses(
        (status = 200, description = "The session has ended, or there was none"),
        (
            status = 400, description = "A refusal (RFC 7009 §2.2.1)", body = OAuthError,
            example = json!({
                "error": "unsupported_token_type",
                "error_description": "only refresh tokens can be revoked",
            }),
        ),
    ),
))]
pub(crate) async fn handle(
    State(service): State<LogOut>,
    State(verifier): State<AccessTokenVerifier>,
    Proof(possession): Proof,
    request: Result<Form<Request>, Problem>,
) -> Result<Response, Problem> {
    let token = match request {
        // A parameter without a value counts as omitted (RFC 6749 §3.2).
        Ok(Form(request)) if !request.token.is_empty() => request.token,
        Ok(_) | Err(Problem::MalformedRequest { .. }) => {
            return Ok(OAuthError::response("invalid_request", Request::EXPECTED));
        }
        Err(problem) => return Err(problem),
    };
    let is_genuine = match service.log_out(&token, possession).await {
        Err(LogOutError::Unproven(error)) => return Ok(OAuthError::refused_proof(error)),
        answer => answer?,
    };
    if !is_genuine {
        match verifier.verify(&token, clock::now()).await {
            Ok(_) => {
                let description = "only refresh tokens can be revoked";
                return Ok(OAuthError::response("unsupported_token_type", description));
            }
            Err(AccessError::Fault(fault)) => return Err(fault.into()),
            Err(_) => {}
        }
    }
    Ok(StatusCode::OK.into_response())
}
