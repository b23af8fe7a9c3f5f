//! `POST /logout`, and the revocation that it shares with `POST /oauth2/revoke`.

use std::{fmt, sync::Arc};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use ratchet_core::session::RevocationReason;
use ratchet_http::{
    App, Problem,
    body::{Describe, Json},
    clock,
    cookie::Browser,
    events::{SecurityEvent, record},
};
use serde::Deserialize;
use zeroize::Zeroizing;

/// What the client sends.
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

/// Ends the session of a refresh token, of the body or else of the cookie, whichever of the
/// session's tokens it is.
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    browser: Browser,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let malformed = Problem::MalformedRequest { expected: Request::EXPECTED };
    match &request.refresh_token {
        Some(token) if end_session(&app, token).await? => {
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        None if browser.counts_on_cookie() => {
            match browser.refresh_token() {
                // The browser is to forget whatever it is that it had.
                Ok(token) => drop(end_session(&app, token).await?),
                Err(problem) if problem.ends_session() => {}
                Err(problem) => return Err(problem),
            }
            Ok(browser.forget(StatusCode::NO_CONTENT))
        }
        Some(_) | None => Err(malformed),
    }
}

/// Ends the session of a token. `false` if it is no token of ours; dead ones are as good as ended.
pub(crate) async fn end_session(app: &App, refresh_token: &str) -> Result<bool, Problem> {
    let now = clock::now();
    let Some(token) = app.refresh_token(refresh_token, now).await? else { return Ok(false) };
    let reason = RevocationReason::LoggedOut;
    if app.sessions.revoke(token.user_id, token.session_id, reason, now).await? {
        let event = SecurityEvent::SessionRevoked { reason };
        record(event, Some(token.user_id), Some(token.session_id));
    }
    Ok(true)
}
