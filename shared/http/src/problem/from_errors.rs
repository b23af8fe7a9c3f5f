//! Which problem each error of a use case is. The matches are exhaustive: a new error does not
//! compile until it has a place here.

use ratchet_core::{
    access_token::IssueError,
    custom_claims::InvalidClaims,
    error_chain::ErrorChain,
    second_factor::{EncodedChallenge, Stage, UnsealError},
};
#[cfg(feature = "passkeys")]
use ratchet_service::passkeys::{OwnPasskeyError, PasskeySignInError};
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
    sign_in::{EmailSignInError, SecondFactorError, SignInError},
    throttle::{AttemptError, Throttled},
    user_list::UserListError,
};
use ratchet_store::{LoadError, StoreError};

use super::{InvalidAttempt, Problem};

/// Logs the fault with its causes: this is where it leaves the service.
impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let problem = match &fault {
            // A later release wrote the item. This one was put back, and the next can read it.
            Fault::Store(StoreError::Unavailable { .. } | StoreError::NewerItem { .. }) => {
                Self::Unavailable
            }
            // Whatever is wrong with the key ring, nothing is wrong with the client's token.
            Fault::KeyRing(_)
            | Fault::NoTagKey
            | Fault::NoSealingKey
            | Fault::Unseal(UnsealError::UnknownKey)
            | Fault::Issue(IssueError::NoSigner | IssueError::Sign(_))
            | Fault::Random(_)
            | Fault::Hash(_)
            | Fault::Contended
            | Fault::Contradiction => Self::Unavailable,
            Fault::Store(StoreError::Rejected { .. } | StoreError::MalformedItem(_))
            | Fault::Issue(IssueError::TooLong)
            | Fault::HashAborted
            | Fault::Unseal(UnsealError::Damaged)
            | Fault::Passkey(_)
            | Fault::Seal(_) => Self::Internal,
        };
        let (error, code) = (tracing::field::display(ErrorChain(&fault)), problem.code());
        tracing::error!(error, code, "a request could not be served");
        problem
    }
}

impl From<InvalidClaims> for Problem {
    fn from(error: InvalidClaims) -> Self {
        Self::ClaimsRefused(error)
    }
}

impl From<UserListError> for Problem {
    fn from(error: UserListError) -> Self {
        match error {
            UserListError::NotAdministrator => Self::Forbidden,
            UserListError::Fault(fault) => fault.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Fault::from(error).into()
    }
}

impl From<LoadError> for Problem {
    fn from(error: LoadError) -> Self {
        Fault::from(error).into()
    }
}

impl From<Throttled> for Problem {
    fn from(throttled: Throttled) -> Self {
        match throttled {
            Throttled::RetryAfter(retry_after) => Self::TooManyAttempts { retry_after },
            Throttled::Locked => Self::AccountLocked,
        }
    }
}

impl From<AttemptError> for Problem {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Throttled(throttled) => throttled.into(),
            AttemptError::Fault(fault) => fault.into(),
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Invalid(error) if error.refreshing_may_help() => Self::StaleAccessToken,
            AccessError::Invalid(_) => Self::InvalidAccessToken,
            AccessError::Expired => Self::ExpiredAccessToken,
            AccessError::Unproven(error) => Self::UnprovenAccess(error),
            AccessError::SessionEnded => Self::SessionEnded,
            AccessError::NotAdministrator => Self::Forbidden,
            AccessError::Fault(fault) => fault.into(),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::InvalidCredentials => Self::InvalidCredentials,
            SignInError::EmailNotConfirmed => Self::EmailNotConfirmed,
            SignInError::SecondFactorRequired { stage, challenge } => second_step(stage, challenge),
            SignInError::Unproven(error) => Self::RefusedProof(error),
            SignInError::Throttled(throttled) => throttled.into(),
            SignInError::Fault(fault) => fault.into(),
        }
    }
}

