//! Changes that users make to their own account. An access token alone is not enough: the password
//! is required again, or a step-up.

use std::{net::IpAddr, time::Duration};

use ratchet_core::{
    access_token::Claims,
    authentication::Requirement,
    email::EmailAddress,
    letter::Notice,
    password::{Password, PasswordRule, PhcHash, Verdict},
    session::RevocationReason,
    time::UnixMillis,
    user::UserStatus,
};
use ratchet_store::{Account, users::Deletion};

use super::{Accounts, AdministrationError, about, letter};
use crate::{
    Fault,
    access::{AccessError, SignedIn},
    clock,
    confirm::{ConfirmError, Proof},
    events::{AccountChange, record_change},
    fault::from_faults,
    throttle::{AttemptError, AttemptScope, Throttled},
};

/// How long a repeated password change is recognised as the same request.
const JUST_NOW: Duration = Duration::from_mins(10);

/// A caller whose session is live, with the whole account.
#[derive(Debug)]
pub struct OwnAccount {
    /// The claims of the access token.
    pub claims: Claims,
    /// The current account.
    pub account: Account,
}

/// Why an account was not changed by its user.
#[derive(Debug, thiserror::Error)]
pub enum OwnAccountError {
    /// The current password is wrong, or was changed meanwhile.
    #[error("the password is wrong")]
    WrongPassword,
    /// There is no password, and the access token is of no step-up that is enough.
    #[error("the authentication of the access token is not enough")]
    Insufficient(Requirement),
    /// The new password misses these rules of the policy.
    #[error("the password misses {} rules", .0.len())]
    PasswordRefused(Vec<PasswordRule>),
    /// The account was changed or deleted meanwhile.
    #[error("the account was changed meanwhile")]
    ChangedMeanwhile,
    /// There were too many attempts before.
    #[error(transparent)]
    Throttled(Throttled),
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(OwnAccountError);

impl From<AttemptError> for OwnAccountError {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Throttled(throttled) => Self::Throttled(throttled),
            AttemptError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl From<ConfirmError> for OwnAccountError {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::WrongPassword => Self::WrongPassword,
            ConfirmError::Insufficient(required) => Self::Insufficient(required),
            ConfirmError::Throttled(throttled) => Self::Throttled(throttled),
            ConfirmError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl Accounts {
    /// The account of a caller.
    ///
    /// # Errors
    /// [`AccessError::SessionEnded`] if it has been deleted, or a fault.
    pub async fn find_own(&self, caller: SignedIn) -> Result<OwnAccount, AccessError> {
        let SignedIn { claims, .. } = caller;
        let account = self.users.find_account(claims.sub, clock::now()).await?;
        let account = account.ok_or(AccessError::SessionEnded)?;
        Ok(OwnAccount { claims, account })
    }

    /// Changes the password and ends all sessions, except the caller's own if it is to be kept.
    ///
    /// # Security
    /// Only the current password will do. A new password is what outlasts the session, so a stolen
    /// token must not be enough to set one, however fresh it is.
    ///
    /// # Errors
    /// [`OwnAccountError`].
    pub async fn change_password(
        &self,
        own: &OwnAccount,
        current: &str,
        typed_new: &str,
        keep_this_session: bool,
    ) -> Result<(), OwnAccountError> {
        let OwnAccount { claims, account } = own;
        let (user_id, begun) = (claims.sub, clock::now());
        let new = self.check_new_password(typed_new, about(account));
        let new = new.map_err(OwnAccountError::PasswordRefused)?;
        match self.check_password(own, current).await {
            Err(OwnAccountError::WrongPassword) if self.has_just_set(own, typed_new).await? => {
                return Ok(());
            }
            checked => checked?,
        }
        let new = self.hashing.hash(new).await?;
        let spared = keep_this_session.then_some(claims.sid);
        let letter = letter(Notice::PasswordChanged { user_id }, clock::now())?;
        let old = &account.password_hash;
        if !self.users.change_password(user_id, old, &new, spared, &letter).await? {
            let old = self.rehashed_meanwhile(own, current).await?;
            if !self.users.change_password(user_id, &old, &new, spared, &letter).await? {
                return Err(OwnAccountError::WrongPassword);
            }
        }
        record_change(AccountChange::PasswordChanged, user_id, Some(claims.sid));
        // The change is done even if this fails; the mailer then revokes the sessions.
        let reason = RevocationReason::PasswordChanged;
        drop(self.end_sessions.finish(user_id, reason, begun).await);
        Ok(())
    }

    /// Whether this repeats a password change that ended its own session and whose response was
    /// lost.
    ///
    /// # Security
    /// Attempts are counted for the session, before anything is hashed, so a token of an ended
    /// session does not help to guess the password.
    ///
    /// # Errors
    /// [`OwnAccountError::Throttled`] or a fault.
    pub async fn has_changed_password(
        &self,
        claims: &Claims,
        typed_new: &str,
    ) -> Result<bool, OwnAccountError> {
        let now = clock::now();
        let Some(account) = self.users.find_account(claims.sub, now).await? else {
            return Ok(false);
        };
        if account.user.status != UserStatus::Active || !was_cut_lately(&account, now) {
            return Ok(false);
        }
        let Ok(password) = Password::typed(typed_new) else { return Ok(false) };
        let counter = self.limiter.record_attempt(AttemptScope::Session(claims.sid), now).await?;
        if self.hashing.verify(password, account.password_hash).await? == Verdict::Wrong {
            return Ok(false);
        }
        self.limiter.take_back(&counter).await;
        Ok(true)
    }

    /// Requests a change of address. The new address replaces the current one once it is confirmed;
    /// the current one is notified.
    ///
    /// # Security
    /// Somebody who can read the mail of the address can reset the password, so an access token
    /// alone must not be enough to change it. The result does not reveal whether another user has
    /// the address.
    ///
    /// # Errors
    /// [`OwnAccountError`].
    pub async fn request_email_change(
        &self,
        own: &OwnAccount,
        email: &EmailAddress,
        proof: Proof<'_>,
        source_ip: Option<IpAddr>,
    ) -> Result<(), OwnAccountError> {
        // Each request may send a message to another stranger.
        self.limiter.record_attempt(AttemptScope::AccountRequests(source_ip), clock::now()).await?;
        self.confirm_it_is_the_user(own, proof, Requirement::FRESH_SECOND_FACTOR).await?;
        let Account { user, password_hash: proved, .. } = &own.account;
        let now = clock::now();
        let to_confirm = letter(Notice::EmailChangeAsked { user_id: user.id }, now)?;
        let notice = own.account.told(|email, name| Notice::EmailChangeTold { email, name });
        let letters = [&to_confirm, &letter(notice, now)?];
        if self.users.ask_email_change(user.id, proved, email, letters).await? {
            return Ok(());
        }
        let proved = match proof {
            Proof::Password(typed) => self.rehashed_meanwhile(own, typed).await?,
            Proof::FreshToken => self.replaced_meanwhile(own).await?,
        };
        if self.users.ask_email_change(user.id, &proved, email, letters).await? {
            Ok(())
        } else {
            Err(OwnAccountError::WrongPassword)
        }
    }

    /// The account's current hash, if it is of the password that was checked: a concurrent sign-in
    /// may have replaced a weaker hash.
    ///
    /// # Errors
    /// [`OwnAccountError::WrongPassword`] if the password itself was changed.
    async fn rehashed_meanwhile(
        &self,
        own: &OwnAccount,
        proved: &str,
    ) -> Result<PhcHash, OwnAccountError> {
        let password = Password::typed(proved).map_err(|_| OwnAccountError::WrongPassword)?;
        let account = self.users.find_account(own.claims.sub, clock::now()).await?;
        let stored = account.ok_or(OwnAccountError::ChangedMeanwhile)?.password_hash;
        match self.hashing.verify(password, stored.clone()).await? {
            Verdict::Wrong => Err(OwnAccountError::WrongPassword),
            Verdict::Right | Verdict::RightButCheap => Ok(stored),
        }
    }

    /// The account's current hash, if nothing has ended sessions since it was read. So a concurrent
    /// sign-in has replaced a weaker hash.
    ///
    /// # Errors
    /// [`OwnAccountError::ChangedMeanwhile`] if the password was changed.
    async fn replaced_meanwhile(&self, own: &OwnAccount) -> Result<PhcHash, OwnAccountError> {
        let account = self.users.find_account(own.claims.sub, clock::now()).await?;
        let unchanged = account.filter(|account| account.user.cut == own.account.user.cut);
        unchanged.map(|account| account.password_hash).ok_or(OwnAccountError::ChangedMeanwhile)
    }

    /// Deletes the account, ends all sessions, and frees the name and the address.
    ///
    /// # Errors
    /// [`OwnAccountError`].
    pub async fn delete_own(
        &self,
        own: &OwnAccount,
        proof: Proof<'_>,
    ) -> Result<(), OwnAccountError> {
        self.confirm_it_is_the_user(own, proof, Requirement::FRESH_SECOND_FACTOR).await?;
        let deletion = Deletion::proved(&own.account);
        let deleted = self.administration.delete_account(&own.account, deletion, None).await;
        match deleted {
            Ok(_) => Ok(()),
            Err(AdministrationError::Fault(fault)) => Err(OwnAccountError::Fault(fault)),
            Err(
                AdministrationError::NoSuchUser
                | AdministrationError::OwnAccount
                | AdministrationError::ChangedMeanwhile,
            ) => Err(OwnAccountError::ChangedMeanwhile),
        }
    }

    /// Whether this session set this very password a moment ago. If so, the request is a
    /// repetition, because the response was lost.
    async fn has_just_set(&self, own: &OwnAccount, typed: &str) -> Result<bool, Fault> {
        let spared = own.account.user.cut.and_then(|cut| cut.spared);
        let Ok(password) = Password::typed(typed) else { return Ok(false) };
        if spared != Some(own.claims.sid) || !was_cut_lately(&own.account, clock::now()) {
            return Ok(false);
        }
        let stored = own.account.password_hash.clone();
        Ok(self.hashing.verify(password, stored).await? != Verdict::Wrong)
    }

    /// Makes sure that it is the user, and not somebody with the access token alone.
    pub(crate) async fn confirm_it_is_the_user(
        &self,
        own: &OwnAccount,
        proof: Proof<'_>,
        required: Requirement,
    ) -> Result<(), OwnAccountError> {
        let OwnAccount { claims, account } = own;
        self.confirm.it_is_the_user(claims, &account.password_hash, proof, required).await?;
        Ok(())
    }

    /// Checks the current password.
    pub(crate) async fn check_password(
        &self,
        own: &OwnAccount,
        typed: &str,
    ) -> Result<(), OwnAccountError> {
        let OwnAccount { claims, account } = own;
        Ok(self.confirm.check_password(claims, &account.password_hash, typed).await?)
    }
}

/// Whether a cut ended the user's sessions a moment ago, as a password change does.
fn was_cut_lately(account: &Account, now: UnixMillis) -> bool {
    account.cut_at.is_some_and(|cut_at| now < cut_at.plus(JUST_NOW))
}
