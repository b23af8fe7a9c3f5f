//! `POST /users/confirm-email` and `POST /users/confirm-email/resend`.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet_http::{
    Private, Problem,
    body::{Describe, Json},
    caller::Caller,
    optional,
};
use ratchet_service::accounts::{Accounts, Evidence};
use serde::Deserialize;

use super::{Address, accepted};

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
    #[serde(default, deserialize_with = "optional")]
    code: Option<Private>,
}

impl Describe for Request {
    const EXPECTED: &'static str =
        r#"{"token": "…"} from the link of a message, or {"email": "…", "code": "…"}"#;
}

/// Confirms an address: the one of a registration, or the one that is to replace it.
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    caller: Caller,
    Json(request): Json<Request>,
) -> Result<StatusCode, Problem> {
    let Request { token, email, code } = &request;
    let evidence = Evidence::parse(token.as_deref(), email.as_deref(), code.as_deref())
        .map_err(|_| Problem::MalformedRequest { expected: Request::EXPECTED })?;
    accounts.confirm_email(&evidence, caller.source_ip).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Requests another message.
pub(crate) async fn resend(
    State(accounts): State<Accounts>,
    caller: Caller,
    Json(request): Json<Address>,
) -> Result<Response, Problem> {
    accounts.request_confirmation(request.parse()?, caller.source_ip).await?;
    Ok(accepted())
}
