//! `POST /refresh`.

use std::fmt;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use ratchet_http::{
    Problem,
    body::{Describe, Json},
    caller::Caller,
    cookie::Browser,
    dpop::Proof,
    optional,
    tokens::TokenResponse,
};
use ratchet_service::{end_sessions::LogOut, refresh::Refresh};
use serde::Deserialize;
use zeroize::Zeroizing;

/// The request body.
#[derive(Deserialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = RefreshRequest))]
pub(crate) struct Request {
    /// If it is not in the cookie.
    #[serde(alias = "Refresh_Token", default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    refresh_token: Option<Zeroizing<String>>,
    /// The access token of the same session. It may have expired.
    #[serde(alias = "Access_Token", default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    access_token: Option<Zeroizing<String>>,
}

impl Describe for Request {
    const EXPECTED: &'static str =
        r#"{"refresh_token": "…"}, and optionally the "access_token" of the same session"#;
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Exchanges a refresh token for the next token pair.
///
/// Takes the refresh token from the body, or else from the cookie. After a 503 or a lost response,
/// send the same token again: it leads to the live one. A session that is bound to a key needs a DPoP
/// proof; any other ignores it.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/refresh", operation_id = "refresh",
    params(ratchet_http::contract::CookieConfirmation, ratchet_http::contract::ProofOfPossession),
    request_body(content = Request, examples(
        ("a-refresh-token" = (summary = "a refresh token", value = json!({
            "refresh_token": "rt1_AaIMQeYvc_Ce…",
        }))),
        ("from-the-cookie" = (summary = "from the cookie", value = json!({}))),
    )),
    responses((status = 200, response = inline(ratchet_http::contract::NextTokenPair))),
    extensions(("x-refusals" = json!([
        "missing_refresh_token", "malformed", "access_token_mismatch", "expired_idle",
        "expired_absolute", "reuse_detected", "revoked", "user_disabled", "unknown", "elsewhere",
        "forbidden_origin", "invalid_dpop_proof", "use_dpop_nonce",
    ]))),
))]
pub(crate) async fn handle(
    State(service): State<Refresh>,
    State(log_out): State<LogOut>,
    Proof(possession): Proof,
    caller: Caller,
    browser: Browser,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let access_token = request.access_token.as_ref().map(|token| token.as_str());
    match &request.refresh_token {
        Some(token) => {
            let pair = service.refresh(token, access_token, possession, caller.origin).await?;
            Ok(TokenResponse(pair).into_response())
        }
        None if browser.relies_on_cookie() => {
            let (service, log_out, origin) = (&service, &log_out, &caller.origin);
            let refresh = |token: Zeroizing<String>| async move {
                Ok(service.refresh(&token, access_token, possession, origin.clone()).await?)
            };
            let end =
                |token: Zeroizing<String>| async move { log_out.log_out(&token, possession).await };
            Ok(browser.refresh(refresh, end).await)
        }
        None => Err(Problem::MalformedRequest { expected: Request::EXPECTED }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_a_token() {
        let request: Request =
            serde_json::from_str(r#"{"Access_Token":"canary-1","Refresh_Token":"canary-2"}"#)
                .unwrap();
        assert_eq!(request.refresh_token.as_ref().unwrap().as_str(), "canary-2");
        assert!(!format!("{request:?}").contains("canary"));
    }
}
