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
    problems.extend(InvalidAttempt::ALL.map(Problem::InvalidAttempt));
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
fn every_invalid_attempt_is_in_the_list_of_them() {
    // A variant that is not named here does not compile; one that is not in the list is missed.
    let place = |attempt| match attempt {
        InvalidAttempt::Missing => 0,
        InvalidAttempt::Malformed => 1,
        InvalidAttempt::AccessTokenMismatch => 2,
        InvalidAttempt::ExpiredIdle => 3,
        InvalidAttempt::ExpiredAbsolute => 4,
        InvalidAttempt::ReuseDetected => 5,
        InvalidAttempt::Revoked => 6,
        InvalidAttempt::UserDisabled => 7,
        InvalidAttempt::Unknown => 8,
        InvalidAttempt::Elsewhere => 9,
    };
    let places = InvalidAttempt::ALL.map(place);
    assert_eq!(places, std::array::from_fn(|at| at));
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
