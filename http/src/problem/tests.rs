use std::fmt::Write as _;

use http_body_util::BodyExt as _;

use std::time::Duration;

use super::*;

fn every_problem() -> Vec<Problem> {
    let mut problems = vec![
        Problem::MalformedRequest { expected: "something else" },
        Problem::PayloadTooLarge,
        Problem::UnsupportedMediaType { expected: "application/json" },
        Problem::NotFound,
        Problem::MethodNotAllowed,
        Problem::InvalidCredentials,
        Problem::TooManyAttempts { retry_after: Duration::from_millis(1_001) },
        Problem::AccountLocked,
        Problem::EmailNotConfirmed,
        Problem::PasswordRefused(vec![
            PasswordRule::TooShort { min_chars: 15 },
            PasswordRule::Common,
        ]),
        Problem::ForbiddenOrigin,
        Problem::WrongPassword,
        Problem::InvalidProof,
        Problem::Forbidden,
        Problem::MissingAccessToken,
        Problem::InvalidAccessToken,
        Problem::ExpiredAccessToken,
        Problem::SessionEnded,
        Problem::Unavailable,
        Problem::Internal,
    ];
    problems.extend(
        [
            InvalidAttempt::Missing,
            InvalidAttempt::Malformed,
            InvalidAttempt::AccessTokenMismatch,
            InvalidAttempt::ExpiredIdle,
            InvalidAttempt::ExpiredAbsolute,
            InvalidAttempt::ReuseDetected,
            InvalidAttempt::Revoked,
            InvalidAttempt::UserDisabled,
            InvalidAttempt::Unknown,
            InvalidAttempt::Elsewhere,
        ]
        .map(Problem::InvalidAttempt),
    );
    problems
}

#[tokio::test]
async fn what_clients_see_of_every_problem() {
    let mut seen = String::new();
    for problem in every_problem() {
        let (parts, body) = problem.into_response().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        writeln!(seen, "{}", parts.status).unwrap();
        for (name, value) in &parts.headers {
            writeln!(seen, "{name}: {}", value.to_str().unwrap()).unwrap();
        }
        writeln!(seen, "{}\n", String::from_utf8_lossy(&body)).unwrap();
    }
    insta::assert_snapshot!(seen);
}

#[test]
fn codes_are_distinct() {
    let mut codes: Vec<_> = every_problem().iter().map(Problem::code).collect();
    codes.sort_unstable();
    let count = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), count);
}

#[test]
fn a_fault_is_never_a_refusal() {
    let unavailable = StoreError::Unavailable { operation: "UpdateItem", source: "refused".into() };
    assert_eq!(Problem::from(unavailable), Problem::Unavailable);
    let rejected = StoreError::Rejected { operation: "UpdateItem", source: "no".into() };
    assert_eq!(Problem::from(rejected), Problem::Internal);
    assert_eq!(Problem::from(StoreError::MalformedItem("x")), Problem::Internal);
    assert_eq!(Problem::from(StoreError::NewerItem { found: 9 }), Problem::Unavailable);
    assert_eq!(Problem::from(RandomUnavailable), Problem::Unavailable);
    assert_eq!(Problem::from(LoadError::Missing("x".to_owned())), Problem::Unavailable);
}
