//! `POST /users/me/password`.

use axum::extract::State;
use http::StatusCode;
use ratchet_http::{
    Private, Problem,
    body::{Describe, Json},
    optional,
};
use ratchet_service::accounts::Accounts;
use serde::Deserialize;

use crate::own::Own;

/// The request body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "ChangePasswordRequest")
)]
pub(crate) struct Request {
    current: Private,
    new: Private,
    /// Whether the session of this request continues; all others end.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schemars(with = "ratchet_http::contract::Optional<bool>"))]
    keep_this_session: Option<bool>,
}

impl Describe for Request {
    const EXPECTED: &'static str =
        r#"{"current": "…", "new": "…"}, two passwords, and optionally "keep_this_session": true"#;
}

/// Changes the caller's password and ends all sessions, except this one on request.
pub(crate) async fn change(
    State(accounts): State<Accounts>,
    Own(own): Own,
    Json(request): Json<Request>,
) -> Result<StatusCode, Problem> {
    let Request { current, new, keep_this_session } = &request;
    accounts.change_password(&own, current, new, keep_this_session.unwrap_or_default()).await?;
    Ok(StatusCode::NO_CONTENT)
}
