//! Every refusal, as RFC 9457 problem details with a stable `code`.

use std::{error::Error, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use ratchet_core::{
    access_token::IssueError, attempts::LONGEST_DELAY, entropy::RandomUnavailable,
    error_chain::ErrorChain, password::PasswordRule,
};
use ratchet_store::{LoadError, StoreError};
use serde::Serialize;

/// Set to `true` on the 401 of an access token that is genuine but expired: time to refresh.
pub const IS_TOKEN_EXPIRED: &str = "is-token-expired";

/// How long a client should wait before it asks again after a fault, in seconds.
const RETRY_AFTER_FAULT: HeaderValue = HeaderValue::from_static("1");

/// Everything that a client can be told instead of what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The request can not be understood; `expected` says what would be.
    MalformedRequest {
        /// What the route takes.
        expected: &'static str,
    },
    /// The body is longer than [`crate::body::MAX_BODY`].
    PayloadTooLarge,
    /// The body is of a type that the route does not take.
    UnsupportedMediaType {
        /// The type that it takes.
        expected: &'static str,
    },
    /// There is nothing at this path, or nothing that the caller may know of.
    NotFound,
    /// The path takes other methods.
    MethodNotAllowed,
    /// Unknown name, wrong password or disabled user: nobody learns which.
    InvalidCredentials,
    /// Too many wrong passwords: nothing is tried for a while.
    TooManyAttempts {
        /// For how long.
        retry_after: Duration,
    },
    /// So many wrong passwords in succession that only unlocking or a new password helps. Names
    /// that nobody has are locked the same way.
    AccountLocked,
    /// The password was right, but the e-mail address has not been confirmed.
    EmailNotConfirmed,
    /// A new password that misses rules of the policy: all of them, so that one more try is enough.
    PasswordRefused(Vec<PasswordRule>),
    /// The password that was to confirm a change of the account is wrong.
    WrongPassword,
    /// A token or code from a message that is wrong, used or expired: nobody learns which.
    InvalidProof,
    /// The caller is known and may not do this.
    Forbidden,
    /// A refresh token that leads nowhere.
    InvalidAttempt(InvalidAttempt),
    /// A request for the cookie, or with it, from another site than a configured one.
    ForbiddenOrigin,
    /// No access token came along.
    MissingAccessToken,
    /// The access token is not ours.
    InvalidAccessToken,
    /// The access token is genuine and expired.
    ExpiredAccessToken,
    /// The access token is genuine, but its session is over.
    SessionEnded,
    /// Something that is needed can not be reached; nothing is wrong with the request.
    Unavailable,
    /// A defect or a damaged item. What it is goes to the log only.
    Internal,
}

/// Why a refresh token leads nowhere: the `code` beside 'Invalid attempt!'.
///
/// All but `Missing`, `Malformed` and `AccessTokenMismatch` are told to somebody who holds a genuine token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidAttempt {
    /// Neither the body nor a cookie has a refresh token: nobody is signed in here.
    Missing,
    /// Not a refresh token of ours.
    Malformed,
    /// The access token beside it is not ours, or of another user or session.
    AccessTokenMismatch,
    /// The session was not refreshed in time.
    ExpiredIdle,
    /// The session's absolute lifetime is over.
    ExpiredAbsolute,
    /// An old token was presented; the session has been ended.
    ReuseDetected,
    /// The session has been ended.
    Revoked,
    /// The user is disabled or deleted.
    UserDisabled,
    /// There is no such session, or not yet: it ended long ago, or its table was restored.
    Unknown,
    /// The live token was led to from another network or user agent, and the configuration
    /// forbids that.
    Elsewhere,
}

impl InvalidAttempt {
    /// Each of them: what has to be described and looked at.
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

    const fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing_refresh_token",
            Self::Malformed => "malformed",
            Self::AccessTokenMismatch => "access_token_mismatch",
            Self::ExpiredIdle => "expired_idle",
            Self::ExpiredAbsolute => "expired_absolute",
            Self::ReuseDetected => "reuse_detected",
            Self::Revoked => "revoked",
            Self::UserDisabled => "user_disabled",
            Self::Unknown => "unknown",
            Self::Elsewhere => "elsewhere",
        }
    }
}

