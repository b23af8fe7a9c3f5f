//! `POST /users/confirm-email` and `POST /users/confirm-email/resend`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet_core::{
    challenge::{Proof, Purpose},
    ids::UserId,
    letter::Notice,
    time::UnixMillis,
};
use ratchet_http::{
    App, Private, Problem,
    body::{Describe, Json},
    caller::Caller,
    clock,
    events::{AccountChange, SecurityEvent, record},
};
use ratchet_store::ConfirmResult;
use serde::Deserialize;

use super::{Address, ask, write};
use crate::proof::Evidence;

/// What the client sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "ConfirmEmailRequest")
)]
pub(crate) struct Request {
    token: Option<Private>,
    email: Option<Private>,
    code: Option<Private>,
}

impl Describe for Request {
    const EXPECTED: &'static str =
        r#"{"token": "…"} from the link of a message, or {"email": "…", "code": "…"}"#;
}

/// Confirms an address: the one that somebody registered with, or the one that is to replace it.
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(request): Json<Request>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let ring = app.key_ring(now).await?;
    let evidence = Evidence {
        token: request.token.as_deref(),
        email: request.email.as_deref(),
        code: request.code.as_deref(),
        source: caller.source_ip,
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
    if confirmed == ConfirmResult::Invalid {
        return Err(Problem::InvalidProof);
    }
    presented.counted.give_back(&app).await;
    if confirmed == ConfirmResult::Confirmed {
        record(SecurityEvent::AccountChanged { change, by: None }, Some(presented.user_id), None);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn change_email(
    app: &App,
    user_id: UserId,
    proof: &Proof,
    now: UnixMillis,
) -> Result<ConfirmResult, Problem> {
    let Some(account) = app.users.find_account(user_id, now).await? else {
        return Ok(ConfirmResult::Invalid);
    };
    let letter = write(account.told(|email, name| Notice::EmailChanged { email, name }), now)?;
    Ok(app.users.confirm_email_change(&account, proof, now, &letter).await?)
}

/// Asks for another message.
pub(crate) async fn resend(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(request): Json<Address>,
) -> Result<Response, Problem> {
    ask(&app, &caller, &request, |email| Notice::ConfirmationAsked { email }).await
}
