//! `POST /users/me/password`.

use std::sync::Arc;

use axum::{Extension, extract::State};
use http::StatusCode;
use ratchet_core::{letter::Notice, password::policy::About, session::RevocationReason};
use ratchet_http::{
    App, Private, Problem,
    body::{Describe, Json},
    clock,
    ending::clean_up,
    events::{AccountChange, SecurityEvent, record},
    hashing::Hashing,
};
use serde::Deserialize;

use super::write;
use crate::own::Own;

/// What the client sends.
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
    /// Whether the session that asks outlives the change; all others end.
    #[serde(default)]
    keep_this_session: bool,
}

impl Describe for Request {
    const EXPECTED: &'static str =
        r#"{"current": "…", "new": "…"}, two passwords, and if you like "keep_this_session": true"#;
}

/// Changes the caller's password and ends all sessions, but for the caller's own if that is asked.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Extension(hashing): Extension<Hashing>,
    own: Own,
    Json(request): Json<Request>,
) -> Result<StatusCode, Problem> {
    let Own { claims, account } = &own;
    let id = claims.sub;
    let about = About { name: &account.user.name, email: account.email.as_str() };
    let new = app.config.password_policy.check(&request.new, about);
    let new = new.map_err(Problem::PasswordRefused)?;
    match own.prove(&app, &hashing, &request.current).await {
        Err(Problem::WrongPassword) if own.has_just_set(&hashing, &request.new).await? => {
            return Ok(StatusCode::NO_CONTENT);
        }
        proved => proved?,
    }
    let new = hashing.hash(new).await?;
    let now = clock::now();
    let spared = request.keep_this_session.then_some(claims.sid);
    let letter = write(Notice::PasswordChanged { user_id: id }, now)?;
    if !app.users.change_password(id, &account.password_hash, &new, spared, &letter).await? {
        // Somebody else has changed it meanwhile: what was proved is the password no more.
        return Err(Problem::WrongPassword);
    }
    let change = AccountChange::PasswordChanged;
    record(SecurityEvent::AccountChanged { change, by: None }, Some(id), Some(claims.sid));
    clean_up(&app, id, RevocationReason::PasswordChanged).await;
    Ok(StatusCode::NO_CONTENT)
}