impl From<EmailSignInError> for Problem {
    fn from(error: EmailSignInError) -> Self {
        match error {
            EmailSignInError::InvalidProof => Self::InvalidProof,
            EmailSignInError::Spent => Self::ChallengeSpent,
            EmailSignInError::SecondFactorRequired { stage, challenge } => {
                second_step(stage, challenge)
            }
            EmailSignInError::Unproven(error) => Self::RefusedProof(error),
            EmailSignInError::Throttled(throttled) => throttled.into(),
            EmailSignInError::Fault(fault) => fault.into(),
        }
    }
}

const fn second_step(stage: Stage, challenge: EncodedChallenge) -> Problem {
    match stage {
        Stage::Verify => Problem::SecondFactorRequired { challenge },
        Stage::Enroll => Problem::SecondFactorEnrollmentRequired { challenge },
    }
}

impl From<SecondFactorError> for Problem {
    fn from(error: SecondFactorError) -> Self {
        match error {
            SecondFactorError::InvalidChallenge => Self::InvalidChallenge,
            SecondFactorError::ChallengeSpent => Self::ChallengeSpent,
            SecondFactorError::InvalidCode => Self::InvalidSignInCode,
            SecondFactorError::NotPending => Self::SecondFactorNotPending,
            SecondFactorError::Unproven(error) => Self::RefusedProof(error),
            SecondFactorError::Throttled(throttled) => throttled.into(),
            SecondFactorError::Locked => Self::SecondFactorLocked,
            SecondFactorError::Fault(fault) => fault.into(),
        }
    }
}

impl From<OwnFactorError> for Problem {
    fn from(error: OwnFactorError) -> Self {
        match error {
            OwnFactorError::WrongPassword => Self::WrongPassword,
            OwnFactorError::Insufficient(required) => {
                Self::InsufficientUserAuthentication { required }
            }
            OwnFactorError::SessionEnded => Self::SessionEnded,
            OwnFactorError::InvalidCode => Self::WrongCode,
            OwnFactorError::AlreadyEnabled => Self::SecondFactorAlreadyEnabled,
            OwnFactorError::NotEnabled => Self::SecondFactorNotEnabled,
            OwnFactorError::NotPending => Self::SecondFactorNotPending,
            // The same request works on the account as it is now.
            OwnFactorError::ChangedMeanwhile => Self::Unavailable,
            OwnFactorError::Throttled(throttled) => throttled.into(),
            OwnFactorError::Locked => Self::SecondFactorLocked,
            OwnFactorError::Fault(fault) => fault.into(),
        }
    }
}

#[cfg(feature = "passkeys")]
impl From<OwnPasskeyError> for Problem {
    fn from(error: OwnPasskeyError) -> Self {
        match error {
            OwnPasskeyError::WrongPassword => Self::WrongPassword,
            OwnPasskeyError::Insufficient(required) => {
                Self::InsufficientUserAuthentication { required }
            }
            OwnPasskeyError::InvalidCeremony | OwnPasskeyError::Refused => Self::WrongPasskey,
            OwnPasskeyError::NoPasskey => Self::NoPasskey,
            OwnPasskeyError::SessionEnded => Self::SessionEnded,
            OwnPasskeyError::Exists => Self::PasskeyExists,
            OwnPasskeyError::TooMany => Self::TooManyPasskeys,
            OwnPasskeyError::NoSuchPasskey => Self::NotFound,
            // The same request works on the account as it is now.
            OwnPasskeyError::ChangedMeanwhile => Self::Unavailable,
            OwnPasskeyError::Throttled(throttled) => throttled.into(),
            OwnPasskeyError::Fault(fault) => fault.into(),
        }
    }
}

