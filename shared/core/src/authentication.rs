//! When and how a user was authenticated, and what a request can require of that (RFC 9470).

use std::{borrow::Cow, fmt, time::Duration};

use crate::{
    access_token::Claims,
    amr::Amr,
    dpop::Scheme,
    time::{UnixMillis, UnixSeconds},
};

/// One authentication of a user: a sign-in, or a step-up within the session.
///
/// # Security
/// Time and methods belong together: these methods were proved then. Methods of an earlier
/// authentication must not be added, or an old code would seem as fresh as a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Authentication {
    /// When.
    pub at: UnixMillis,
    /// How.
    pub amr: Amr,
}

/// How long ago a step-up may be that stands in for the password.
pub const FRESH: Duration = Duration::from_mins(5);

/// What a request requires of its user's authentication. Without `max_age` and `amr`, nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirement {
    max_age: Option<Duration>,
    /// The alternatives, each with all the methods that it needs. None means that any method will
    /// do.
    amr: Cow<'static, [Amr]>,
}

/// The authentication of an access token is not enough. [`Requirement::challenge`] is the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Insufficient {
    /// The user was authenticated too long ago.
    #[error("a more recent authentication is required")]
    TooOld,
    /// The user was authenticated by other methods.
    #[error("an authentication by another method is required")]
    OtherMethods,
    /// The access token is not the one that a step-up was answered with.
    #[error("the access token of a step-up is required")]
    NoStepUp,
}

/// The result of a transaction that uses a code up and notes a step-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SteppedUp {
    /// Both were written.
    Written,
    /// The session has ended. Nothing was written.
    SessionEnded,
    /// The code was used before, or the factor has changed. Nothing was written.
    CodeRefused,
}

impl SteppedUp {
    /// The result, from whether the conditions of the factor and of the session failed.
    #[must_use]
    pub const fn of(unmet: Option<[bool; 2]>) -> Self {
        match unmet {
            None => Self::Written,
            Some([_, true]) => Self::SessionEnded,
            Some([_, false]) => Self::CodeRefused,
        }
    }
}

/// A text does not name methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected names of methods (pwd, otp, hwk, email), such as 'otp hwk' or 'pwd+otp hwk'")]
pub struct InvalidMethods;

impl Requirement {
    /// A second factor or a passkey, presented at most [`FRESH`] ago.
    pub const FRESH_SECOND_FACTOR: Self =
        Self { max_age: Some(FRESH), amr: Cow::Borrowed(&[Amr::CODE, Amr::PASSKEY]) };

    /// The same, where the request has a code as well.
    ///
    /// # Security
    /// Two codes of one app prove no more than one of them. So this needs the password or a
    /// passkey.
    pub const FRESH_BESIDE_CODE: Self = Self {
        max_age: Some(FRESH),
        amr: Cow::Borrowed(&[Amr::PASSKEY, Amr::PASSWORD.and(Amr::CODE)]),
    };

    /// A second factor or a passkey.
    pub const SECOND_FACTOR: Self =
        Self { max_age: None, amr: Cow::Borrowed(&[Amr::CODE, Amr::PASSKEY]) };

    /// Requires that the user was authenticated at most this long ago. Whole seconds count.
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age: Some(max_age), ..self }
    }

    /// Requires one of these methods, separated by spaces: `otp hwk`. Several that are needed
    /// together are joined by a plus: `pwd+otp hwk`.
    ///
    /// # Errors
    /// [`InvalidMethods`].
    pub fn amr(self, methods: &str) -> Result<Self, InvalidMethods> {
        let alternative = |names: &str| {
            let methods = names.split('+').map(Amr::from_name);
            methods.reduce(|one, other| Some(one?.and(other?))).flatten().ok_or(InvalidMethods)
        };
        let amr = methods.split_whitespace().map(alternative).collect::<Result<Vec<_>, _>>()?;
        if amr.is_empty() { Err(InvalidMethods) } else { Ok(Self { amr: amr.into(), ..self }) }
    }

    /// Checks the claims of a verified access token at `now`.
    ///
    /// # Errors
    /// [`Insufficient`].
    pub fn check(&self, claims: &Claims, now: UnixSeconds) -> Result<(), Insufficient> {
        let amr = claims.amr.iter().filter_map(|name| Amr::from_name(name));
        let amr = amr.reduce(Amr::and);
        let has = |methods: &Amr| amr.is_some_and(|amr| amr.has(*methods));
        let is_too_old = |max_age| claims.auth_time.plus(max_age) < now;
        if !self.amr.is_empty() && !self.amr.iter().any(has) {
            Err(Insufficient::OtherMethods)
        } else if self.max_age.is_some_and(is_too_old) {
            Err(Insufficient::TooOld)
        } else {
            Ok(())
        }
    }

    /// Checks the claims of a verified access token that stands in for the password.
    ///
    /// # Security
    /// Only the token that a step-up was answered with counts. A refresh repeats `auth_time` and
    /// `amr`, so otherwise somebody with a stolen refresh token could change the account whenever
    /// its owner steps up.
    ///
    /// # Errors
    /// [`Insufficient`].
    pub fn check_step_up(&self, claims: &Claims, now: UnixSeconds) -> Result<(), Insufficient> {
        if claims.step_up { self.check(claims, now) } else { Err(Insufficient::NoStepUp) }
    }

    /// The header `WWW-Authenticate` of the refusal, a 401 (RFC 9470 §3).
    ///
    /// `amr_values` is not in the RFC, which knows only `acr_values`. Clients ignore parameters
    /// that they do not know (RFC 9110 §11.2).
    #[must_use]
    pub fn challenge(&self, scheme: Scheme) -> String {
        let scheme = match scheme {
            Scheme::Bearer => "Bearer",
            Scheme::Dpop => "DPoP",
        };
        format!(r#"{scheme} error="insufficient_user_authentication"{self}"#)
    }
}

/// The parameters of the challenge.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(max_age) = self.max_age {
            write!(f, r#", max_age="{}""#, max_age.as_secs())?;
        }
        if self.amr.is_empty() {
            return Ok(());
        }
        let alternative = |amr: &Amr| amr.names().collect::<Vec<_>>().join("+");
        let alternatives: Vec<_> = self.amr.iter().map(alternative).collect();
        write!(f, r#", amr_values="{}""#, alternatives.join(" "))
    }
}

#[cfg(test)]
mod tests;
