//! `POST /users/password-reset` and `POST /users/password-reset/confirm`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use http::StatusCode;
use ratchet_core::{
    attempts::{AttemptId, AttemptKey},
    challenge::{Proof, Purpose},
    entropy::random,
    letter::Notice,
    password::{Password, Verdict, policy::About},
    session::RevocationReason,
};
use ratchet_http::{
    App, Private, Problem,
    attempts::unlock,
    body::{Describe, Json},
    caller::Caller,
    clock,
    ending::clean_up,
    events::{AccountChange, SecurityEvent, record},
    hashing::Hashing,
};
use ratchet_store::{Account, ResetResult};
use serde::Deserialize;

use super::{Address, write};
use crate::proof::Evidence;

/// Asks for a new password.
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(request): Json<Address>,
) -> Result<Response, Problem> {
    super::ask(&app, &caller, &request, |email| Notice::ResetAsked { email }).await
}

/// What the client sends to set it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "ResetPasswordRequest")
)]
pub(crate) struct Confirm {
    token: Option<Private>,
    email: Option<Private>,
    code: Option<Private>,
    password: Private,
}

impl Describe for Confirm {
    const EXPECTED: &'static str = r#"a new "password" with the "token" from the link of a message, or with "email" and "code""#;
}

/// Sets a new password and ends all sessions.
pub(crate) async fn confirm(
    State(app): State<Arc<App>>,
    Extension(hashing): Extension<Hashing>,
    caller: Caller,
    Json(request): Json<Confirm>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    // A refused password does not use the message up.
    let about = About { name: "", email: request.email.as_deref().unwrap_or_default() };
    let password = app.config.password_policy.check(&request.password, about);
    let password = password.map_err(Problem::PasswordRefused)?;
    let ring = app.key_ring(now).await?;
    let evidence = Evidence {
        token: request.token.as_deref(),
        email: request.email.as_deref(),
        code: request.code.as_deref(),
        source: caller.source_ip,
    };
    let malformed = Problem::MalformedRequest { expected: Confirm::EXPECTED };
    let purposes = [Purpose::ResetPassword];
    let presented = evidence.read(&app, &ring, &purposes, now, malformed).await?;
    if let (Proof::Token(_), Some(account)) =
        (&presented.proof, app.users.find_account(presented.user_id, now).await?)
    {
        // Whoever has a genuine token may know whose it is. A code proves nothing yet: a password
        // that is refused for the name would tell strangers the name that goes with an address.
        let about = About { name: &account.user.name, email: account.email.as_str() };
        let checked = app.config.password_policy.check(&request.password, about);
        checked.map_err(Problem::PasswordRefused)?;
    }
    let password_hash = hashing.hash(password).await?;
    let now = clock::now();
    let user_id = presented.user_id;
    let letter = write(Notice::PasswordChanged { user_id }, now)?;
    let reset =
        app.users.reset_password(user_id, &presented.proof, &password_hash, now, &letter).await?;
    let account = match reset {
        ResetResult::Reset(account) => {
            let change = AccountChange::PasswordReset;
            record(SecurityEvent::AccountChanged { change, by: None }, Some(user_id), None);
            account
        }
        // The same request again, if its password is the account's: what is left of it is finished.
        ResetResult::MetBefore(account) if is_done(&app, &hashing, &request, &account).await? => {
            account
        }
        ResetResult::MetBefore(_) | ResetResult::Invalid => return Err(Problem::InvalidProof),
    };
    presented.counted.give_back(&app).await;
    clean_up(&app, user_id, RevocationReason::PasswordChanged).await;
    // Whoever reads the user's mail is not who guessed: the lock ends with the old password.
    unlock(&app, &AttemptKey::account(&account.user.name)).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the account has the password that is asked for.
///
/// # Security
/// Counted as codes are: a used message must not be a way to guess the password.
async fn is_done(
    app: &App,
    hashing: &Hashing,
    request: &Confirm,
    account: &Account,
) -> Result<bool, Problem> {
    let Ok(password) = Password::parse(&request.password) else { return Ok(false) };
    let attempt = AttemptId::new(random()?);
    let purpose = Purpose::ResetPassword;
    if !app.challenges.count_try(purpose, &account.email, attempt, clock::now()).await? {
        return Ok(false);
    }
    let verdict = hashing.verify(password, account.password_hash.clone()).await?;
    Ok(verdict != Verdict::Wrong)
}
