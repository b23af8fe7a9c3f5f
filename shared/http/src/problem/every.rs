//! One value of every problem, for the API description and the tests.

use std::time::Duration;

use ratchet_core::{
    authentication::Requirement, custom_claims::InvalidClaims, dpop::ProofError,
    password::PasswordRule, second_factor::EncodedChallenge,
};

use super::{InvalidAttempt, Problem};

pub(crate) fn every_problem() -> Vec<Problem> {
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
        Problem::SecondFactorRequired {
            challenge: EncodedChallenge::example("sf1_AaIMQeYvc_Ce…")
        },
        Problem::SecondFactorEnrollmentRequired {
            challenge: EncodedChallenge::example("sf1_AqIMQeYvc_Ce…"),
        },
        Problem::InvalidChallenge,
        Problem::ChallengeSpent,
        Problem::InvalidSignInCode,
        Problem::WrongCode,
        Problem::SecondFactorAlreadyEnabled,
        Problem::SecondFactorNotEnabled,
        Problem::SecondFactorNotPending,
        Problem::SecondFactorLocked,
        Problem::InvalidPasskey,
        Problem::WrongPasskey,
        Problem::PasskeyExists,
        Problem::TooManyPasskeys,
        Problem::NoPasskey,
        Problem::PasswordRefused(vec![
            PasswordRule::TooShort { min_chars: 15 },
            PasswordRule::Common,
        ]),
        Problem::ClaimsRefused(InvalidClaims::Reserved("roles")),
        Problem::RefusedProof(ProofError::WrongKey),
        Problem::RefusedProof(ProofError::StaleNonce),
        Problem::UnprovenAccess(ProofError::Missing),
        Problem::UnprovenAccess(ProofError::StaleNonce),
        Problem::ForbiddenOrigin,
        Problem::InsufficientUserAuthentication { required: Requirement::FRESH_SECOND_FACTOR },
        Problem::WrongPassword,
        Problem::InvalidProof,
        Problem::Forbidden,
        Problem::MissingAccessToken,
        Problem::InvalidAccessToken,
        Problem::ExpiredAccessToken,
        Problem::StaleAccessToken,
        Problem::SessionEnded,
        Problem::Unavailable,
        Problem::Internal,
    ];
    problems.extend(InvalidAttempt::ALL.map(Problem::InvalidAttempt));
    problems
}
