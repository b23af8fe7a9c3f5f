use std::fmt::Write as _;

use http_body_util::BodyExt as _;
use ratchet_core::{
    access_token::{AccessTokenError, IssueError},
    custom_claims::InvalidClaims,
    dpop::ProofError,
    entropy::RandomUnavailable,
    password::HashError,
    seal::SealError,
    second_factor::{EncodedChallenge, Stage, UnsealError},
};
use ratchet_service::{
    Fault,
    access::AccessError,
    accounts::{
        AdministrationError, ConfirmEmailError, OwnAccountError, OwnFactorError, RegisterError,
        ResetPasswordError,
    },
    end_sessions::LogOutError,
    own_sessions::OwnSessionsError,
    refresh::RefreshError,
    sign_in::{SecondFactorError, SignInError},
    throttle::Throttled,
};
use ratchet_store::{LoadError, StoreError};

use super::*;

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
fn the_list_of_invalid_attempts_is_complete() {
    // A new variant does not compile until it is named here, and is then missed in the list.
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
fn codes_are_distinct_within_a_status() {
    // The codes about proofs are those of RFC 9449 in both places, 400 and 401.
    let code = |problem: &Problem| (problem.status(), problem.code());
    let mut codes: Vec<_> = every_problem().iter().map(code).collect();
    codes.sort_unstable();
    let count = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), count);
}

#[test]
fn details_of_refused_proofs_are_sentences_that_oauth_allows() {
    for error in [
        ProofError::Missing,
        ProofError::Malformed,
        ProofError::WrongRequest,
        ProofError::WrongAccessToken,
        ProofError::WrongTime,
        ProofError::StaleNonce,
        ProofError::WrongKey,
        ProofError::NotBound,
    ] {
        let detail = proof_detail(error);
        assert!(detail.contains(' ') && detail.ends_with('.'), "{detail}");
        // RFC 6749 §5.2.
        let is_allowed = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
        assert!(detail.chars().all(is_allowed), "{detail}");
    }
}

#[test]
fn a_fault_is_never_a_refusal() {
    let unavailable = StoreError::Unavailable { operation: "UpdateItem", source: "refused".into() };
    assert_eq!(Problem::from(unavailable), Problem::Unavailable);
    let rejected = StoreError::Rejected { operation: "UpdateItem", source: "no".into() };
    assert_eq!(Problem::from(rejected), Problem::Internal);
    assert_eq!(Problem::from(StoreError::MalformedItem("x")), Problem::Internal);
    assert_eq!(Problem::from(StoreError::NewerItem { found: 9 }), Problem::Unavailable);
    assert_eq!(Problem::from(LoadError::Missing("x".to_owned())), Problem::Unavailable);
    for (fault, problem) in [
        (Fault::NoTagKey, Problem::Unavailable),
        (Fault::NoSealingKey, Problem::Unavailable),
        (UnsealError::UnknownKey.into(), Problem::Unavailable),
        (UnsealError::Damaged.into(), Problem::Internal),
        (IssueError::NoSigner.into(), Problem::Unavailable),
        (RandomUnavailable.into(), Problem::Unavailable),
        (HashError::OutOfMemory.into(), Problem::Unavailable),
        (Fault::Contradiction, Problem::Unavailable),
        (IssueError::TooLong.into(), Problem::Internal),
        (Fault::HashAborted, Problem::Internal),
        (SealError.into(), Problem::Internal),
    ] {
        let text = fault.to_string();
        assert_eq!(Problem::from(fault), problem, "{text}");
    }
}

