//! Every refusal, as RFC 9457 problem details with a stable `code`.
//!
//! [`Problem::row`] is the table of them. `from_errors` says which problem an error of a use case is.

mod from_errors;

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use ratchet_core::{attempts::LONGEST_DELAY, password::PasswordRule};
use serde::Serialize;

use crate::body::MAX_BODY;

/// The response header that is `true` on the 401 of a genuine but expired access token: refresh it.
pub const IS_TOKEN_EXPIRED: &str = "is-token-expired";

/// When a client should send the same request again after a fault.
const RETRY_AFTER_FAULT: Duration = Duration::from_secs(1);

/// What a client gets instead of what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The request cannot be understood.
    MalformedRequest {
        /// What the route expects.
        expected: &'static str,
    },
    /// The body is longer than [`MAX_BODY`].
    PayloadTooLarge,
    /// The route does not accept bodies of this type.
    UnsupportedMediaType {
        /// The type that it accepts.
        expected: &'static str,
    },
    /// There is nothing at this path, or nothing that the caller may know about.
    NotFound,
    /// The path does not support the method.
    MethodNotAllowed,
    /// Unknown name, wrong password or disabled user: nobody learns which.
    InvalidCredentials,
    /// Too many attempts failed. Nothing is tried for a while.
    TooManyAttempts {
        /// For how long.
        retry_after: Duration,
    },
    /// So many attempts failed that the account has to be unlocked, or its password reset. Names
    /// that nobody has are locked in the same way.
    AccountLocked,
    /// The password was right, but the e-mail address has not been confirmed.
    EmailNotConfirmed,
    /// The new password misses these rules of the policy. They are all here, so that one more try
    /// is enough.
    PasswordRefused(Vec<PasswordRule>),
    /// The password that was to confirm a change is wrong.
    WrongPassword,
    /// The token or code of a message is wrong, used or expired: nobody learns which.
    InvalidProof,
    /// The caller is known, but not allowed to do this.
    Forbidden,
    /// The refresh token was refused.
    InvalidAttempt(InvalidAttempt),
    /// A request for the cookie, or with it, came from a site that is not configured.
    ForbiddenOrigin,
    /// The request has no access token.
    MissingAccessToken,
    /// The access token is not genuine.
    InvalidAccessToken,
    /// The access token is genuine but has expired.
    ExpiredAccessToken,
    /// The access token is not valid, but may have been: its client should refresh it.
    StaleAccessToken,
    /// The access token is genuine, but its session has ended.
    SessionEnded,
    /// Something that is needed cannot be reached. Nothing is wrong with the request.
    Unavailable,
    /// A defect or a damaged item. Only the log says which.
    Internal,
}

/// Why a refresh token was refused: the `code` beside 'Invalid attempt!'.
///
/// All but `Missing`, `Malformed` and `AccessTokenMismatch` are only told to clients with a genuine
/// token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidAttempt {
    /// Neither the body nor a cookie has a refresh token.
    Missing,
    /// The refresh token is not genuine.
    Malformed,
    /// The access token beside it is not genuine, or of another user or session.
    AccessTokenMismatch,
    /// The session was not refreshed in time.
    ExpiredIdle,
    /// The absolute lifetime of the session is over.
    ExpiredAbsolute,
    /// An old token was presented. The session has been ended.
    ReuseDetected,
    /// The session has been ended.
    Revoked,
    /// The user is disabled or deleted.
    UserDisabled,
    /// There is no such session (any more, or yet, if its table was restored from a backup).
    Unknown,
    /// A superseded token came from another network or user agent, which the configuration forbids.
    Elsewhere,
}

/// One row of the table.
struct Row {
    code: &'static str,
    status: StatusCode,
    title: &'static str,
    detail: Detail,
    /// What a 401 says in `WWW-Authenticate` (RFC 9110 §11.6.1, RFC 6750 §3).
    challenge: &'static str,
    retry_after: Option<Duration>,
    /// Whether the refresh token that was presented can never work again.
    ends_session: bool,
}

