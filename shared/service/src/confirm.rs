//! Whether it is the user who asks for a change, and not somebody who has the access token alone.
//!
//! Every change that an access token is not enough for asks here.

use ratchet_core::{
    access_token::Claims,
    authentication::Requirement,
    password::{Password, PhcHash, Verdict},
};

use crate::{
    Fault, clock,
    fault::from_faults,
    hashing::Hashing,
    throttle::{AttemptError, AttemptLimiter, AttemptScope, Throttled},
};

/// What a request has beside its access token.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it contains a password")]
pub enum Proof<'a> {
    /// The current password, as typed.
    Password(&'a str),
    /// Nothing: the access token itself has to be of a step-up.
    FreshToken,
}

/// Why it may not be the user.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// The password is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// There is no password, and the access token is of no step-up that is enough.
    #[error("the authentication of the access token is not enough")]
    Insufficient(Requirement),
    /// There were too many wrong passwords before.
    #[error(transparent)]
    Throttled(Throttled),
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(ConfirmError);

impl From<AttemptError> for ConfirmError {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Throttled(throttled) => Self::Throttled(throttled),
            AttemptError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl<'a> Proof<'a> {
    /// Of a request with this password, or with none.
    #[must_use]
    pub const fn of(password: Option<&'a str>) -> Self {
        match password {
            Some(password) => Self::Password(password),
            None => Self::FreshToken,
        }
    }
}

/// Confirms that it is the user.
#[derive(Debug, Clone)]
pub(crate) struct Confirm {
    limiter: AttemptLimiter,
    hashing: Hashing,
}

impl Confirm {
    pub(crate) const fn new(limiter: AttemptLimiter, hashing: Hashing) -> Self {
        Self { limiter, hashing }
    }

    /// Confirms that the caller with these claims, whose password has this hash, is the user.
    ///
    /// # Errors
    /// [`ConfirmError`].
    pub(crate) async fn it_is_the_user(
        &self,
        claims: &Claims,
        hash: &PhcHash,
        proof: Proof<'_>,
        required: Requirement,
    ) -> Result<(), ConfirmError> {
        match proof {
            Proof::Password(typed) => self.check_password(claims, hash, typed).await,
            Proof::FreshToken => required
                .check_step_up(claims, clock::now().seconds())
                .map_err(|_| ConfirmError::Insufficient(required)),
        }
    }

    /// Checks the current password. Attempts are counted for the session, before anything is
    /// hashed.
    pub(crate) async fn check_password(
        &self,
        claims: &Claims,
        hash: &PhcHash,
        typed: &str,
    ) -> Result<(), ConfirmError> {
        // No account has an invalid password.
        let password = Password::typed(typed).map_err(|_| ConfirmError::WrongPassword)?;
        let scope = AttemptScope::Session(claims.sid);
        let counter = self.limiter.record_attempt(scope, clock::now()).await?;
        match self.hashing.verify(password, hash.clone()).await? {
            Verdict::Wrong => Err(ConfirmError::WrongPassword),
            Verdict::Right | Verdict::RightButCheap => Ok(self.limiter.reset(&counter).await?),
        }
    }
}
