//! `POST /authenticate/email` and `POST /authenticate/email/confirm`.

use std::fmt;

use axum::{extract::State, response::Response};
use ratchet_core::{dpop::Possession, session::Session};
use ratchet_http::{
    Private, Problem,
    accepted::{Address, accepted},
    body::{Describe, Json},
    caller::Caller,
    cookie::{Browser, Mode},
    dpop::Proof,
    optional,
    sign_in::signed_in,
};
use ratchet_service::{
    accounts::Evidence,
    end_sessions::LogOut,
    sign_in::{EmailSignInRequest, SignIn},
};
use serde::Deserialize;

/// Requests a message that signs in.
///
/// It has a link and a code, which are good for ten minutes and one sign-in.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/authenticate/email", operation_id = "askSignInMail",
    request_body(content = Address, examples(
        ("an-address" = (summary = "an address", value = json!({"email": "ada@example.com"}))),
    )),
    responses((
        status = 202, description = "A message follows, if it is the address of a user",
        body = ratchet_http::accepted::Accepted, example = ratchet_http::accepted::Accepted::new,
    )),
    extensions(("x-refusals" = json!(["too_many_attempts", "not_found"]))),
))]
pub(crate) async fn request(
    State(service): State<SignIn>,
    caller: Caller,
    Json(request): Json<Address>,
) -> Result<Response, Problem> {
    service.request_email(request.parse()?, caller.source_ip).await?;
    Ok(accepted())
}

/// The request body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = EmailSignInRequest))]
pub(crate) struct Request {
    /// From the link of the message.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    token: Option<Private>,
    /// The address, with `code` in place of `token`.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    email: Option<Private>,
    /// Six digits from the message.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    code: Option<Private>,
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
    const EXPECTED: &'static str = r#"{"token": "…"} from the link of a message, or {"email": "…", "code": "…"}, and optionally a "device" of at most 40 bytes and a "mode", "token" or "cookie""#;
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

impl Request {
    fn parse(
        &self,
        caller: Caller,
        possession: Possession,
    ) -> Result<EmailSignInRequest<'_>, Problem> {
        let malformed = Problem::MalformedRequest { expected: Self::EXPECTED };
        let Self { token, email, code, device, mode: _ } = self;
        if device.as_ref().is_some_and(|device| device.len() > Session::DEVICE_BYTES) {
            return Err(malformed);
        }
        let [token, email, code] = [token, email, code].map(Option::as_deref);
        Ok(EmailSignInRequest {
            evidence: Evidence::parse(token, email, None, code).map_err(|_| malformed)?,
            device_label: device.clone(),
            source_ip: caller.source_ip,
            origin: caller.origin,
            possession,
        })
    }
}

/// Exchanges the link or the code of a message for a token pair.
///
/// Starts a session. A message is good for one session. A user with a second factor gets a challenge,
/// to be sent with a code.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/authenticate/email/confirm", operation_id = "authenticateWithMail",
    params(ratchet_http::contract::CookieConfirmation, ratchet_http::contract::ProofOfPossession),
    request_body(content = Request, examples(
        ("from-the-link" = (summary = "from the link", value = json!({"token": "rm1_…"}))),
        ("a-typed-code" = (summary = "a typed code", value = json!({
            "email": "ada@example.com", "code": "012345", "device": "Laptop",
        }))),
    )),
    responses((status = 200, response = inline(ratchet_http::contract::FirstTokenPair))),
    extensions(("x-refusals" = json!([
        "invalid_proof", "challenge_spent", "second_factor_required",
        "second_factor_enrollment_required", "forbidden_origin", "too_many_attempts",
        "invalid_dpop_proof", "use_dpop_nonce", "not_found",
    ]))),
))]
pub(crate) async fn confirm(
    State(service): State<SignIn>,
    State(log_out): State<LogOut>,
    Proof(possession): Proof,
    caller: Caller,
    browser: Browser,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let mode = request.mode.unwrap_or_default();
    // Another site could sign its visitors in as somebody else.
    if mode == Mode::Cookie {
        browser.permit()?;
    }
    // Boxed, because the future is large and the router moves it around.
    let pair = Box::pin(service.sign_in_by_email(request.parse(caller, possession)?)).await?;
    Ok(signed_in(mode, pair, &log_out, possession, &browser).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_a_token_or_a_code() {
        let body = r#"{"token": "canary-1", "email": "canary-2", "code": "canary-3"}"#;
        let request: Request = serde_json::from_str(body).unwrap();
        assert!(!format!("{request:?}").contains("canary"));
    }
}
