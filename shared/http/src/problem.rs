//! Every refusal, as RFC 9457 problem details with a stable `code`.
//!
//! `table` has one row per problem. `from_errors` says which problem an error of a use case is.

#[cfg(any(test, feature = "contract"))]
mod every;
mod from_errors;
mod table;

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use ratchet_core::{
    authentication::Requirement, custom_claims::InvalidClaims, dpop::ProofError,
    password::PasswordRule, second_factor::EncodedChallenge,
};
use serde::Serialize;
use zeroize::Zeroizing;

#[cfg(any(test, feature = "contract"))]
pub(crate) use self::every::every_problem;
use self::table::Row;
pub use self::table::{proof_code, proof_detail};

/// The response header that is `true` on the 401 of a genuine but expired access token: refresh it.
pub const IS_TOKEN_EXPIRED: &str = "is-token-expired";

/// What a client gets instead of what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The request cannot be understood.
    MalformedRequest {
        /// What the route expects.
        expected: &'static str,
    },
    /// The body is longer than [`MAX_BODY`](crate::body::MAX_BODY).
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
    /// The password was right, and the user has a second factor.
    SecondFactorRequired {
        /// What the client completes the sign-in with.
        challenge: EncodedChallenge,
    },
    /// The password was right, and the user has to set up a second factor.
    SecondFactorEnrollmentRequired {
        /// What the client completes the sign-in with.
        challenge: EncodedChallenge,
    },
    /// The challenge of a sign-in is not genuine, or its time is over.
    InvalidChallenge,
    /// The challenge of a sign-in has led to a session.
    ChallengeSpent,
    /// The code of a sign-in is wrong, or was used before.
    InvalidSignInCode,
    /// The code that was to confirm a change is wrong, or was used before.
    WrongCode,
    /// A second factor is on already.
    SecondFactorAlreadyEnabled,
    /// No second factor is on.
    SecondFactorNotEnabled,
    /// No second factor waits for its first code, or not any more.
    SecondFactorNotPending,
    /// So many codes were wrong that the second factor has to be unlocked.
    SecondFactorLocked,
    /// The answer of an authenticator was refused at sign-in: nobody learns why.
    InvalidPasskey,
    /// The answer of an authenticator that was to add a passkey is wrong, or of another ceremony.
    WrongPasskey,
    /// The user has this passkey already.
    PasskeyExists,
    /// The user has too many passkeys.
    TooManyPasskeys,
    /// The user whose password was right has no passkey.
    NoPasskey,
    /// The new password misses these rules of the policy. They are all here, so that one more try
    /// is enough.
    PasswordRefused(Vec<PasswordRule>),
    /// The custom claims are too long, or one of them has a name that is not allowed.
    ClaimsRefused(InvalidClaims),
    /// The authentication of the access token is not enough for this (RFC 9470).
    InsufficientUserAuthentication {
        /// What is required.
        required: Requirement,
    },
    /// The password that was to confirm a change is wrong.
    WrongPassword,
    /// The token or code of a message is wrong, used or expired: nobody learns which.
    InvalidProof,
    /// The caller is known, but not allowed to do this.
    Forbidden,
    /// The refresh token was refused.
    InvalidAttempt(InvalidAttempt),
    /// The request has a wrong proof of possession, or none although the session needs one.
    RefusedProof(ProofError),
    /// The access token is bound to a key, and the request does not prove possession of that.
    UnprovenAccess(ProofError),
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

impl Problem {
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

    pub(crate) fn details(&self) -> Details {
        let Row { code, status, title, detail, .. } = self.row();
        Details {
            r#type: format!("urn:ratchet:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: detail.into_text(),
            code,
            challenge: self.challenge(),
            rules: self.rules(),
        }
    }

    fn challenge(&self) -> Option<Zeroizing<String>> {
        let (Self::SecondFactorRequired { challenge }
        | Self::SecondFactorEnrollmentRequired { challenge }) = self
        else {
            return None;
        };
        Some(Zeroizing::new(challenge.expose().to_owned()))
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
}

/// The `code` of a problem as a response extension, for the log line.
#[derive(Debug, Clone, Copy)]
pub struct ProblemCode(pub &'static str);

/// Problem details (RFC 9457).
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = Problem))]
pub(crate) struct Details {
    /// `urn:ratchet:problem:` and the code.
    r#type: String,
    /// What happened, for a person.
    pub(crate) title: &'static str,
    status: u16,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What happened, for a program: this does not change.
    code: &'static str,
    /// For `POST /authenticate/second-factor`: what to send with the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    challenge: Option<Zeroizing<String>>,
    /// The rules that a refused password misses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<MissedRule>,
}

/// A rule that a refused password misses, for the program and for the person.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema))]
struct MissedRule {
    code: &'static str,
    detail: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Row { code, status, challenge, retry_after, .. } = self.row();
        let body = serde_json::to_vec(&self.details()).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.extensions_mut().insert(ProblemCode(code));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Self::InsufficientUserAuthentication { required } = &self {
            let challenge = HeaderValue::try_from(format!("{challenge}{required}"));
            if let Ok(challenge) = challenge {
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
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