impl InvalidAttempt {
    const fn ends_session(self) -> bool {
        match self {
            Self::Missing
            | Self::Malformed
            | Self::ExpiredIdle
            | Self::ExpiredAbsolute
            | Self::ReuseDetected
            | Self::Revoked
            | Self::UserDisabled
            | Self::Unknown => true,
            // About the request, not the session: its live token may be in the browser already.
            Self::AccessTokenMismatch | Self::Elsewhere => false,
        }
    }
}

/// The `code` of a problem on its way through the layers to the log line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProblemCode(pub &'static str);

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

impl Problem {
    /// The stable name: contract, log field and metric dimension at once.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MalformedRequest { .. } => "malformed_request",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType { .. } => "unsupported_media_type",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::InvalidCredentials => "invalid_credentials",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::AccountLocked => "account_locked",
            Self::EmailNotConfirmed => "email_not_confirmed",
            Self::PasswordRefused(_) => "password_refused",
            Self::WrongPassword => "wrong_password",
            Self::InvalidProof => "invalid_proof",
            Self::Forbidden => "forbidden",
            Self::InvalidAttempt(attempt) => attempt.code(),
            Self::ForbiddenOrigin => "forbidden_origin",
            Self::MissingAccessToken => "missing_access_token",
            Self::InvalidAccessToken => "invalid_access_token",
            Self::ExpiredAccessToken => "expired_access_token",
            Self::SessionEnded => "session_ended",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::MalformedRequest { .. } | Self::InvalidProof => StatusCode::BAD_REQUEST,
            // A 401 would make a client drop or refresh its session, which is good.
            Self::WrongPassword | Self::Forbidden | Self::ForbiddenOrigin => StatusCode::FORBIDDEN,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyAttempts { .. } | Self::AccountLocked => StatusCode::TOO_MANY_REQUESTS,
            Self::PasswordRefused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::InvalidCredentials
            | Self::EmailNotConfirmed
            | Self::InvalidAttempt(_)
            | Self::MissingAccessToken
            | Self::InvalidAccessToken
            | Self::ExpiredAccessToken
            | Self::SessionEnded => StatusCode::UNAUTHORIZED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether nothing can come of the refresh token any more that was refused with this. Nothing
    /// but the verdict on a refresh token can say so.
    #[must_use]
    pub const fn ends_session(&self) -> bool {
        matches!(self, Self::InvalidAttempt(attempt) if attempt.ends_session())
    }

