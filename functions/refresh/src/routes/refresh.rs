//! `POST /refresh`.

use std::{fmt, sync::Arc};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use ratchet_http::{
    App, Problem,
    body::{Describe, Json},
    caller::Caller,
    cookie::Browser,
};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::rotate::rotate;

/// What the client sends.
#[derive(Deserialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "RefreshRequest"))]
pub(crate) struct Request {
    /// If it is not in the cookie.
    #[serde(alias = "Refresh_Token")]
    #[cfg_attr(feature = "contract", schemars(with = "Option<String>"))]
    refresh_token: Option<Zeroizing<String>>,
    /// The access token that goes with it; an expired one is welcome.
    #[serde(alias = "Access_Token")]
    #[cfg_attr(feature = "contract", schemars(with = "Option<String>"))]
    access_token: Option<Zeroizing<String>>,
}

impl Describe for Request {
    const EXPECTED: &'static str =
        r#"{"refresh_token": "…"}, and if you like the "access_token" that goes with it"#;
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Exchanges a refresh token, of the body or else of the cookie, for the next token pair.
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    caller: Caller,
    browser: Browser,
    Json(request): Json<Request>,
) -> Response {
    let access_token = request.access_token.as_ref().map(|token| token.as_str());
    match &request.refresh_token {
        Some(token) => rotate(&app, token, access_token, caller.origin).await.into_response(),
        None if browser.counts_on_cookie() => {
            let result = match browser.refresh_token() {
                Ok(token) => rotate(&app, token, access_token, caller.origin).await,
                Err(problem) => Err(problem),
            };
            browser.answer(result)
        }
        None => Problem::MalformedRequest { expected: Request::EXPECTED }.into_response(),
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
