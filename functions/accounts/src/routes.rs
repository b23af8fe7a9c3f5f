pub(crate) mod admin;
pub(crate) mod confirm_email;
pub(crate) mod me;
pub(crate) mod password;
pub(crate) mod password_reset;
pub(crate) mod register;

use axum::response::Response;
use http::StatusCode;
use ratchet_core::{
    email::EmailAddress,
    entropy::random,
    letter::{Letter, Notice},
    time::UnixMillis,
};
use ratchet_http::{App, Private, Problem, body::Describe, caller::Caller, clock, tokens::json};
use serde::{Deserialize, Serialize};

use crate::network::Counted;

/// What is said where nobody may learn whether there is such an address: the same to everybody.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema))]
pub(crate) struct Accepted {
    message: &'static str,
}

fn accepted() -> Response {
    let message = "If there is anything to send, a message is on its way to the address.";
    json(StatusCode::ACCEPTED, &Accepted { message })
}

/// What a client sends that asks for a message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "AddressRequest"))]
pub(crate) struct Address {
    email: Private,
}

impl Describe for Address {
    const EXPECTED: &'static str = r#"{"email": "ada@example.com"}"#;
}

/// Keeps the letter that `notice` makes of an address, whoever's it is: one write. Whoever sends
/// the message finds out whether there is anything to say.
async fn ask(
    app: &App,
    caller: &Caller,
    request: &Address,
    notice: fn(EmailAddress) -> Notice,
) -> Result<Response, Problem> {
    let email = EmailAddress::parse(&request.email)
        .map_err(|_| Problem::MalformedRequest { expected: Address::EXPECTED })?;
    let now = clock::now();
    Counted::take(app, caller.source_ip, now).await?;
    app.outbox.post(&write(notice(email), now)?).await?;
    Ok(accepted())
}

fn write(notice: Notice, now: UnixMillis) -> Result<Letter, Problem> {
    Ok(Letter::new(notice, now, &random()?))
}
