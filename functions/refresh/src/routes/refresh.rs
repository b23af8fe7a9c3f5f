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
    tokens::TokenResponse,
};
use ratchet_service::refresh::Refresh;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The request body.
#[derive(Deserialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "RefreshRequest"))]
pub(crate) struct Request {
    /// If it is not in the cookie.
    #[serde(alias = "Refresh_Token")]
    #[cfg_attr(feature = "contract", schemars(with = "Option<String>"))]
    refresh_token: Option<Zeroizing<String>>,
    /// The access token of the same session. It may have expired.
    #[serde(alias = "Access_Token")]
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
            let result = match browser.refresh_token() {
                Ok(token) => {
                    let result = service.refresh(token, access_token, caller.origin).await;
                    result.map_err(Problem::from)
                }
                Err(problem) => Err(problem),
            };
            Ok(browser.refreshed(result))
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
