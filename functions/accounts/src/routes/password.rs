//! `POST /users/me/password`.

use std::{fmt, sync::Arc};

use axum::{Extension, extract::State};
use http::StatusCode;
use ratchet::{
    letter::Notice,
    password::{PasswordHasher, policy::About},
    session::RevocationReason,
};
use ratchet_http::{
    App, Problem,
    body::{Describe, Json},
    clock,
    ending::revoke_ended,
    events::{AccountChange, SecurityEvent, record},
    signed_in::SignedIn,
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::write;
use crate::hashing::{hash, prove};

/// What the client sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "ChangePasswordRequest")
)]
pub(crate) struct Request {
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
    current: Zeroizing<String>,
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
    new: Zeroizing<String>,
    /// Whether the session that asks outlives the change; all others end.
    #[serde(default)]
    keep_this_session: bool,
}

impl Describe for Request {
    const EXPECTED: &'static str =
        r#"{"current": "…", "new": "…"}, two passwords, and if you like "keep_this_session": true"#;
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Changes the caller's password and ends all other sessions.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Extension(hasher): Extension<Arc<PasswordHasher>>,
    SignedIn { claims, .. }: SignedIn,
    Json(request): Json<Request>,
) -> Result<StatusCode, Problem> {
    let id = claims.sub;
    let account = app.users.find_account(id).await?.ok_or(Problem::SessionEnded)?;
    let about = About { name: &account.user.name, email: account.email.as_str() };
    let new = app.config.password_policy.check(&request.new, about);
    let new = new.map_err(Problem::PasswordRefused)?;
    prove(&app, &hasher, claims.sid, &request.current, &account.password_hash).await?;
    let new = hash(&hasher, new).await?;
    let now = clock::now();
    let spared = request.keep_this_session.then_some(claims.sid);
    let letter = write(Notice::PasswordChanged { user_id: id }, now)?;
    if !app.users.change_password(id, &account.password_hash, &new, spared, &letter).await? {
        // Somebody else has changed it meanwhile: what was proved is the password no more.
        return Err(Problem::WrongPassword);
    }
    let change = AccountChange::PasswordChanged;
    record(SecurityEvent::AccountChanged { change, by: None }, Some(id), Some(claims.sid));
    revoke_ended(&app, id, RevocationReason::PasswordChanged).await?;
    Ok(StatusCode::NO_CONTENT)
}
