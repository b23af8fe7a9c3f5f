//! `/users/me/totp`: the caller's second factor.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet_core::second_factor::{Presented, RecoveryCode, TotpCode};
use ratchet_http::{
    Private, Problem,
    body::{Describe, Json},
    enrollment::Enrollment,
    json::json,
    optional,
};
use ratchet_service::{accounts::Accounts, confirm::Proof};
use serde::{Deserialize, Serialize};

use crate::own::Own;

/// The body of a request to set up a second factor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = BeginTotpRequest))]
pub(crate) struct Begin {
    /// Not needed with the access token of a step-up.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    password: Option<Private>,
}

impl Describe for Begin {
    const EXPECTED: &'static str =
        r#"{"password": "…"}, your password, or {} with the access token of a step-up"#;
}

/// Begins to set up a second factor.
///
/// The secret is for an authenticator app. It waits ten minutes for its first code.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users/me/totp", operation_id = "beginTotp",
    security(("accessToken" = [])),
    request_body(content = Begin, examples(
        ("the-password" = (summary = "the password", value = json!({
            "password": "correct horse battery staple",
        }))),
    )),
    responses((
        status = 200, description = "The secret", body = Enrollment, example = Enrollment::example,
    )),
    extensions(("x-refusals" = json!([
        "session_ended", "wrong_password", "insufficient_user_authentication", "too_many_attempts",
        "account_locked", "second_factor_already_enabled", "not_found",
    ]))),
))]
pub(crate) async fn begin(
    State(accounts): State<Accounts>,
    Own(own): Own,
    Json(request): Json<Begin>,
) -> Result<Response, Problem> {
    let begun =
        Box::pin(accounts.begin_second_factor(&own, Proof::of(request.password.as_deref())))
            .await?;
    Ok(json(StatusCode::OK, &Enrollment::from(begun)))
}

/// The body of a request with the first code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = ConfirmTotpRequest))]
pub(crate) struct Confirm {
    /// Six digits of the authenticator app.
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    code: Private,
}

impl Describe for Confirm {
    const EXPECTED: &'static str = r#"{"code": "123456"}, six digits of your authenticator app"#;
}

/// Recovery codes, which are shown once.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema))]
pub(crate) struct RecoveryCodes {
    /// Each stands in for one code of the authenticator app.
    recovery_codes: Vec<String>,
}

impl From<Vec<RecoveryCode>> for RecoveryCodes {
    fn from(codes: Vec<RecoveryCode>) -> Self {
        Self { recovery_codes: codes.iter().map(RecoveryCode::expose).collect() }
    }
}

/// Switches the second factor on.
///
/// Ends all other sessions. The recovery codes are shown once.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users/me/totp/confirm", operation_id = "confirmTotp",
    security(("accessToken" = [])),
    request_body(content = Confirm, examples(
        ("the-first-code" = (summary = "the first code", value = json!({"code": "123456"}))),
    )),
    responses((
        status = 200, description = "The second factor is on",
        body = RecoveryCodes, example = RecoveryCodes::example,
    )),
    extensions(("x-refusals" = json!([
        "session_ended", "invalid_code", "too_many_attempts", "second_factor_locked",
        "second_factor_already_enabled", "second_factor_not_pending", "not_found",
    ]))),
))]
pub(crate) async fn confirm(
    State(accounts): State<Accounts>,
    Own(own): Own,
    Json(request): Json<Confirm>,
) -> Result<Response, Problem> {
    let code = TotpCode::parse(&request.code)
        .map_err(|_| Problem::MalformedRequest { expected: Confirm::EXPECTED })?;
    let codes = Box::pin(accounts.confirm_second_factor(&own, &code)).await?;
    Ok(json(StatusCode::OK, &RecoveryCodes::from(codes)))
}

/// The body of a request that needs the password and a code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = PasswordAndCode))]
pub(crate) struct Both {
    /// Not needed with the access token of a step-up with a passkey, or with password and code.
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

impl Describe for Both {
    const EXPECTED: &'static str = r#"{"password": "…"}, or none with the access token of a step-up, and either a "code" of six digits or a "recovery_code""#;
}

impl Both {
    fn presented(&self) -> Result<Presented, Problem> {
        Presented::parse(self.code.as_deref(), self.recovery_code.as_deref())
            .map_err(|_| Problem::MalformedRequest { expected: Self::EXPECTED })
    }
}

/// Switches the second factor off.
///
/// Ends all other sessions.
#[cfg_attr(feature = "contract", utoipa::path(
    delete, path = "/users/me/totp", operation_id = "disableTotp",
    security(("accessToken" = [])),
    request_body(content = Both, examples(
        ("a-code" = (summary = "password and code", value = json!({
            "password": "correct horse battery staple", "code": "123456",
        }))),
    )),
    responses((status = 204, description = "The second factor is off")),
    extensions(("x-refusals" = json!([
        "session_ended", "wrong_password", "insufficient_user_authentication", "invalid_code",
        "too_many_attempts", "account_locked", "second_factor_locked", "not_found",
    ]))),
))]
pub(crate) async fn disable(
    State(accounts): State<Accounts>,
    Own(own): Own,
    Json(request): Json<Both>,
) -> Result<StatusCode, Problem> {
    let presented = request.presented()?;
    let proof = Proof::of(request.password.as_deref());
    Box::pin(accounts.disable_second_factor(&own, proof, &presented)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces the recovery codes.
///
/// The new ones are shown once, and the former ones do not work any more.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users/me/totp/recovery-codes", operation_id = "replaceRecoveryCodes",
    security(("accessToken" = [])),
    request_body(content = Both, examples(
        ("a-code" = (summary = "password and code", value = json!({
            "password": "correct horse battery staple", "code": "123456",
        }))),
    )),
    responses((
        status = 200, description = "The recovery codes are replaced",
        body = RecoveryCodes, example = RecoveryCodes::example,
    )),
    extensions(("x-refusals" = json!([
        "session_ended", "wrong_password", "insufficient_user_authentication", "invalid_code",
        "too_many_attempts", "account_locked", "second_factor_locked", "second_factor_not_enabled",
        "not_found",
    ]))),
))]
pub(crate) async fn replace_recovery_codes(
    State(accounts): State<Accounts>,
    Own(own): Own,
    Json(request): Json<Both>,
) -> Result<Response, Problem> {
    let presented = request.presented()?;
    let proof = Proof::of(request.password.as_deref());
    let replaced = accounts.replace_recovery_codes(&own, proof, &presented);
    let codes = Box::pin(replaced).await?;
    Ok(json(StatusCode::OK, &RecoveryCodes::from(codes)))
}

#[cfg(feature = "contract")]
impl RecoveryCodes {
    pub(crate) fn example() -> Self {
        let codes = ["7k3mp-x9v2q", "m4w8t-c6r1z"];
        Self { recovery_codes: codes.map(str::to_owned).to_vec() }
    }
}
