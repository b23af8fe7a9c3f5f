//! `POST /users/me/step-up/passkey` and its options.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use ratchet_http::{
    Private, Problem,
    body::{Describe, Json},
    json::json,
    tokens::AccessTokenResponse,
};
use ratchet_service::passkeys::Passkeys;
use ratchet_webauthn::AuthenticationAnswer;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::passkeys::Begun;
use crate::own::Own;

/// Begins to authenticate the caller again with a passkey.
///
/// The options are for `navigator.credentials.get()`.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users/me/step-up/passkey/options", operation_id = "beginPasskeyStepUp",
    security(("accessToken" = [])),
    responses((
        status = 200, description = "The options", body = Begun,
        example = Begun::request_example,
    )),
    extensions(("x-refusals" = json!(["session_ended", "no_passkey", "not_found"]))),
))]
pub(crate) async fn begin(
    State(passkeys): State<Passkeys>,
    Own(own): Own,
) -> Result<Response, Problem> {
    let begun = Box::pin(passkeys.begin_step_up(&own)).await?;
    Ok(json(StatusCode::OK, &Begun::from(begun)))
}

/// The request body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = PasskeyStepUpRequest))]
pub(crate) struct Request {
    /// That of the options.
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    ceremony: Private,
    /// What `toJSON()` makes of the authenticator's answer.
    #[cfg_attr(feature = "contract", schema(value_type = Object))]
    credential: Map<String, Value>,
}

impl Describe for Request {
    const EXPECTED: &'static str =
        r#"{"ceremony": "…", "credential": {…}}, the credential as toJSON() writes it"#;
}

/// Authenticates the caller again with a passkey, within the session.
///
/// As `POST /users/me/step-up` does with a password and a code.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users/me/step-up/passkey", operation_id = "stepUpWithPasskey",
    security(("accessToken" = [])),
    request_body(content = Request, examples(
        ("an-answer" = (summary = "an answer", value = json!({
            "ceremony": "pk1_BAAAAAAA…", "credential": {"id": "…", "response": {}},
        }))),
    )),
    responses((
        status = 200, description = "A fresh access token",
        body = AccessTokenResponse, example = AccessTokenResponse::example,
    )),
    extensions(("x-refusals" = json!(["session_ended", "invalid_passkey", "not_found"]))),
))]
pub(crate) async fn handle(
    State(passkeys): State<Passkeys>,
    Own(own): Own,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let Request { ceremony, credential } = request;
    let malformed = Problem::MalformedRequest { expected: Request::EXPECTED };
    let answer: AuthenticationAnswer =
        serde_json::from_value(Value::Object(credential)).map_err(|_| malformed)?;
    let stepped_up = Box::pin(passkeys.step_up(&own, &ceremony, &answer)).await?;
    Ok(AccessTokenResponse(stepped_up).into_response())
}
