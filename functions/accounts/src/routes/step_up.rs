//! `POST /users/me/step-up`.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use ratchet_core::second_factor::Presented;
use ratchet_http::{
    Private, Problem,
    body::{Describe, Json},
    optional,
    tokens::AccessTokenResponse,
};
use ratchet_service::accounts::{Accounts, StepUp};
use serde::Deserialize;

use crate::own::Own;

/// The request body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = StepUpRequest))]
pub(crate) struct Request {
    /// Not enough for users with a second factor.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    password: Option<Private>,
    /// Six digits of the authenticator app.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    code: Option<Private>,
    /// A recovery code, in place of `code`.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    recovery_code: Option<Private>,
}

impl Describe for Request {
    const EXPECTED: &'static str =
        r#"a "password", or a "code" of six digits or a "recovery_code" with or without one"#;
}

impl Request {
    fn step_up(&self) -> Result<StepUp<'_>, Problem> {
        let malformed = Problem::MalformedRequest { expected: Self::EXPECTED };
        let Self { password, code, recovery_code } = self;
        let password = password.as_deref();
        let presented = match (code.as_deref(), recovery_code.as_deref()) {
            (None, None) if password.is_some() => None,
            (code, recovery) => Some(Presented::parse(code, recovery).map_err(|_| malformed)?),
        };
        Ok(StepUp { password, presented })
    }
}

/// Authenticates the caller again, within the session.
///
/// From then on, `auth_time` and `amr` of the session's access tokens are those of this
/// authentication. The refresh token stays as it is. With the access token of this answer, changes
/// of the account need no password for five minutes, if `amr` has `otp` or `hwk`.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users/me/step-up", operation_id = "stepUp",
    security(("accessToken" = [])),
    request_body(content = Request, examples(
        ("the-password" = (summary = "the password", value = json!({
            "password": "correct horse battery staple",
        }))),
        ("a-code" = (summary = "a code", value = json!({"code": "123456"}))),
        ("both" = (summary = "password and code", value = json!({
            "password": "correct horse battery staple", "code": "123456",
        }))),
    )),
    responses((
        status = 200, description = "A fresh access token",
        body = AccessTokenResponse, example = AccessTokenResponse::example,
    )),
    extensions(("x-refusals" = json!([
        "session_ended", "wrong_password", "insufficient_user_authentication", "invalid_code",
        "too_many_attempts", "account_locked", "second_factor_locked", "second_factor_not_enabled",
    ]))),
))]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Own(own): Own,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let stepped_up = Box::pin(accounts.step_up(&own, request.step_up()?)).await?;
    Ok(AccessTokenResponse(stepped_up).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(body: Value) -> Option<(bool, bool)> {
        let request: Request = serde_json::from_value(body).ok()?;
        let StepUp { password, presented } = request.step_up().ok()?;
        Some((password.is_some(), presented.is_some()))
    }

    #[test]
    fn it_takes_a_password_or_one_code_or_both() {
        for (body, parsed) in [
            (json!({"password": "x"}), Some((true, false))),
            (json!({"code": "123456"}), Some((false, true))),
            (json!({"recovery_code": "7k3mp-x9v2q"}), Some((false, true))),
            (json!({"password": "x", "code": "123456"}), Some((true, true))),
            (json!({"password": "x", "code": "", "recovery_code": null}), Some((true, false))),
            (json!({}), None),
            (json!({"password": ""}), None),
            (json!({"code": "12345"}), None),
            (json!({"password": "x", "code": "12345"}), None),
            (json!({"code": "123456", "recovery_code": "7k3mp-x9v2q"}), None),
            (json!({"password": "x", "code": "123456", "recovery_code": "7k3mp-x9v2q"}), None),
            (json!({"password": "x", "amr": ["otp"]}), None),
        ] {
            assert_eq!(parse(body.clone()), parsed, "{body}");
        }
    }

    #[test]
    fn a_request_does_not_print_what_it_carries() {
        let body = json!({"password": "canary", "code": "canary", "recovery_code": "canary"});
        let request: Request = serde_json::from_value(body).unwrap();
        assert!(!format!("{request:?}").contains("canary"));
    }
}
