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
};
use ratchet_service::end_sessions::LogOut;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The request body.
#[derive(Deserialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "LogoutRequest"))]
pub(crate) struct Request {
    /// If it is not in the cookie.
    #[serde(alias = "Refresh_Token")]
    #[cfg_attr(feature = "contract", schemars(with = "Option<String>"))]
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

/// Ends the session of a refresh token, from the body or else from the cookie.
pub(crate) async fn handle(
    State(service): State<LogOut>,
    browser: Browser,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let malformed = Problem::MalformedRequest { expected: Request::EXPECTED };
    match &request.refresh_token {
        Some(token) if service.log_out(token).await? => Ok(StatusCode::NO_CONTENT.into_response()),
        None if browser.relies_on_cookie() => {
            match browser.refresh_token() {
                // Also if the token is not genuine: the browser should delete it.
                Ok(token) => drop(service.log_out(token).await?),
                Err(problem) if problem.ends_session() => {}
                Err(problem) => return Err(problem),
            }
            Ok(browser.delete_cookie(StatusCode::NO_CONTENT))
        }
        Some(_) | None => Err(malformed),
    }
}
