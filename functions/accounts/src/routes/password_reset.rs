//! `POST /users/password-reset` and `POST /users/password-reset/confirm`.

use std::{fmt, sync::Arc};

use axum::{Extension, extract::State, response::Response};
use http::StatusCode;
use ratchet::{
    attempts::AttemptKey,
    challenge::Purpose,
    email::EmailAddress,
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
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{accepted, write};
use crate::{hashing::hash, proof::Evidence};

/// What the client sends to ask.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    email: String,
}

impl Describe for Ask {
    const EXPECTED: &'static str = r#"{"email": "ada@example.com"}"#;
}

/// Asks for a new password. One write, whoever's address it is: whoever sends the message finds
/// that out.
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    Json(request): Json<Ask>,
) -> Result<Response, Problem> {
    let email = EmailAddress::parse(&request.email)
        .map_err(|_| Problem::MalformedRequest { expected: Ask::EXPECTED })?;
    let letter = write(Notice::ResetAsked { email }, clock::now())?;
    app.outbox.post(&letter).await?;
    Ok(accepted())
}

/// What the client sends to set it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "ResetPasswordRequest")
)]
pub(crate) struct Confirm {
    #[cfg_attr(feature = "contract", schemars(with = "Option<String>"))]
    token: Option<Zeroizing<String>>,
    email: Option<String>,
    #[cfg_attr(feature = "contract", schemars(with = "Option<String>"))]
    code: Option<Zeroizing<String>>,
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
    password: Zeroizing<String>,
}

impl Describe for Confirm {
    const EXPECTED: &'static str = r#"a new "password" with the "token" from the link of a message, or with "email" and "code""#;
}

impl fmt::Debug for Confirm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirm").finish_non_exhaustive()
    }
}

/// Sets a new password and ends all sessions.
pub(crate) async fn confirm(
    State(app): State<Arc<App>>,
    Extension(hasher): Extension<Arc<PasswordHasher>>,
    Json(request): Json<Confirm>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    // A refused password does not use the message up.
    let about = About { name: "", email: request.email.as_deref().unwrap_or_default() };
    let password = app.config.password_policy.check(&request.password, about);
    let password = password.map_err(Problem::PasswordRefused)?;
    let ring = app.key_ring(now).await?;
    let evidence = Evidence {
        token: request.token.as_ref().map(|token| token.as_str()),
        email: request.email.as_deref(),
        code: request.code.as_ref().map(|code| code.as_str()),
    };
    let malformed = Problem::MalformedRequest { expected: Confirm::EXPECTED };
    let purposes = [Purpose::ResetPassword];
    let presented = evidence.read(&app, &ring, &purposes, now, malformed).await?;
    let password_hash = hash(&hasher, password).await?;
    let now = clock::now();
    let user_id = presented.user_id;
    let letter = write(Notice::PasswordChanged { user_id }, now)?;
    let reset =
        app.users.reset_password(user_id, &presented.proof, &password_hash, now, &letter).await?;
    if !reset {
        return Err(Problem::InvalidProof);
    }
    let change = AccountChange::PasswordReset;
    record(SecurityEvent::AccountChanged { change, by: None }, Some(user_id), None);
    revoke_ended(&app, user_id, RevocationReason::PasswordChanged).await?;
    // Whoever reads the user's mail is not who guessed: the lock ends with the old password.
    if let Some(user) = app.users.find(user_id).await? {
        app.attempts.forget(&AttemptKey::account(&user.name)).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