#[cfg(feature = "passkeys")]
impl From<PasskeySignInError> for Problem {
    fn from(error: PasskeySignInError) -> Self {
        match error {
            PasskeySignInError::InvalidChallenge => Self::InvalidChallenge,
            PasskeySignInError::Spent => Self::ChallengeSpent,
            PasskeySignInError::Refused => Self::InvalidPasskey,
            PasskeySignInError::EmailNotConfirmed => Self::EmailNotConfirmed,
            PasskeySignInError::NoPasskey => Self::NoPasskey,
            PasskeySignInError::Unproven(error) => Self::RefusedProof(error),
            PasskeySignInError::Fault(fault) => fault.into(),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        Self::InvalidAttempt(match error {
            RefreshError::Malformed => InvalidAttempt::Malformed,
            RefreshError::AccessTokenMismatch => InvalidAttempt::AccessTokenMismatch,
            RefreshError::ExpiredIdle => InvalidAttempt::ExpiredIdle,
            RefreshError::ExpiredAbsolute => InvalidAttempt::ExpiredAbsolute,
            RefreshError::ReuseDetected => InvalidAttempt::ReuseDetected,
            RefreshError::Revoked => InvalidAttempt::Revoked,
            RefreshError::UserDisabled => InvalidAttempt::UserDisabled,
            RefreshError::Unknown => InvalidAttempt::Unknown,
            RefreshError::Elsewhere => InvalidAttempt::Elsewhere,
            RefreshError::Unproven(error) => return Self::RefusedProof(error),
            RefreshError::Fault(fault) => return fault.into(),
        })
    }
}

impl From<LogOutError> for Problem {
    fn from(error: LogOutError) -> Self {
        match error {
            LogOutError::Unproven(error) => Self::RefusedProof(error),
            LogOutError::Fault(fault) => fault.into(),
        }
    }
}

impl From<OwnSessionsError> for Problem {
    fn from(error: OwnSessionsError) -> Self {
        match error {
            OwnSessionsError::SessionEnded => Self::SessionEnded,
            OwnSessionsError::NoSuchSession => Self::NotFound,
            OwnSessionsError::Fault(fault) => fault.into(),
        }
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::PasswordRefused(rules) => Self::PasswordRefused(rules),
            RegisterError::Throttled(throttled) => throttled.into(),
            RegisterError::Fault(fault) => fault.into(),
        }
    }
}

impl From<ConfirmEmailError> for Problem {
    fn from(error: ConfirmEmailError) -> Self {
        match error {
            ConfirmEmailError::InvalidProof => Self::InvalidProof,
            ConfirmEmailError::Throttled(throttled) => throttled.into(),
            ConfirmEmailError::Fault(fault) => fault.into(),
        }
    }
}

impl From<ResetPasswordError> for Problem {
    fn from(error: ResetPasswordError) -> Self {
        match error {
            ResetPasswordError::PasswordRefused(rules) => Self::PasswordRefused(rules),
            ResetPasswordError::InvalidProof => Self::InvalidProof,
            ResetPasswordError::Throttled(throttled) => throttled.into(),
            ResetPasswordError::Fault(fault) => fault.into(),
        }
    }
}

impl From<OwnAccountError> for Problem {
    fn from(error: OwnAccountError) -> Self {
        match error {
            OwnAccountError::WrongPassword => Self::WrongPassword,
            OwnAccountError::Insufficient(required) => {
                Self::InsufficientUserAuthentication { required }
            }
            OwnAccountError::PasswordRefused(rules) => Self::PasswordRefused(rules),
            // The same request works on the account as it is now.
            OwnAccountError::ChangedMeanwhile => Self::Unavailable,
            OwnAccountError::Throttled(throttled) => throttled.into(),
            OwnAccountError::Fault(fault) => fault.into(),
        }
    }
}

impl From<AdministrationError> for Problem {
    fn from(error: AdministrationError) -> Self {
        match error {
            AdministrationError::NoSuchUser => Self::NotFound,
            AdministrationError::OwnAccount => Self::Forbidden,
            // The same request works on the account as it is now.
            AdministrationError::ChangedMeanwhile => Self::Unavailable,
            AdministrationError::Fault(fault) => fault.into(),
        }
    }
}
