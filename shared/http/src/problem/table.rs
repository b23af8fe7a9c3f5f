//! The table of problems: code, status, title and the rest, one row each.

use std::time::Duration;

use http::StatusCode;
use ratchet_core::{
    attempts::LONGEST_DELAY,
    custom_claims::{InvalidClaims, MAX_LEN},
    dpop::ProofError,
};

use super::{InvalidAttempt, Problem};
use crate::body::MAX_BODY;

/// When a client should send the same request again after a fault.
const RETRY_AFTER_FAULT: Duration = Duration::from_secs(1);

/// One row of the table.
pub(super) struct Row {
    pub(super) code: &'static str,
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) detail: Detail,
    /// What a 401 says in `WWW-Authenticate` (RFC 9110 §11.6.1, RFC 6750 §3).
    pub(super) challenge: &'static str,
    pub(super) retry_after: Option<Duration>,
    /// Whether the refresh token that was presented can never work again.
    pub(super) ends_session: bool,
}

/// What the client should do.
pub(super) enum Detail {
    None,
    Text(&'static str),
    /// What the route expects.
    Expected(&'static str),
    /// The content type that the route accepts.
    ContentType(&'static str),
    /// The longest body, in bytes.
    MaxBody(usize),
    /// A reserved name that a custom claim has.
    ReservedClaim(&'static str),
    /// The greatest total length of custom claims, in bytes.
    MaxClaims(usize),
}

const BEARER: &str = r#"Bearer realm="ratchet""#;
const INVALID_TOKEN: &str = r#"Bearer realm="ratchet", error="invalid_token""#;
const EXPIRED_TOKEN: &str =
    r#"Bearer realm="ratchet", error="invalid_token", error_description="expired""#;
const STALE_TOKEN: &str =
    r#"Bearer realm="ratchet", error="invalid_token", error_description="refresh""#;

const INSUFFICIENT: &str = r#"Bearer realm="ratchet", error="insufficient_user_authentication""#;

const USE_NONCE: &str = r#"DPoP realm="ratchet", error="use_dpop_nonce", algs="ES256 EdDSA RS256""#;
const INVALID_PROOF: &str =
    r#"DPoP realm="ratchet", error="invalid_dpop_proof", algs="ES256 EdDSA RS256""#;
const UNPROVEN_TOKEN: &str =
    r#"DPoP realm="ratchet", error="invalid_token", algs="ES256 EdDSA RS256""#;

impl Row {
    const fn new(code: &'static str, status: StatusCode, title: &'static str) -> Self {
        let (detail, challenge) = (Detail::None, BEARER);
        Self { code, status, title, detail, challenge, retry_after: None, ends_session: false }
    }

    const fn detail(self, detail: Detail) -> Self {
        Self { detail, ..self }
    }

    const fn text(self, text: &'static str) -> Self {
        self.detail(Detail::Text(text))
    }

    const fn challenge(self, challenge: &'static str) -> Self {
        Self { challenge, ..self }
    }

    const fn retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    const fn ends_session(self) -> Self {
        Self { ends_session: true, ..self }
    }
}

impl Problem {
    #[rustfmt::skip]
    #[expect(clippy::too_many_lines, reason = "one row per problem, in one place")]
    pub(super) const fn row(&self) -> Row {
        use StatusCode as S;
        match self {
            Self::MalformedRequest { expected } =>
                Row::new("malformed_request", S::BAD_REQUEST, "The request is malformed.")
                    .detail(Detail::Expected(expected)),
            Self::PayloadTooLarge =>
                Row::new("payload_too_large", S::PAYLOAD_TOO_LARGE, "The body is too large.")
                    .detail(Detail::MaxBody(MAX_BODY)),
            Self::UnsupportedMediaType { expected } =>
                Row::new("unsupported_media_type", S::UNSUPPORTED_MEDIA_TYPE, "The route does not accept this content type.")
                    .detail(Detail::ContentType(expected)),
            Self::NotFound =>
                Row::new("not_found", S::NOT_FOUND, "There is nothing here."),
            Self::MethodNotAllowed =>
                Row::new("method_not_allowed", S::METHOD_NOT_ALLOWED, "The path does not support this method."),
            Self::InvalidCredentials =>
                Row::new("invalid_credentials", S::UNAUTHORIZED, "Incorrect username or password!"),
            Self::TooManyAttempts { retry_after } =>
                Row::new("too_many_attempts", S::TOO_MANY_REQUESTS, "Too many attempts.")
                    .text("Try again after 'Retry-After'.")
                    .retry_after(*retry_after),
            // Waiting does not help, but a client that tries all the same should not do so often.
            Self::AccountLocked =>
                Row::new("account_locked", S::TOO_MANY_REQUESTS, "The account is locked after too many wrong passwords.")
                    .text("Reset the password by e-mail, or ask an administrator.")
                    .retry_after(LONGEST_DELAY),
            Self::EmailNotConfirmed =>
                Row::new("email_not_confirmed", S::UNAUTHORIZED, "The e-mail address has not been confirmed yet."),
            Self::SecondFactorRequired { .. } =>
                Row::new("second_factor_required", S::UNAUTHORIZED, "A second factor is required.")
                    .text("Send the challenge with a code to POST /authenticate/second-factor."),
            Self::SecondFactorEnrollmentRequired { .. } =>
                Row::new("second_factor_enrollment_required", S::UNAUTHORIZED, "A second factor has to be set up.")
                    .text("Send the challenge to POST /authenticate/second-factor/totp, and then with a code to POST /authenticate/second-factor."),
            Self::InvalidChallenge =>
                Row::new("invalid_challenge", S::UNAUTHORIZED, "The challenge is wrong or expired.")
                    .text("Sign in again."),
            Self::ChallengeSpent =>
                Row::new("challenge_spent", S::UNAUTHORIZED, "The challenge was used before.")
                    .text("If its answer was lost, sign in again."),
            Self::InvalidSignInCode =>
                Row::new("invalid_code", S::UNAUTHORIZED, "The code is wrong or was used before.")
                    .text("Try again with the next code. The challenge is still good."),
            // Not a 401: that would make clients refresh or drop a session that is live.
            Self::WrongCode =>
                Row::new("invalid_code", S::FORBIDDEN, "The code is wrong or was used before.")
                    .text("Try again with the next code."),
            Self::SecondFactorAlreadyEnabled =>
                Row::new("second_factor_already_enabled", S::CONFLICT, "A second factor is on already.")
                    .text("POST /users/me/totp/recovery-codes replaces recovery codes that were lost. To use another app, first switch it off with DELETE /users/me/totp."),
            Self::SecondFactorNotEnabled =>
                Row::new("second_factor_not_enabled", S::CONFLICT, "No second factor is on.")
                    .text("Set one up with POST /users/me/totp."),
            Self::SecondFactorNotPending =>
                Row::new("second_factor_not_pending", S::CONFLICT, "No second factor waits for its first code.")
                    .text("Set one up again. It waits ten minutes for its first code."),
            Self::SecondFactorLocked =>
                Row::new("second_factor_locked", S::TOO_MANY_REQUESTS, "The second factor is locked after too many wrong codes.")
                    .text("Ask an administrator.")
                    .retry_after(LONGEST_DELAY),
            Self::InvalidPasskey =>
                Row::new("invalid_passkey", S::UNAUTHORIZED, "The passkey was refused.")
                    .text("Try again, or sign in with the password."),
            // Not a 401: that would make clients refresh or drop a session that is live.
            Self::WrongPasskey =>
                Row::new("invalid_passkey", S::FORBIDDEN, "The passkey was refused.")
                    .text("Request new options, and begin again."),
            Self::PasskeyExists =>
                Row::new("passkey_exists", S::CONFLICT, "You have this passkey already."),
            Self::TooManyPasskeys =>
                Row::new("too_many_passkeys", S::CONFLICT, "You have too many passkeys.")
                    .text("Remove one first."),
            Self::NoPasskey =>
                Row::new("no_passkey", S::CONFLICT, "You have no passkey.")
                    .text("Use a code instead. The challenge of a sign-in is still good."),
            Self::PasswordRefused(_) =>
                Row::new("password_refused", S::UNPROCESSABLE_ENTITY, "The password does not meet the rules."),
            Self::ClaimsRefused(error) =>
                Row::new("claims_refused", S::UNPROCESSABLE_ENTITY, "The custom claims are not allowed.")
                    .detail(claims_detail(*error)),
            // Not a 401: that would make clients refresh or drop a session that is live.
            Self::WrongPassword =>
                Row::new("wrong_password", S::FORBIDDEN, "The password is wrong."),
            Self::InsufficientUserAuthentication { .. } =>
                Row::new("insufficient_user_authentication", S::UNAUTHORIZED, "A more recent or another authentication is required.")
                    .text("Authenticate with POST /users/me/step-up as 'WWW-Authenticate' says, and use its access token; or send the password where the route takes one.")
                    .challenge(INSUFFICIENT),
            Self::InvalidProof =>
                Row::new("invalid_proof", S::BAD_REQUEST, "The link or the code is wrong, used or expired.")
                    .text("Ask for another message."),
            Self::Forbidden =>
                Row::new("forbidden", S::FORBIDDEN, "You may not do this."),
            Self::InvalidAttempt(attempt) => attempt.row(),
            Self::RefusedProof(error) =>
                Row::new(proof_code(*error), S::BAD_REQUEST, "The request does not prove possession of a key.")
                    .text(proof_detail(*error)),
            Self::UnprovenAccess(error) =>
                Row::new(proof_code(*error), S::UNAUTHORIZED, "The request does not prove possession of the access token's key.")
                    .text(proof_detail(*error))
                    .challenge(proof_challenge(*error)),
            Self::ForbiddenOrigin =>
                Row::new("forbidden_origin", S::FORBIDDEN, "Only configured web applications may use cookies.")
                    .text("Expected a configured Origin, and the header 'X-Ratchet: 1'."),
            Self::MissingAccessToken =>
                Row::new("missing_access_token", S::UNAUTHORIZED, "An access token is required.")
                    .text("Send it as 'Authorization: Bearer <access token>'."),
            Self::InvalidAccessToken =>
                Row::new("invalid_access_token", S::UNAUTHORIZED, "The access token is invalid.")
                    .challenge(INVALID_TOKEN),
            Self::ExpiredAccessToken =>
                Row::new("expired_access_token", S::UNAUTHORIZED, "The access token has expired.")
                    .text("Get a new one with POST /refresh.")
                    .challenge(EXPIRED_TOKEN),
            Self::StaleAccessToken =>
                Row::new("stale_access_token", S::UNAUTHORIZED, "The access token is not valid any more, or not yet.")
                    .text("Get a new one with POST /refresh.")
                    .challenge(STALE_TOKEN),
            Self::SessionEnded =>
                Row::new("session_ended", S::UNAUTHORIZED, "The session has ended.")
                    .challenge(INVALID_TOKEN),
            Self::Unavailable =>
                Row::new("unavailable", S::SERVICE_UNAVAILABLE, "The service is temporarily unavailable.")
                    .text("Try again with the same request.")
                    .retry_after(RETRY_AFTER_FAULT),
            Self::Internal =>
                Row::new("internal", S::INTERNAL_SERVER_ERROR, "Something went wrong."),
        }
    }
}

impl InvalidAttempt {
    const fn row(self) -> Row {
        match self {
            Self::Missing => row("missing_refresh_token").ends_session(),
            Self::Malformed => row("malformed").ends_session(),
            // These two concern the request. The browser may have the session's live token already.
            Self::AccessTokenMismatch => row("access_token_mismatch"),
            Self::Elsewhere => row("elsewhere"),
            Self::ExpiredIdle => row("expired_idle").ends_session(),
            Self::ExpiredAbsolute => row("expired_absolute").ends_session(),
            Self::ReuseDetected => row("reuse_detected").ends_session(),
            Self::Revoked => row("revoked").ends_session(),
            Self::UserDisabled => row("user_disabled").ends_session(),
            Self::Unknown => row("unknown").ends_session(),
        }
    }
}

const fn claims_detail(error: InvalidClaims) -> Detail {
    match error {
        InvalidClaims::Reserved(name) => Detail::ReservedClaim(name),
        InvalidClaims::Name => {
            Detail::Text("Names consist of printable ASCII characters other than spaces.")
        }
        InvalidClaims::TooLong => Detail::MaxClaims(MAX_LEN),
    }
}

/// The error code of RFC 9449 §12.2.
#[must_use]
pub const fn proof_code(error: ProofError) -> &'static str {
    match error {
        ProofError::StaleNonce => "use_dpop_nonce",
        ProofError::Missing
        | ProofError::Malformed
        | ProofError::WrongRequest
        | ProofError::WrongAccessToken
        | ProofError::WrongTime
        | ProofError::WrongKey
        | ProofError::NotBound => "invalid_dpop_proof",
    }
}

/// What is wrong with a proof, as a sentence for developers.
#[must_use]
pub const fn proof_detail(error: ProofError) -> &'static str {
    match error {
        ProofError::Missing => {
            "Send a proof in the header 'DPoP', and an access token as 'Authorization: DPoP <access token>'."
        }
        ProofError::Malformed => {
            "Send one JWT of the type 'dpop+jwt', signed with the public key in its header by ES256, EdDSA or RS256."
        }
        ProofError::WrongRequest => {
            "'htm' and 'htu' must be the method and the URL of this request."
        }
        ProofError::WrongAccessToken => {
            "'ath' must be the SHA-256 of the access token, in base64url."
        }
        ProofError::WrongTime => {
            "'iat' is more than a minute away from the service's clock, which the header 'Date' shows."
        }
        ProofError::StaleNonce => "Send another proof, with the nonce in the header 'DPoP-Nonce'.",
        ProofError::WrongKey => "The session is bound to another key.",
        ProofError::NotBound => {
            "The access token is bound to no key. Send it as 'Authorization: Bearer <access token>'."
        }
    }
}

/// The challenge of RFC 9449 §7.1: `invalid_token` if the token needs another scheme or key.
const fn proof_challenge(error: ProofError) -> &'static str {
    match error {
        ProofError::StaleNonce => USE_NONCE,
        ProofError::Missing | ProofError::WrongKey | ProofError::NotBound => UNPROVEN_TOKEN,
        ProofError::Malformed
        | ProofError::WrongRequest
        | ProofError::WrongAccessToken
        | ProofError::WrongTime => INVALID_PROOF,
    }
}

/// The row of an invalid attempt.
const fn row(code: &'static str) -> Row {
    Row::new(code, StatusCode::UNAUTHORIZED, "Invalid attempt!")
}

impl Detail {
    pub(super) fn into_text(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Text(text) => Some(text.to_owned()),
            Self::Expected(expected) => Some(format!("Expected {expected}.")),
            Self::ContentType(expected) => {
                Some(format!("Send it with 'Content-Type: {expected}'."))
            }
            Self::MaxBody(bytes) => Some(format!("Send at most {bytes} bytes.")),
            Self::ReservedClaim(name) => {
                Some(format!("The name '{name}' is reserved. Choose another one."))
            }
            Self::MaxClaims(bytes) => {
                Some(format!("All claims together may have at most {bytes} bytes as JSON."))
            }
        }
    }
}
