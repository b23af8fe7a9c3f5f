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
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users/password-reset", operation_id = "askReset",
    request_body(content = Address, examples(
        ("an-address" = (summary = "an address", value = json!({"email": "ada@example.com"}))),
    )),
    responses((
        status = 202, description = "A message follows, if it is the address of a user",
        body = ratchet_http::accepted::Accepted, example = ratchet_http::accepted::Accepted::new,
    )),
    extensions(("x-refusals" = json!(["too_many_attempts"]))),
))]
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
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = ResetPasswordRequest))]
pub(crate) struct Confirm {
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    token: Option<Private>,
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    email: Option<Private>,
    /// The user name that the code was sent for: then it counts for no other account.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    name: Option<Private>,
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    code: Option<Private>,
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    password: Private,
}

impl Describe for Confirm {
    const EXPECTED: &'static str = r#"a new "password" with the "token" from the link of a message, or with "email", "code" and perhaps "name""#;
}

/// Sets a new password and ends all sessions.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users/password-reset/confirm", operation_id = "resetPassword",
    request_body(content = Confirm, examples(
        ("from-the-link" = (summary = "from the link", value = json!({
            "token": "rm1_…", "password": "another horse battery staple",
        }))),
        ("a-typed-code" = (summary = "a typed code", value = json!({
            "email": "ada@example.com", "name": "ada", "code": "012345",
            "password": "another horse battery staple",
        }))),
    )),
    responses((status = 204, description = "The password is set")),
    extensions(("x-refusals" = json!(["invalid_proof", "too_many_attempts", "password_refused"]))),
))]
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
