pub(crate) mod admin;
pub(crate) mod confirm_email;
pub(crate) mod me;
pub(crate) mod password;
pub(crate) mod password_reset;
pub(crate) mod register;

use axum::response::Response;
use http::StatusCode;
use ratchet::{
    entropy::random,
    letter::{Letter, Notice},
    time::UnixMillis,
};
use ratchet_http::{Problem, tokens::json};
use serde::Serialize;

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

fn write(notice: Notice, now: UnixMillis) -> Result<Letter, Problem> {
    Ok(Letter::new(notice, now, &random()?))
}
