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
    optional,
    tokens::TokenResponse,
};
use ratchet_service::{end_sessions::LogOut, refresh::Refresh};
use serde::Deserialize;
use zeroize::Zeroizing;

/// The request body.
#[derive(Deserialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "RefreshRequest"))]
pub(crate) struct Request {
    /// If it is not in the cookie.
    #[serde(alias = "Refresh_Token", default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schemars(with = "Option<String>"))]
    refresh_token: Option<Zeroizing<String>>,
    /// The access token of the same session. It may have expired.
    #[serde(alias = "Access_Token", default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schemars(with = "Option<String>"))]
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

/// Exchanges a refresh token, from the body or else from the cookie, for the next token pair.
pub(crate) async fn handle(
    State(service): State<Refresh>,
    State(log_out): State<LogOut>,
    caller: Caller,
    browser: Browser,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let access_token = request.access_token.as_ref().map(|token| token.as_str());
    match &request.refresh_token {
        Some(token) => {
            let pair = service.refresh(token, access_token, caller.origin).await?;
            Ok(TokenResponse(pair).into_response())
        }
        None if browser.relies_on_cookie() => {
            let (service, log_out, origin) = (&service, &log_out, &caller.origin);
            let refresh = |token: Zeroizing<String>| async move {
                Ok(service.refresh(&token, access_token, origin.clone()).await?)
            };
            let end = |token: Zeroizing<String>| async move { log_out.log_out(&token).await };
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
