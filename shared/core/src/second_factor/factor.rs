//! A user's second factor, and what changes it.
//!
//! Pure. The store makes a condition of each method here that returns another state, and its item is
//! that state.

use std::time::Duration;

use super::{InvalidCode, RecoveryCode, RecoveryHash, SealedTotpSecret, TotpCode, TotpSecret};
use crate::time::{UnixMillis, UnixSeconds};

/// How long a new secret waits for its first code.
pub const PENDING_LIFE: Duration = Duration::from_mins(10);

/// A user's second factor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Factor {
    /// The one that is on.
    pub enabled: Option<Enabled>,
    /// One that waits for its first code. Only while none is on.
    pub pending: Option<Pending>,
}

/// A second factor that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enabled {
    /// The secret.
    pub secret: SealedTotpSecret,
    /// The latest time step whose code was used.
    pub last_step: u64,
    /// The recovery codes that have not been used.
    pub recovery: Vec<RecoveryHash>,
    /// Since when it is on.
    pub since: UnixMillis,
}

/// A secret that waits for its first code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The secret.
    pub secret: SealedTotpSecret,
    /// From this second on it is as if it were not there.
    pub expires_at: UnixSeconds,
}

/// What a user presents as the second factor.
#[derive(Debug)]
pub enum Presented {
    /// A code of the authenticator app.
    Code(TotpCode),
    /// A recovery code.
    Recovery(RecoveryCode),
}

/// What a right code uses up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spend {
    /// This time step, and all before it.
    Step(u64),
    /// This recovery code.
    Recovery(RecoveryHash),
}

/// The result of a transaction that spends a code and starts the session of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// Both were written.
    Written,
    /// The challenge was spent before: its session exists, or existed.
    ChallengeBefore,
    /// The code is wrong, or was used before, or the factor has changed.
    CodeRefused,
}

impl Presented {
    /// Reads what a request carries: exactly one of a code of the app and a recovery code.
    ///
    /// # Errors
    /// [`InvalidCode`].
    pub fn parse(code: Option<&str>, recovery: Option<&str>) -> Result<Self, InvalidCode> {
        match (code, recovery) {
            (Some(code), None) => TotpCode::parse(code).map(Self::Code),
            (None, Some(code)) => RecoveryCode::parse(code).map(Self::Recovery),
            _ => Err(InvalidCode),
        }
    }

    /// What has to be used up if this is right for `secret`. Whether it was used before, only the
    /// write can tell. `None` if it is wrong.
    #[must_use]
    pub fn judge(&self, secret: &TotpSecret, now: UnixSeconds) -> Option<Spend> {
        match self {
            Self::Code(code) => secret.step_of(code, now).map(Spend::Step),
            Self::Recovery(code) => Some(Spend::Recovery(code.hash(secret))),
        }
    }
}

impl Spent {
    /// The result, from whether the conditions of the factor and of the session failed.
    #[must_use]
    pub const fn of(unmet: Option<[bool; 2]>) -> Self {
        match unmet {
            None => Self::Written,
            // Said first: after a lost answer both fail, and the code was right.
            Some([_, true]) => Self::ChallengeBefore,
            Some([_, false]) => Self::CodeRefused,
        }
    }
}

impl Factor {
    /// The secret that waits for its first code at `now`, if there is one.
    #[must_use]
    pub fn awaited(&self, now: UnixSeconds) -> Option<&Pending> {
        let is_off = self.enabled.is_none();
        self.pending.as_ref().filter(|pending| is_off && now < pending.expires_at)
    }

    /// Begins to set up a factor, in place of one that waits. `None` if one is on.
    #[must_use]
    pub fn begin(known: Option<&Self>, pending: Pending) -> Option<Self> {
        let is_on = known.is_some_and(|known| known.enabled.is_some());
        (!is_on).then_some(Self { enabled: None, pending: Some(pending) })
    }

    /// Switches on the factor that waits, if it is this one and its time is not over.
    #[must_use]
    pub fn enable(
        &self,
        secret: &SealedTotpSecret,
        step: u64,
        recovery: Vec<RecoveryHash>,
        now: UnixMillis,
    ) -> Option<Self> {
        let awaited = self.awaited(now.seconds()).filter(|pending| pending.secret == *secret)?;
        let secret = awaited.secret.clone();
        let enabled = Enabled { secret, last_step: step, recovery, since: now };
        Some(Self { enabled: Some(enabled), pending: None })
    }

    /// Uses up a code of the factor with this secret. `None` if the code was used before, or the
    /// factor is another one or off.
    #[must_use]
    pub fn spend(&self, secret: &SealedTotpSecret, spend: &Spend) -> Option<Self> {
        let enabled = self.enabled.as_ref().filter(|enabled| enabled.secret == *secret)?;
        let mut enabled = enabled.clone();
        match spend {
            Spend::Step(step) if *step <= enabled.last_step => return None,
            Spend::Step(step) => enabled.last_step = *step,
            Spend::Recovery(hash) => {
                let place = enabled.recovery.iter().position(|known| known == hash)?;
                enabled.recovery.remove(place);
            }
        }
        Some(Self { enabled: Some(enabled), pending: None })
    }

    /// Replaces the recovery codes, using up a code of the factor.
    #[must_use]
    pub fn replace_recovery(
        &self,
        secret: &SealedTotpSecret,
        spend: &Spend,
        recovery: Vec<RecoveryHash>,
    ) -> Option<Self> {
        let spent = self.spend(secret, spend)?;
        let enabled = spent.enabled.map(|enabled| Enabled { recovery, ..enabled });
        Some(Self { enabled, pending: None })
    }
}
