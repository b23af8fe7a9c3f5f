//! `POST /users/confirm-email` and `POST /users/confirm-email/resend`.

use std::{fmt, sync::Arc};

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet::{
    challenge::{Proof, Purpose},
    email::EmailAddress,
    ids::UserId,
    letter::Notice,
    time::UnixMillis,
};
use ratchet_http::{
    App, Problem,
    body::{Describe, Json},
    clock,
    events::{AccountChange, SecurityEvent, record},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{accepted, write};
use crate::proof::Evidence;

/// What the client sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "ConfirmEmailRequest")
)]
pub(crate) struct Request {
    #[cfg_attr(feature = "contract", schemars(with = "Option<String>"))]
    token: Option<Zeroizing<String>>,
    email: Option<String>,
    #[cfg_attr(feature = "contract", schemars(with = "Option<String>"))]
    code: Option<Zeroizing<String>>,
}

impl Describe for Request {
    const EXPECTED: &'static str =
        r#"{"token": "…"} from the link of a message, or {"email": "…", "code": "…"}"#;
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Confirms an address: the one that somebody registered with, or the one that is to replace it.
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    Json(request): Json<Request>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let ring = app.key_ring(now).await?;
    let evidence = Evidence {
        token: request.token.as_ref().map(|token| token.as_str()),
        email: request.email.as_deref(),
        code: request.code.as_ref().map(|code| code.as_str()),
    };
    let purposes = [Purpose::ConfirmEmail, Purpose::ChangeEmail];
    let malformed = Problem::MalformedRequest { expected: Request::EXPECTED };
    let presented = evidence.read(&app, &ring, &purposes, now, malformed).await?;
    let (confirmed, change) = if presented.purpose == Purpose::ChangeEmail {
        let changed = change_email(&app, presented.user_id, &presented.proof, now).await?;
        (changed, AccountChange::EmailChanged)
    } else {
        let confirmed = app.users.confirm_email(presented.user_id, &presented.proof, now).await?;
        (confirmed, AccountChange::EmailConfirmed)
    };
    if !confirmed {
        return Err(Problem::InvalidProof);
    }
    record(SecurityEvent::AccountChanged { change, by: None }, Some(presented.user_id), None);
    Ok(StatusCode::NO_CONTENT)
}

async fn change_email(
    app: &App,
    user_id: UserId,
    proof: &Proof,
    now: UnixMillis,
) -> Result<bool, Problem> {
    let Some(account) = app.users.find_account(user_id).await? else { return Ok(false) };
    let letter = write(account.told(|email, name| Notice::EmailChanged { email, name }), now)?;
    Ok(app.users.confirm_email_change(&account, proof, now, &letter).await?)
}

/// What the client sends for another message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "AddressRequest"))]
pub(crate) struct Resend {
    email: String,
}

impl Describe for Resend {
    const EXPECTED: &'static str = r#"{"email": "ada@example.com"}"#;
}

/// Asks for another message. Whoever sends it looks whether there is anything to confirm.
pub(crate) async fn resend(
    State(app): State<Arc<App>>,
    Json(request): Json<Resend>,
) -> Result<Response, Problem> {
    let email = EmailAddress::parse(&request.email)
        .map_err(|_| Problem::MalformedRequest { expected: Resend::EXPECTED })?;
    let letter = write(Notice::ConfirmationAsked { email }, clock::now())?;
    app.outbox.post(&letter).await?;
    Ok(accepted())
}
