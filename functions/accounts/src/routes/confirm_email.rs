//! `POST /users/confirm-email` and `POST /users/confirm-email/resend`.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet_core::{email::EmailAddress, user::NameKey};
use ratchet_http::{
    Private, Problem,
    body::{Describe, Json},
    caller::Caller,
    optional,
};
use ratchet_service::accounts::{Accounts, Evidence};
use serde::Deserialize;

use super::accepted;

/// The request body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "ConfirmEmailRequest")
)]
pub(crate) struct Request {
    #[serde(default, deserialize_with = "optional")]
    token: Option<Private>,
    #[serde(default, deserialize_with = "optional")]
    email: Option<Private>,
    /// The user name that the code was sent for: then it counts for no other registration.
    #[serde(default, deserialize_with = "optional")]
    name: Option<Private>,
    #[serde(default, deserialize_with = "optional")]
    code: Option<Private>,
}

impl Describe for Request {
    const EXPECTED: &'static str =
        r#"{"token": "…"} from the link of a message, or {"email": "…", "name": "…", "code": "…"}"#;
}

/// Confirms an address: the one of a registration, or the one that is to replace it.
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    caller: Caller,
    Json(request): Json<Request>,
) -> Result<StatusCode, Problem> {
    let Request { token, email, name, code } = &request;
    let [token, email, name, code] = [token, email, name, code].map(Option::as_deref);
    let evidence = Evidence::parse(token, email, name, code)
        .map_err(|_| Problem::MalformedRequest { expected: Request::EXPECTED })?;
    accounts.confirm_email(&evidence, caller.source_ip).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The body of a request for another message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "ResendConfirmationRequest")
)]
pub(crate) struct Resend {
    email: Private,
    /// The user name of the one registration that is to be confirmed.
    name: Option<Private>,
}

impl Describe for Resend {
    const EXPECTED: &'static str = r#"{"email": "ada@example.com"}, perhaps with a "name""#;
}

/// Requests another message.
pub(crate) async fn resend(
    State(accounts): State<Accounts>,
    caller: Caller,
    Json(request): Json<Resend>,
) -> Result<Response, Problem> {
    let malformed = || Problem::MalformedRequest { expected: Resend::EXPECTED };
    let email = EmailAddress::parse(&request.email).map_err(|_| malformed())?;
    let name = request.name.as_deref().map(NameKey::parse).transpose();
    let name = name.map_err(|_| malformed())?;
    accounts.request_confirmation(email, name, caller.source_ip).await?;
    Ok(accepted())
}