    const fn title(&self) -> &'static str {
        match self {
            Self::MalformedRequest { .. } => "The request is malformed.",
            Self::PayloadTooLarge => "The body is too large.",
            Self::UnsupportedMediaType { .. } => "The body is of an unsupported type.",
            Self::NotFound => "There is nothing here.",
            Self::MethodNotAllowed => "This path takes other methods.",
            Self::InvalidCredentials => "Incorrect username or password!",
            Self::TooManyAttempts { .. } => "Too many wrong passwords.",
            Self::AccountLocked => "The account is locked after too many wrong passwords.",
            Self::EmailNotConfirmed => "The e-mail address has not been confirmed yet.",
            Self::PasswordRefused(_) => "This can not be the password.",
            Self::WrongPassword => "The password is wrong.",
            Self::InvalidProof => "The link or the code is not good (any more).",
            Self::Forbidden => "You may not do this.",
            Self::InvalidAttempt(_) => "Invalid attempt!",
            Self::ForbiddenOrigin => "Cookies are for this service's own web applications.",
            Self::MissingAccessToken => "An access token is needed.",
            Self::InvalidAccessToken => "The access token is invalid.",
            Self::ExpiredAccessToken => "The access token has expired.",
            Self::SessionEnded => "The session is over.",
            Self::Unavailable => "The service is not available at the moment.",
            Self::Internal => "Something went wrong.",
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::MalformedRequest { expected } => Some(format!("Expected {expected}.")),
            Self::UnsupportedMediaType { expected } => {
                Some(format!("Send it with 'Content-Type: {expected}'."))
            }
            Self::PayloadTooLarge => {
                Some(format!("At most {} bytes are read.", crate::body::MAX_BODY))
            }
            Self::InvalidProof => Some("Ask for another message.".to_owned()),
            Self::MissingAccessToken => {
                Some("Send it as 'Authorization: Bearer <access token>'.".to_owned())
            }
            Self::ForbiddenOrigin => {
                Some("Expected a configured Origin, and the header 'X-Ratchet: 1'.".to_owned())
            }
            Self::TooManyAttempts { .. } => Some("Try again after 'Retry-After'.".to_owned()),
            Self::AccountLocked => {
                Some("Choose a new password by e-mail, or ask who runs this service.".to_owned())
            }
            Self::ExpiredAccessToken => Some("Get a new one by POST /refresh.".to_owned()),
            Self::Unavailable => Some("Try again with the same request.".to_owned()),
            _ => None,
        }
    }

    /// When to ask again, in whole seconds.
    fn retry_after(&self) -> Option<HeaderValue> {
        match self {
            Self::Unavailable => Some(RETRY_AFTER_FAULT),
            Self::TooManyAttempts { retry_after } => {
                let started = u64::from(retry_after.subsec_nanos() > 0);
                Some(HeaderValue::from(retry_after.as_secs().saturating_add(started)))
            }
            // Waiting does not help; a client that asks all the same need not do so often.
            Self::AccountLocked => Some(HeaderValue::from(LONGEST_DELAY.as_secs())),
            _ => None,
        }
    }

    fn rules(&self) -> Vec<MissedRule> {
        let Self::PasswordRefused(rules) = self else { return Vec::new() };
        rules
            .iter()
            .map(|rule| MissedRule { code: rule.code(), detail: rule.to_string() })
            .collect()
    }

    /// The challenge of a 401 (RFC 9110 §11.6.1, RFC 6750 §3).
    const fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::ExpiredAccessToken => {
                r#"Bearer realm="ratchet", error="invalid_token", error_description="expired""#
            }
            Self::InvalidAccessToken | Self::SessionEnded => {
                r#"Bearer realm="ratchet", error="invalid_token""#
            }
            _ => r#"Bearer realm="ratchet""#,
        })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let details = Details {
            r#type: format!("urn:ratchet:problem:{}", self.code()),
            title: self.title(),
            status: status.as_u16(),
            detail: self.detail(),
            code: self.code(),
            rules: self.rules(),
        };
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.extensions_mut().insert(ProblemCode(self.code()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, self.challenge());
        }
        if self == Self::ExpiredAccessToken {
            headers.insert(IS_TOKEN_EXPIRED, HeaderValue::from_static("true"));
        }
        if let Some(retry_after) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, retry_after);
        }
        response
    }
}

/// Logs a fault, once and with the chain of its causes, on its way to the client.
fn fault(error: &(dyn Error + 'static), problem: Problem) -> Problem {
    let (error, code) = (tracing::field::display(ErrorChain(error)), problem.code());
    tracing::error!(error, code, "a request could not be served");
    problem
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let problem = match error {
            // A release that was put back can not read it; the next one can again.
            StoreError::Unavailable { .. } | StoreError::NewerItem { .. } => Self::Unavailable,
            StoreError::Rejected { .. } | StoreError::MalformedItem(_) => Self::Internal,
        };
        fault(&error, problem)
    }
}

impl From<LoadError> for Problem {
    fn from(error: LoadError) -> Self {
        // Whatever is wrong with the ring, nothing is wrong with the client's token.
        fault(&error, Self::Unavailable)
    }
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        fault(&error, Self::Unavailable)
    }
}

impl From<RandomUnavailable> for Problem {
    fn from(error: RandomUnavailable) -> Self {
        fault(&error, Self::Unavailable)
    }
}

impl From<ratchet_core::seal::SealError> for Problem {
    fn from(error: ratchet_core::seal::SealError) -> Self {
        fault(&error, Self::Internal)
    }
}

impl From<ratchet_core::password::HashError> for Problem {
    fn from(error: ratchet_core::password::HashError) -> Self {
        fault(&error, Self::Unavailable)
    }
}

#[cfg(test)]
mod tests;
