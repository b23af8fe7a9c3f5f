//! `POST /logout`.

use std::fmt;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use ratchet_http::{
    Problem,
    body::{Describe, Json},
    cookie::Browser,
    dpop::Proof,
    optional,
};
use ratchet_service::end_sessions::LogOut;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The request body.
#[derive(Deserialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = LogoutRequest))]
pub(crate) struct Request {
    /// If it is not in the cookie.
    #[serde(alias = "Refresh_Token", default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    refresh_token: Option<Zeroizing<String>>,
}

impl Describe for Request {
    const EXPECTED: &'static str = r#"{"refresh_token": "…"}, a refresh token of this service"#;
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Ends the session of a refresh token.
///
/// Takes the refresh token from the body, or else from the cookie. Any token of the session will do,
/// and the session may have ended already. A session that is bound to a key needs a DPoP proof.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/logout", operation_id = "logout",
    params(ratchet_http::contract::CookieConfirmation, ratchet_http::contract::ProofOfPossession),
    request_body(content = Request, examples(
        ("a-refresh-token" = (summary = "a refresh token", value = json!({
            "refresh_token": "rt1_AaIMQeYvc_Ce…",
        }))),
        ("from-the-cookie" = (summary = "from the cookie", value = json!({}))),
    )),
    responses((status = 204, description = "The session has ended")),
    extensions(("x-refusals" = json!([
        "forbidden_origin", "invalid_dpop_proof", "use_dpop_nonce",
    ]))),
))]
pub(crate) async fn handle(
    State(service): State<LogOut>,
    Proof(possession): Proof,
    browser: Browser,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let malformed = Problem::MalformedRequest { expected: Request::EXPECTED };
    match &request.refresh_token {
        Some(token) if service.log_out(token, possession).await? => {
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        None if browser.relies_on_cookie() => {
            let service = &service;
            let end =
                |token: Zeroizing<String>| async move { service.log_out(&token, possession).await };
            browser.log_out(end).await
        }
        Some(_) | None => Err(malformed),
    }
}