/// What the client should do.
enum Detail {
    None,
    Text(&'static str),
    /// What the route expects.
    Expected(&'static str),
    /// The content type that the route accepts.
    ContentType(&'static str),
    /// The longest body, in bytes.
    MaxBody(usize),
}

const BEARER: &str = r#"Bearer realm="ratchet""#;
const INVALID_TOKEN: &str = r#"Bearer realm="ratchet", error="invalid_token""#;
const EXPIRED_TOKEN: &str =
    r#"Bearer realm="ratchet", error="invalid_token", error_description="expired""#;
const STALE_TOKEN: &str =
    r#"Bearer realm="ratchet", error="invalid_token", error_description="refresh""#;

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
    /// The table of problems.
    #[rustfmt::skip]
    const fn row(&self) -> Row {
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
                Row::new("too_many_attempts", S::TOO_MANY_REQUESTS, "Too many wrong passwords.")
                    .text("Try again after 'Retry-After'.")
                    .retry_after(*retry_after),
            // Waiting does not help, but a client that tries all the same should not do so often.
            Self::AccountLocked =>
                Row::new("account_locked", S::TOO_MANY_REQUESTS, "The account is locked after too many wrong passwords.")
                    .text("Reset the password by e-mail, or ask an administrator.")
                    .retry_after(LONGEST_DELAY),
            Self::EmailNotConfirmed =>
                Row::new("email_not_confirmed", S::UNAUTHORIZED, "The e-mail address has not been confirmed yet."),
            Self::PasswordRefused(_) =>
                Row::new("password_refused", S::UNPROCESSABLE_ENTITY, "The password does not meet the rules."),
            // A 401 would make a client drop or refresh its session, which is fine.
            Self::WrongPassword =>
                Row::new("wrong_password", S::FORBIDDEN, "The password is wrong."),
            Self::InvalidProof =>
                Row::new("invalid_proof", S::BAD_REQUEST, "The link or the code is wrong, used or expired.")
                    .text("Ask for another message."),
            Self::Forbidden =>
                Row::new("forbidden", S::FORBIDDEN, "You may not do this."),
            Self::InvalidAttempt(attempt) => attempt.row(),
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

    /// The stable name: part of the contract, field of the log line and dimension of the metric.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.row().code
    }

    /// The status of the response.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.row().status
    }

    /// Whether the refused refresh token can never work again, so that a client should drop it.
    #[must_use]
    pub const fn ends_session(&self) -> bool {
        self.row().ends_session
    }

    fn rules(&self) -> Vec<MissedRule> {
        let Self::PasswordRefused(rules) = self else { return Vec::new() };
        rules
            .iter()
            .map(|rule| MissedRule { code: rule.code(), detail: rule.to_string() })
            .collect()
    }
}

impl InvalidAttempt {
    /// All of them, for the API description and the tests.
    pub const ALL: [Self; 10] = [
        Self::Missing,
        Self::Malformed,
        Self::AccessTokenMismatch,
        Self::ExpiredIdle,
        Self::ExpiredAbsolute,
        Self::ReuseDetected,
        Self::Revoked,
        Self::UserDisabled,
        Self::Unknown,
        Self::Elsewhere,
    ];

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

/// The row of an invalid attempt.
const fn row(code: &'static str) -> Row {
    Row::new(code, StatusCode::UNAUTHORIZED, "Invalid attempt!")
}

impl Detail {
    fn into_text(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Text(text) => Some(text.to_owned()),
            Self::Expected(expected) => Some(format!("Expected {expected}.")),
            Self::ContentType(expected) => {
                Some(format!("Send it with 'Content-Type: {expected}'."))
            }
            Self::MaxBody(bytes) => Some(format!("Send at most {bytes} bytes.")),
        }
    }
}

/// The `code` of a problem as a response extension, for the log line.
#[derive(Debug, Clone, Copy)]
pub struct ProblemCode(pub &'static str);

/// Problem details (RFC 9457).
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "Problem"))]
pub(crate) struct Details {
    /// `urn:ratchet:problem:` and the code.
    r#type: String,
    /// What happened, for a person.
    title: &'static str,
    status: u16,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What happened, for a program: this does not change.
    code: &'static str,
    /// The rules that a refused password misses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<MissedRule>,
}

/// A rule that a refused password misses, for the program and for the person.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "MissedRule"))]
struct MissedRule {
    code: &'static str,
    detail: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Row { code, status, title, detail, challenge, retry_after, .. } = self.row();
        let details = Details {
            r#type: format!("urn:ratchet:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: detail.into_text(),
            code,
            rules: self.rules(),
        };
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.extensions_mut().insert(ProblemCode(code));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if self == Self::ExpiredAccessToken {
            headers.insert(IS_TOKEN_EXPIRED, HeaderValue::from_static("true"));
        }
        if let Some(retry_after) = retry_after {
            headers.insert(header::RETRY_AFTER, whole_seconds(retry_after));
        }
        response
    }
}

/// Rounded up, so that nobody comes too early.
fn whole_seconds(duration: Duration) -> HeaderValue {
    let started = u64::from(duration.subsec_nanos() > 0);
    HeaderValue::from(duration.as_secs().saturating_add(started))
}

#[cfg(test)]
mod tests;
