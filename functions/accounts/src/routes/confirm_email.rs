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
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = ConfirmEmailRequest))]
pub(crate) struct Request {
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    token: Option<Private>,
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    email: Option<Private>,
    /// The user name that the code was sent for: then it counts for no other registration.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    name: Option<Private>,
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    code: Option<Private>,
}

impl Describe for Request {
    const EXPECTED: &'static str =
        r#"{"token": "…"} from the link of a message, or {"email": "…", "name": "…", "code": "…"}"#;
}

/// Confirms an address.
///
/// It is the address of a registration, or the one that is to replace a user's address. Several
/// registrations may wait for one address. With `name`, a code counts for that registration only.
/// The first confirmation ends the others.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users/confirm-email", operation_id = "confirmEmail",
    request_body(content = Request, examples(
        ("from-the-link" = (summary = "from the link", value = json!({"token": "rm1_…"}))),
        ("a-typed-code" = (summary = "a typed code", value = json!({
            "email": "ada@example.com", "name": "ada", "code": "012345",
        }))),
    )),
    responses((status = 204, description = "The address is confirmed")),
    extensions(("x-refusals" = json!(["invalid_proof", "too_many_attempts"]))),
))]
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
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = ResendConfirmationRequest))]
pub(crate) struct Resend {
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    email: Private,
    /// The user name of the one registration that is to be confirmed.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    name: Option<Private>,
}

impl Describe for Resend {
    const EXPECTED: &'static str = r#"{"email": "ada@example.com"}, perhaps with a "name""#;
}

/// Sends the message to confirm an address again.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users/confirm-email/resend", operation_id = "resendConfirmation",
    request_body(content = Resend, examples(
        ("an-address" = (summary = "an address", value = json!({"email": "ada@example.com"}))),
        ("one-registration" = (summary = "one registration", value = json!({
            "email": "ada@example.com", "name": "ada",
        }))),
    )),
    responses((
        status = 202, description = "A message follows, if there is anything to confirm",
        body = ratchet_http::accepted::Accepted, example = ratchet_http::accepted::Accepted::new,
    )),
    extensions(("x-refusals" = json!(["too_many_attempts"]))),
))]
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
