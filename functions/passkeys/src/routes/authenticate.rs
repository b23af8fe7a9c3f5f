//! `POST /passkeys/options` and `POST /passkeys/authenticate`.

use std::fmt;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet_core::session::Session;
use ratchet_http::{
    Private, Problem,
    body::{Describe, Json},
    caller::Caller,
    cookie::{Browser, Mode},
    dpop::Proof,
    json::json,
    optional,
    sign_in::signed_in,
};
use ratchet_service::{
    end_sessions::LogOut,
    passkeys::{PasskeyBeginning, PasskeySignIn, Passkeys},
};
use ratchet_webauthn::AuthenticationAnswer;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::passkeys::Begun;

/// The body of a request for options.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = PasskeyOptionsRequest))]
pub(crate) struct Begin {
    /// The challenge of the answer to a password, to sign in with a passkey in place of a code.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    challenge: Option<Private>,
}

impl Describe for Begin {
    const EXPECTED: &'static str =
        r#"{}, or {"challenge": "…"}, the challenge of the answer to a password"#;
}

/// Begins to sign in with a passkey.
///
/// The options are for `navigator.credentials.get()`. Without a `challenge`, any passkey of the user
/// will do, and no name is needed.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/passkeys/options", operation_id = "beginPasskeySignIn",
    params(ratchet_http::contract::ProofOfPossession),
    request_body(content = Begin, examples(
        ("without-a-name" = (summary = "without a name", value = json!({}))),
        ("after-a-password" = (summary = "after a password", value = json!({
            "challenge": "sf1_AaIMQeYvc_Ce…",
        }))),
    )),
    responses((
        status = 200, description = "The options", body = Begun,
        example = Begun::request_example,
    )),
    extensions(("x-refusals" = json!([
        "invalid_challenge", "challenge_spent", "no_passkey", "invalid_dpop_proof", "use_dpop_nonce",
        "not_found",
    ]))),
))]
pub(crate) async fn begin(
    State(passkeys): State<Passkeys>,
    Proof(possession): Proof,
    Json(request): Json<Begin>,
) -> Result<Response, Problem> {
    let beginning = PasskeyBeginning { challenge: request.challenge.as_deref(), possession };
    let begun = Box::pin(passkeys.begin_sign_in(beginning)).await?;
    Ok(json(StatusCode::OK, &Begun::from(begun)))
}

/// The request body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = PasskeySignInRequest))]
pub(crate) struct Request {
    /// That of the options.
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    ceremony: Private,
    /// What `toJSON()` makes of the authenticator's answer.
    #[cfg_attr(feature = "contract", schema(value_type = Object))]
    credential: Map<String, Value>,
    /// The challenge, if the options were requested with one.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    challenge: Option<Private>,
    /// What the user calls this device, for the list of sessions.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(max_length = 40))]
    device: Option<String>,
    /// Who keeps the refresh token.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(schema_with = ratchet_http::contract::optional_mode))]
    mode: Option<Mode>,
}

impl Describe for Request {
    const EXPECTED: &'static str = r#"{"ceremony": "…", "credential": {…}}, the credential as toJSON() writes it, and optionally the "challenge", a "device" of at most 40 bytes and a "mode", "token" or "cookie""#;
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Exchanges an authenticator's answer for a token pair.
///
/// Starts a session. An answer is good for one session.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/passkeys/authenticate", operation_id = "authenticateWithPasskey",
    params(ratchet_http::contract::CookieConfirmation, ratchet_http::contract::ProofOfPossession),
    request_body(content = Request, examples(
        ("an-answer" = (summary = "an answer", value = json!({
            "ceremony": "pk1_AgAAAAAA…", "credential": {"id": "…", "response": {}},
            "device": "Laptop",
        }))),
    )),
    responses((status = 200, response = inline(ratchet_http::contract::FirstTokenPair))),
    extensions(("x-refusals" = json!([
        "invalid_challenge", "challenge_spent", "invalid_passkey", "email_not_confirmed",
        "forbidden_origin", "invalid_dpop_proof", "use_dpop_nonce", "not_found",
    ]))),
))]
pub(crate) async fn handle(
    State(passkeys): State<Passkeys>,
    State(log_out): State<LogOut>,
    Proof(possession): Proof,
    caller: Caller,
    browser: Browser,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let Request { ceremony, credential, challenge, device, mode } = request;
    let mode = mode.unwrap_or_default();
    // Another site could sign its visitors in as somebody else.
    if mode == Mode::Cookie {
        browser.permit()?;
    }
    let malformed = Problem::MalformedRequest { expected: Request::EXPECTED };
    if device.as_ref().is_some_and(|device| device.len() > Session::DEVICE_BYTES) {
        return Err(malformed);
    }
    let answer: AuthenticationAnswer =
        serde_json::from_value(Value::Object(credential)).map_err(|_| malformed)?;
    let sign_in = PasskeySignIn {
        ceremony: &ceremony,
        answer: &answer,
        challenge: challenge.as_deref(),
        device_label: device,
        source_ip: caller.source_ip,
        origin: caller.origin,
        possession,
    };
    // Boxed, because the future is large and the router moves it around.
    let pair = Box::pin(passkeys.sign_in(sign_in)).await?;
    Ok(signed_in(mode, pair, &log_out, possession, &browser).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_a_ceremony_or_a_challenge() {
        let body =
            r#"{"ceremony": "canary-1", "challenge": "canary-2", "credential": {"a": "canary-3"}}"#;
        let request: Request = serde_json::from_str(body).unwrap();
        assert!(!format!("{request:?}").contains("canary"));
        let begin: Begin = serde_json::from_str(r#"{"challenge": "canary-4"}"#).unwrap();
        assert!(!format!("{begin:?}").contains("canary"));
    }
}