#[test]
fn every_error_of_a_use_case_is_its_problem() {
    let wait = Duration::from_secs(3);
    let rules = vec![PasswordRule::Common];
    let fault = || Fault::NoTagKey;
    let challenge = || EncodedChallenge::example("sf1_x");
    let required = |stage| SignInError::SecondFactorRequired { stage, challenge: challenge() };
    let table: [(Problem, Problem); 41] = [
        (InvalidClaims::TooLong.into(), Problem::ClaimsRefused(InvalidClaims::TooLong)),
        (AccessError::Expired.into(), Problem::ExpiredAccessToken),
        (AccessError::SessionEnded.into(), Problem::SessionEnded),
        (AccessError::NotAdministrator.into(), Problem::Forbidden),
        (AccessError::Invalid(AccessTokenError::WrongType).into(), Problem::InvalidAccessToken),
        (AccessError::Invalid(AccessTokenError::UnknownKey).into(), Problem::StaleAccessToken),
        (
            AccessError::Unproven(ProofError::WrongKey).into(),
            Problem::UnprovenAccess(ProofError::WrongKey),
        ),
        (
            SignInError::Unproven(ProofError::Missing).into(),
            Problem::RefusedProof(ProofError::Missing),
        ),
        (
            RefreshError::Unproven(ProofError::WrongKey).into(),
            Problem::RefusedProof(ProofError::WrongKey),
        ),
        (
            LogOutError::Unproven(ProofError::StaleNonce).into(),
            Problem::RefusedProof(ProofError::StaleNonce),
        ),
        (AccessError::Fault(fault()).into(), Problem::Unavailable),
        (SignInError::InvalidCredentials.into(), Problem::InvalidCredentials),
        (SignInError::EmailNotConfirmed.into(), Problem::EmailNotConfirmed),
        (required(Stage::Verify).into(), Problem::SecondFactorRequired { challenge: challenge() }),
        (
            required(Stage::Enroll).into(),
            Problem::SecondFactorEnrollmentRequired { challenge: challenge() },
        ),
        (SecondFactorError::InvalidChallenge.into(), Problem::InvalidChallenge),
        (SecondFactorError::ChallengeSpent.into(), Problem::ChallengeSpent),
        (SecondFactorError::InvalidCode.into(), Problem::InvalidSignInCode),
        (SecondFactorError::Locked.into(), Problem::SecondFactorLocked),
        (SecondFactorError::Fault(fault()).into(), Problem::Unavailable),
        (OwnFactorError::InvalidCode.into(), Problem::WrongCode),
        (OwnFactorError::AlreadyEnabled.into(), Problem::SecondFactorAlreadyEnabled),
        (OwnFactorError::NotPending.into(), Problem::SecondFactorNotPending),
        (
            SignInError::Throttled(Throttled::RetryAfter(wait)).into(),
            Problem::TooManyAttempts { retry_after: wait },
        ),
        (SignInError::Throttled(Throttled::Locked).into(), Problem::AccountLocked),
        (SignInError::Fault(fault()).into(), Problem::Unavailable),
        (RefreshError::Revoked.into(), Problem::InvalidAttempt(InvalidAttempt::Revoked)),
        (RefreshError::Malformed.into(), Problem::InvalidAttempt(InvalidAttempt::Malformed)),
        (
            RefreshError::ReuseDetected.into(),
            Problem::InvalidAttempt(InvalidAttempt::ReuseDetected),
        ),
        (RefreshError::Fault(fault()).into(), Problem::Unavailable),
        (OwnSessionsError::SessionEnded.into(), Problem::SessionEnded),
        (OwnSessionsError::NoSuchSession.into(), Problem::NotFound),
        (
            RegisterError::PasswordRefused(rules.clone()).into(),
            Problem::PasswordRefused(rules.clone()),
        ),
        (ConfirmEmailError::InvalidProof.into(), Problem::InvalidProof),
        (ResetPasswordError::InvalidProof.into(), Problem::InvalidProof),
        (
            ResetPasswordError::PasswordRefused(rules.clone()).into(),
            Problem::PasswordRefused(rules),
        ),
        (OwnAccountError::WrongPassword.into(), Problem::WrongPassword),
        (OwnAccountError::ChangedMeanwhile.into(), Problem::Unavailable),
        (AdministrationError::NoSuchUser.into(), Problem::NotFound),
        (AdministrationError::OwnAccount.into(), Problem::Forbidden),
        (AdministrationError::ChangedMeanwhile.into(), Problem::Unavailable),
    ];
    for (problem, expected) in table {
        assert_eq!(problem, expected);
    }
}
