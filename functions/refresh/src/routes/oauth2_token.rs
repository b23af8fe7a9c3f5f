//! `POST /oauth2/token`: the same refresh for OAuth libraries (RFC 6749 §6).

use std::fmt;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use ratchet_http::{
    Problem,
    body::{Describe, Form},
    caller::Caller,
    dpop::Proof,
    optional,
    tokens::TokenResponse,
};
use ratchet_service::refresh::Refresh;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::oauth2_error::OAuthError;

/// The request body (RFC 6749 §6). `client_id` is neither needed nor read.
#[derive(Deserialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = OAuth2TokenRequest))]
pub(crate) struct Request {
    /// `refresh_token`.
    #[serde(default, deserialize_with = "optional")]
    grant_type: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    refresh_token: Option<Zeroizing<String>>,
    /// No session has scopes, so none can be asked for.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(pattern = "^$"))]
    scope: Option<String>,
}

impl Describe for Request {
    const EXPECTED: &'static str = "grant_type=refresh_token&refresh_token=…";
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Exchanges a refresh token for the next token pair (RFC 6749 §6).
///
/// All other grants are refused. RFC 9700 §2.4 forbids the password grant; `/authenticate` is for
/// first-party clients only.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/oauth2/token", operation_id = "oauth2Token",
    params(ratchet_http::contract::ProofOfPossession),
    request_body(
        content = Request, content_type = "application/x-www-form-urlencoded",
        examples(("a-refresh-token" = (summary = "a refresh token", value = json!({
            "grant_type": "refresh_token", "refresh_token": "rt1_AaIMQeYvc_Ce…",
        })))),
    ),
    responses(
        (status = 200, response = inline(ratchet_http::contract::NextTokenPair)),
        (
            status = 400, description = "A refusal (RFC 6749 §5.2)", body = OAuthError,
            example = json!({"error": "invalid_grant", "error_description": "revoked"}),
        ),
    ),
))]
pub(crate) async fn handle(
    State(service): State<Refresh>,
    proof: Result<Proof, Problem>,
    caller: Caller,
    request: Result<Form<Request>, Problem>,
) -> Response {
    let invalid_request = || OAuthError::response("invalid_request", Request::EXPECTED);
    let request = match request {
        Ok(Form(request)) => request,
        Err(Problem::MalformedRequest { .. }) => return invalid_request(),
        Err(problem) => return problem.into_response(),
    };
    let Proof(possession) = match proof {
        Ok(proof) => proof,
        Err(problem) => return problem.into_response(),
    };
    let Request { grant_type, refresh_token, scope } = request;
    match (grant_type.as_deref(), refresh_token) {
        // A response without `scope` would grant what was asked for (RFC 6749 §5.1).
        (Some("refresh_token"), Some(_)) if scope.is_some() => {
            OAuthError::response("invalid_scope", "there are no scopes here: leave it out")
        }
        (Some("refresh_token"), Some(refresh_token)) => {
            let pair = service.refresh(&refresh_token, None, possession, caller.origin).await;
            match pair.map_err(Problem::from) {
                Ok(pair) => TokenResponse(pair).into_response(),
                Err(problem @ Problem::InvalidAttempt(_)) => {
                    OAuthError::response("invalid_grant", problem.code())
                }
                Err(Problem::RefusedProof(error)) => OAuthError::refused_proof(error),
                Err(problem) => problem.into_response(),
            }
        }
        (Some("refresh_token") | None, _) => invalid_request(),
        (Some(_), _) => {
            OAuthError::response("unsupported_grant_type", "only refresh_token is supported")
        }
    }
}
