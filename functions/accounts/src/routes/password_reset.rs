//! `POST /users/password-reset` and `POST /users/password-reset/confirm`.

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

/// Requests a message with which the password can be reset.
pub(crate) async fn request(
    State(accounts): State<Accounts>,
    caller: Caller,
    Json(request): Json<Address>,
) -> Result<Response, Problem> {
    accounts.request_password_reset(request.parse()?, caller.source_ip).await?;
    Ok(accepted())
}

/// The request body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "ResetPasswordRequest")
)]
pub(crate) struct Confirm {
    #[serde(default, deserialize_with = "optional")]
    token: Option<Private>,
    #[serde(default, deserialize_with = "optional")]
    email: Option<Private>,
    /// The user name that the code was sent for: then it counts for no other account.
    #[serde(default, deserialize_with = "optional")]
    name: Option<Private>,
    #[serde(default, deserialize_with = "optional")]
    code: Option<Private>,
    password: Private,
}

impl Describe for Confirm {
    const EXPECTED: &'static str = r#"a new "password" with the "token" from the link of a message, or with "email", "code" and perhaps "name""#;
}

/// Sets a new password and ends all sessions.
pub(crate) async fn confirm(
    State(accounts): State<Accounts>,
    caller: Caller,
    Json(request): Json<Confirm>,
) -> Result<StatusCode, Problem> {
    let Confirm { token, email, name, code, password } = &request;
    let [token, email, name, code] = [token, email, name, code].map(Option::as_deref);
    let evidence = Evidence::parse(token, email, name, code)
        .map_err(|_| Problem::MalformedRequest { expected: Confirm::EXPECTED })?;
    accounts.reset_password(&evidence, password, caller.source_ip).await?;
    Ok(StatusCode::NO_CONTENT)
}
