//! Users switch their second factor on and off. An access token alone is not enough.

use ratchet_core::{
    authentication::Requirement,
    ids::UserId,
    letter::Notice,
    second_factor::{Enabled, Presented, RecoveryCode, Spend, TotpCode, TotpSecret},
    session::RevocationReason,
    time::UnixMillis,
};
use ratchet_store::{
    StoreError,
    users::{Enabling, Spending},
};

use super::{Accounts, OwnAccount, OwnAccountError, letter};
use crate::{
    Fault, clock,
    confirm::Proof,
    events::{AccountChange, record_change},
    fault::from_faults,
    second_factor::{Enrollment, SecondFactors},
    throttle::{AttemptError, RecordedAttempt, Throttled},
};

/// Why a second factor was not changed by its user, or did not authenticate them.
#[derive(Debug, thiserror::Error)]
pub enum OwnFactorError {
    /// The current password is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// There is no password, and the access token is of no step-up that is enough; or a step-up
    /// needs a second factor.
    #[error("the authentication is not enough")]
    Insufficient(Requirement),
    /// The session has ended meanwhile. No code was used up.
    #[error("the session has ended")]
    SessionEnded,
    /// The code is wrong, or was used before.
    #[error("the code is wrong or was used before")]
    InvalidCode,
    /// One is on already.
    #[error("a second factor is on")]
    AlreadyEnabled,
    /// None is on.
    #[error("no second factor is on")]
    NotEnabled,
    /// No secret waits for its first code, or not any more.
    #[error("no second factor waits for its first code")]
    NotPending,
    /// The account was changed meanwhile.
    #[error("the account was changed meanwhile")]
    ChangedMeanwhile,
    /// There were too many wrong passwords before.
    #[error(transparent)]
    Throttled(Throttled),
    /// So many codes were wrong that somebody has to unlock the second factor.
    #[error("too many wrong codes")]
    Locked,
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(OwnFactorError);

impl From<OwnAccountError> for OwnFactorError {
    fn from(error: OwnAccountError) -> Self {
        match error {
            OwnAccountError::WrongPassword => Self::WrongPassword,
            OwnAccountError::Insufficient(required) => Self::Insufficient(required),
            OwnAccountError::PasswordRefused(_) | OwnAccountError::ChangedMeanwhile => {
                Self::ChangedMeanwhile
            }
            OwnAccountError::Throttled(throttled) => Self::Throttled(throttled),
            OwnAccountError::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// Of attempts with codes.
impl From<AttemptError> for OwnFactorError {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Throttled(Throttled::Locked) => Self::Locked,
            AttemptError::Throttled(throttled) => Self::Throttled(throttled),
            AttemptError::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// A code that was judged right.
pub(super) struct RightCode {
    pub(super) factor: Enabled,
    secret: TotpSecret,
    pub(super) spend: Spend,
    pub(super) attempt: RecordedAttempt,
}

impl Accounts {
    /// Begins to set up a second factor, which is on once [`Self::confirm_second_factor`] has its
    /// first code.
    ///
    /// # Errors
    /// [`OwnFactorError`].
    pub async fn begin_second_factor(
        &self,
        own: &OwnAccount,
        proof: Proof<'_>,
    ) -> Result<Enrollment, OwnFactorError> {
        self.confirm_it_is_the_user(own, proof, Requirement::FRESH_SECOND_FACTOR).await?;
        let begun = self.second_factors.begin(&own.account.user, clock::now()).await?;
        begun.ok_or(OwnFactorError::AlreadyEnabled)
    }

    /// Switches the second factor on that waits for its first code, ends all other sessions and
    /// returns the recovery codes.
    ///
    /// # Errors
    /// [`OwnFactorError`].
    pub async fn confirm_second_factor(
        &self,
        own: &OwnAccount,
        code: &TotpCode,
    ) -> Result<Vec<RecoveryCode>, OwnFactorError> {
        let (user, begun) = (&own.account.user, clock::now());
        let factor = self.users.find_factor(user.id).await?.unwrap_or_default();
        if user.second_factor || factor.enabled.is_some() {
            return Err(OwnFactorError::AlreadyEnabled);
        }
        let pending = factor.awaited(begun.seconds()).ok_or(OwnFactorError::NotPending)?;
        let attempt = self.second_factors.count(user.id, begun).await?;
        let secret = self.second_factors.open(user.id, &pending.secret, begun).await?;
        let step = secret.step_of(code, begun.seconds()).ok_or(OwnFactorError::InvalidCode)?;
        let new = SecondFactors::draw_recovery_codes(&secret)?;
        let letter = letter(Notice::SecondFactorEnabled { user_id: user.id }, clock::now())?;
        let enabling = Enabling {
            user,
            secret: &pending.secret,
            step,
            recovery: &new.hashes,
            spared: Some(own.claims.sid),
            letter: &letter,
        };
        if !self.users.enable_factor(enabling).await? {
            let factor = self.users.find_factor(user.id).await?.unwrap_or_default();
            return Err(match factor.enabled {
                Some(_) => OwnFactorError::AlreadyEnabled,
                None => OwnFactorError::ChangedMeanwhile,
            });
        }
        self.second_factors.succeeded(&attempt).await;
        self.ended_others(own, AccountChange::SecondFactorEnabled, begun).await;
        Ok(new.codes)
    }

    /// Switches the second factor off and ends all other sessions. If none is on, that is done.
    ///
    /// # Errors
    /// [`OwnFactorError`].
    pub async fn disable_second_factor(
        &self,
        own: &OwnAccount,
        proof: Proof<'_>,
        presented: &Presented,
    ) -> Result<(), OwnFactorError> {
        let (user, begun) = (&own.account.user, clock::now());
        self.confirm_it_is_the_user(own, proof, Requirement::FRESH_BESIDE_CODE).await?;
        if !user.second_factor {
            return Ok(());
        }
        // The same request may have done it a moment ago.
        let Some(right) = self.judge(user.id, presented, begun).await? else { return Ok(()) };
        let spending = Spending { user, secret: &right.factor.secret, spend: right.spend };
        let letter = letter(Notice::SecondFactorDisabled { user_id: user.id }, clock::now())?;
        if !self.users.disable_factor(spending, own.claims.sid, &letter).await? {
            let now = self.users.find(user.id).await?.ok_or(OwnFactorError::ChangedMeanwhile)?;
            return if now.second_factor { Err(OwnFactorError::InvalidCode) } else { Ok(()) };
        }
        self.second_factors.succeeded(&right.attempt).await;
        self.ended_others(own, AccountChange::SecondFactorDisabled, begun).await;
        Ok(())
    }

    /// Replaces the recovery codes, and returns the new ones.
    ///
    /// # Errors
    /// [`OwnFactorError`].
    pub async fn replace_recovery_codes(
        &self,
        own: &OwnAccount,
        proof: Proof<'_>,
        presented: &Presented,
    ) -> Result<Vec<RecoveryCode>, OwnFactorError> {
        let (user, begun) = (&own.account.user, clock::now());
        self.confirm_it_is_the_user(own, proof, Requirement::FRESH_BESIDE_CODE).await?;
        if !user.second_factor {
            return Err(OwnFactorError::NotEnabled);
        }
        let right = self.judge(user.id, presented, begun).await?;
        let right = right.ok_or(OwnFactorError::NotEnabled)?;
        let spending = Spending { user, secret: &right.factor.secret, spend: right.spend };
        let new = SecondFactors::draw_recovery_codes(&right.secret)?;
        let letter = letter(Notice::RecoveryCodesReplaced { user_id: user.id }, clock::now())?;
        if !self.users.replace_recovery_codes(spending, &new.hashes, &letter).await? {
            return Err(OwnFactorError::InvalidCode);
        }
        self.second_factors.succeeded(&right.attempt).await;
        let change = AccountChange::RecoveryCodesReplaced;
        record_change(change, user.id, Some(own.claims.sid));
        Ok(new.codes)
    }

    /// Counts an attempt and judges its code. The write that uses the code up has the last word.
    /// Returns `None` if the factor was switched off since the user was read.
    pub(super) async fn judge(
        &self,
        user: UserId,
        presented: &Presented,
        now: UnixMillis,
    ) -> Result<Option<RightCode>, OwnFactorError> {
        let attempt = self.second_factors.count(user, now).await?;
        let factor = self.users.find_factor(user).await?.and_then(|factor| factor.enabled);
        let Some(factor) = factor else {
            self.second_factors.not_compared(&attempt).await;
            return match self.users.find(user).await? {
                Some(user) if user.second_factor => {
                    Err(OwnFactorError::Fault(StoreError::MalformedItem("second_factor").into()))
                }
                _ => Ok(None),
            };
        };
        let secret = self.second_factors.open(user, &factor.secret, now).await?;
        let spend = presented.judge(&secret, now.seconds()).ok_or(OwnFactorError::InvalidCode)?;
        Ok(Some(RightCode { factor, secret, spend, attempt }))
    }

    /// Records a change that has ended the other sessions, and revokes them one by one.
    pub(crate) async fn ended_others(
        &self,
        own: &OwnAccount,
        change: AccountChange,
        begun: UnixMillis,
    ) {
        let user_id = own.claims.sub;
        record_change(change, user_id, Some(own.claims.sid));
        // The change is done even if this fails; the mailer then revokes the sessions.
        let reason = RevocationReason::EndedEverywhere;
        drop(self.end_sessions.finish(user_id, reason, begun).await);
    }
}
