//! `POST /authenticate/second-factor` and `POST /authenticate/second-factor/totp`.

use std::fmt;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet_core::second_factor::Presented;
use ratchet_http::{
    Private, Problem,
    body::{Describe, Json},
    caller::Caller,
    cookie::{Browser, Mode},
    dpop::Proof,
    enrollment::Enrollment,
    json::json,
    optional,
    sign_in::signed_in,
};
use ratchet_service::{
    end_sessions::LogOut,
    sign_in::{SecondFactorRequest, SignIn},
};
use serde::Deserialize;

/// The request body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = SecondFactorRequest))]
pub(crate) struct Request {
    /// The challenge of the answer to the password.
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    challenge: Private,
    /// Six digits of the authenticator app.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    code: Option<Private>,
    /// A recovery code, in place of `code`.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    recovery_code: Option<Private>,
    /// Who keeps the refresh token.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(schema_with = ratchet_http::contract::optional_mode))]
    mode: Option<Mode>,
}

impl Describe for Request {
    const EXPECTED: &'static str = r#"{"challenge": "…"} with either a "code" of six digits or a "recovery_code", and optionally a "mode", "token" or "cookie""#;
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

impl Request {
    fn presented(&self) -> Result<Presented, Problem> {
        Presented::parse(self.code.as_deref(), self.recovery_code.as_deref())
            .map_err(|_| Problem::MalformedRequest { expected: Self::EXPECTED })
    }
}

/// Completes a sign-in with a second factor.
///
/// The challenge is that of the answer to the password. It is good for five minutes and one session.
/// If it was to set up a second factor, the first code switches it on, and the answer has recovery
/// codes, which are shown once.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/authenticate/second-factor", operation_id = "completeSignIn",
    params(ratchet_http::contract::CookieConfirmation, ratchet_http::contract::ProofOfPossession),
    request_body(content = Request, examples(
        ("a-code" = (summary = "a code", value = json!({
            "challenge": "sf1_AaIMQeYvc_Ce…", "code": "123456",
        }))),
        ("a-recovery-code" = (summary = "a recovery code", value = json!({
            "challenge": "sf1_AaIMQeYvc_Ce…", "recovery_code": "7k3mp-x9v2q",
        }))),
    )),
    responses((status = 200, response = inline(ratchet_http::contract::FirstTokenPair))),
    extensions(("x-refusals" = json!([
        "invalid_challenge", "challenge_spent", "invalid_code", "second_factor_not_pending",
        "forbidden_origin", "too_many_attempts", "second_factor_locked", "invalid_dpop_proof",
        "use_dpop_nonce", "not_found",
    ]))),
))]
pub(crate) async fn handle(
    State(service): State<SignIn>,
    State(log_out): State<LogOut>,
    Proof(possession): Proof,
    caller: Caller,
    browser: Browser,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let mode = request.mode.unwrap_or_default();
    if mode == Mode::Cookie {
        browser.permit()?;
    }
    let presented = request.presented()?;
    let Caller { source_ip, origin } = caller;
    let challenge = &request.challenge;
    let completion = SecondFactorRequest { challenge, presented, source_ip, origin, possession };
    // Boxed, because the future is large and the router moves it around.
    let pair = Box::pin(service.complete(completion)).await?;
    Ok(signed_in(mode, pair, &log_out, possession, &browser).await)
}

/// The body of a request to set up a second factor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = EnrollRequest))]
pub(crate) struct Enroll {
    /// The challenge of the answer to the password.
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    challenge: Private,
}

impl Describe for Enroll {
    const EXPECTED: &'static str = r#"{"challenge": "…"}"#;
}

/// Begins to set up a second factor that is needed to sign in.
///
/// The secret is for an authenticator app. It waits ten minutes for its first code, at
/// `POST /authenticate/second-factor`.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/authenticate/second-factor/totp", operation_id = "enrollAtSignIn",
    params(ratchet_http::contract::ProofOfPossession),
    request_body(content = Enroll, examples(
        ("a-challenge" = (summary = "a challenge", value = json!({
            "challenge": "sf1_AqIMQeYvc_Ce…",
        }))),
    )),
    responses((
        status = 200, description = "The secret", body = Enrollment, example = Enrollment::example,
    )),
    extensions(("x-refusals" = json!([
        "invalid_challenge", "challenge_spent", "invalid_dpop_proof", "use_dpop_nonce", "not_found",
    ]))),
))]
pub(crate) async fn enroll(
    State(service): State<SignIn>,
    Proof(possession): Proof,
    Json(request): Json<Enroll>,
) -> Result<Response, Problem> {
    let enrollment = Box::pin(service.enroll(&request.challenge, possession)).await?;
    Ok(json(StatusCode::OK, &Enrollment::from(enrollment)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(body: &str) -> Result<Presented, Problem> {
        serde_json::from_str::<Request>(body).unwrap().presented()
    }

    #[test]
    fn a_request_has_a_code_of_one_kind() {
        let code = presented(r#"{"challenge": "x", "code": "123 456", "recovery_code": ""}"#);
        assert!(matches!(code, Ok(Presented::Code(_))));
        let recovery = presented(r#"{"challenge": "x", "recovery_code": "abcde-fghjk"}"#);
        assert!(matches!(recovery, Ok(Presented::Recovery(_))));
        for body in [
            r#"{"challenge": "x"}"#,
            r#"{"challenge": "x", "code": "12345"}"#,
            r#"{"challenge": "x", "code": "123456", "recovery_code": "abcde-fghjk"}"#,
        ] {
            assert!(presented(body).is_err(), "{body}");
        }
    }

    #[test]
    fn nothing_prints_a_challenge_or_a_code() {
        let body = r#"{"challenge": "canary-1", "code": "canary-2", "recovery_code": "canary-3"}"#;
        let request: Request = serde_json::from_str(body).unwrap();
        assert!(!format!("{request:?}").contains("canary"));
    }
}
