//! `POST /authenticate`.

use std::fmt;

use axum::{extract::State, response::Response};
use ratchet_core::{dpop::Possession, password::Password, session::Session};
use ratchet_http::{
    Problem,
    body::{Describe, Json},
    caller::Caller,
    cookie::{Browser, Mode},
    dpop::Proof,
    optional,
    sign_in::signed_in,
};
use ratchet_service::{
    end_sessions::LogOut,
    sign_in::{SignIn, SignInRequest},
};
use serde::Deserialize;
use zeroize::Zeroizing;

/// The request body.
#[derive(Deserialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = AuthenticateRequest))]
pub(crate) struct Request {
    /// The user name, in any case and width of its letters.
    #[serde(alias = "Name")]
    name: String,
    /// As it was typed.
    #[serde(alias = "Password")]
    #[cfg_attr(feature = "contract", schema(
        value_type = String, min_length = 1, max_length = 256,
        pattern = r"^[^\u0000-\u0008\u000a-\u001f\u007f-\u009f]*$",
    ))]
    password: Zeroizing<String>,
    /// What the user calls this device, for the list of sessions.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(max_length = 40))]
    device: Option<String>,
    /// The device token of an earlier response.
    #[serde(default, deserialize_with = "optional")]
    device_token: Option<String>,
    /// Who keeps the refresh token.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(schema_with = ratchet_http::contract::optional_mode))]
    mode: Option<Mode>,
}

impl Describe for Request {
    const EXPECTED: &'static str = r#"{"name": "…", "password": "…"}, the password of 1 to 256 characters without control characters, and optionally a "device" of at most 40 bytes, a "device_token" and a "mode", "token" or "cookie""#;
}

impl Request {
    /// Checks the limits of the fields.
    fn parse(self, caller: Caller, possession: Possession) -> Result<SignInRequest, Problem> {
        let malformed = Problem::MalformedRequest { expected: Self::EXPECTED };
        let Self { name, password, device, device_token, mode: _ } = self;
        if device.as_ref().is_some_and(|device| device.len() > Session::DEVICE_BYTES) {
            return Err(malformed);
        }
        Ok(SignInRequest {
            name,
            password: Password::typed(&password).map_err(|_| malformed)?,
            device_label: device,
            device_token,
            source_ip: caller.source_ip,
            origin: caller.origin,
            possession,
        })
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Exchanges a password for a token pair.
///
/// Starts a session. With the `mode` `cookie` the refresh token is not in the body, but in a cookie
/// that no script can read. With a DPoP proof, the session is bound to the key of the proof. A user
/// with a second factor gets a challenge, to be sent with a code.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/authenticate", operation_id = "authenticate",
    params(ratchet_http::contract::CookieConfirmation, ratchet_http::contract::ProofOfPossession),
    request_body(content = Request, examples(
        ("a-program" = (summary = "a program", value = json!({
            "name": "ada", "password": "correct horse battery staple",
        }))),
        ("a-browser-application" = (summary = "a browser application", value = json!({
            "name": "ada", "password": "correct horse battery staple", "device": "Laptop",
            "mode": "cookie",
        }))),
    )),
    responses((status = 200, response = inline(ratchet_http::contract::FirstTokenPair))),
    extensions(("x-refusals" = json!([
        "invalid_credentials", "email_not_confirmed", "second_factor_required",
        "second_factor_enrollment_required", "forbidden_origin", "too_many_attempts", "account_locked",
        "invalid_dpop_proof", "use_dpop_nonce",
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
    // Before the password is checked: another site could sign its visitors in as somebody else.
    if mode == Mode::Cookie {
        browser.permit()?;
    }
    // Boxed, because the future is large and the router moves it around.
    let pair = Box::pin(service.sign_in(request.parse(caller, possession)?)).await?;
    Ok(signed_in(mode, pair, &log_out, possession, &browser).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_a_password() {
        let request: Request =
            serde_json::from_str(r#"{"Name":"ada","Password":"canary-1f"}"#).unwrap();
        assert_eq!(request.password.as_str(), "canary-1f");
        assert!(!format!("{request:?}").contains("canary"));
    }
}
