//! What administrators and operators do to accounts.

use ratchet_core::{
    ids::UserId,
    letter::{Letter, Notice},
    session::RevocationReason,
    time::UnixMillis,
    user::UserStatus,
};
use ratchet_store::{
    Account, Attempts, Users,
    users::{AccountUpdate, Deletion},
};

use super::letter;
use crate::{
    Fault, clock,
    end_sessions::{EndAllError, EndSessions},
    events::{AccountChange, SecurityEvent, record, record_change},
    fault::from_faults,
    throttle::{unlock, unlock_second_factor},
};

/// How often the second factor of a user whose sessions others end at the same time is reset.
const RESET_TRIES: usize = 3;

/// Administers users.
#[derive(Debug, Clone)]
pub struct Administration {
    users: Users,
    attempts: Attempts,
    end_sessions: EndSessions,
}

/// A user was deleted.
#[derive(Debug)]
pub struct Deleted {
    /// Whether the sessions were also revoked one by one. If not, they end at their next refresh or
    /// when the mailer processes the letter.
    pub sessions: Result<(), Fault>,
}

/// Why a user was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AdministrationError {
    /// There is no such user.
    #[error("there is no such user")]
    NoSuchUser,
    /// Administrators must not disable or delete themselves, so that the last one cannot lock
    /// themselves out by accident.
    #[error("administrators cannot change their own account")]
    OwnAccount,
    /// The account was changed or deleted meanwhile.
    #[error("the account was changed meanwhile")]
    ChangedMeanwhile,
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(AdministrationError);

impl From<EndAllError> for AdministrationError {
    fn from(error: EndAllError) -> Self {
        match error {
            EndAllError::NoSuchUser => Self::NoSuchUser,
            EndAllError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl Administration {
    /// Administers the users in these tables.
    #[must_use]
    pub const fn new(users: Users, attempts: Attempts, end_sessions: EndSessions) -> Self {
        Self { users, attempts, end_sessions }
    }

    /// The account with this id.
    ///
    /// # Errors
    /// [`AdministrationError::NoSuchUser`] or a fault.
    pub async fn load(&self, id: UserId) -> Result<Account, AdministrationError> {
        let account = self.users.find_account(id, clock::now()).await?;
        account.ok_or(AdministrationError::NoSuchUser)
    }

    /// Changes the status, the roles or the custom claims of a user, on behalf of an administrator
    /// or, if `by` is `None`, of an operator. Enabling a user also unlocks the account.
    ///
    /// # Errors
    /// [`AdministrationError`]. After a fault the change may have been made; repeating it is safe.
    pub async fn update(
        &self,
        id: UserId,
        update: AccountUpdate<'_>,
        by: Option<UserId>,
    ) -> Result<(), AdministrationError> {
        if by == Some(id) {
            return Err(AdministrationError::OwnAccount);
        }
        if !self.users.administer(id, update, clock::now()).await? {
            return Err(AdministrationError::NoSuchUser);
        }
        let changed = |change| {
            record(SecurityEvent::AccountChanged { change, by }, Some(id), None);
        };
        if update.roles.is_some() {
            changed(AccountChange::RolesSet);
        }
        if update.claims.is_some() {
            changed(AccountChange::ClaimsSet);
        }
        match update.status {
            Some(UserStatus::Disabled) => {
                changed(AccountChange::Disabled);
                self.end_sessions.revoke_ended(id, RevocationReason::UserDisabled).await?;
            }
            Some(UserStatus::Active) => {
                changed(AccountChange::Enabled);
                let account = self.users.find_account(id, clock::now()).await?;
                let account = account.ok_or(AdministrationError::NoSuchUser)?;
                // Users sign in with either, and each has its own counter.
                let by_name = unlock(&self.attempts, &account.user.name).await?;
                let by_email = unlock(&self.attempts, account.email.as_str()).await?;
                let codes = unlock_second_factor(&self.attempts, id).await?;
                if by_name || by_email || codes {
                    changed(AccountChange::Unlocked);
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Ends all sessions of a user.
    ///
    /// # Errors
    /// [`AdministrationError::NoSuchUser`] or a fault.
    pub async fn end_sessions(&self, id: UserId) -> Result<(), AdministrationError> {
        self.load(id).await?;
        let reason = RevocationReason::EndedByAdministrator;
        Ok(self.end_sessions.end_all(id, None, reason).await?)
    }

    /// Deletes a user on behalf of an administrator.
    ///
    /// # Errors
    /// [`AdministrationError`].
    pub async fn delete(&self, id: UserId, by: UserId) -> Result<Deleted, AdministrationError> {
        let account = self.load(id).await?;
        if id == by {
            return Err(AdministrationError::OwnAccount);
        }
        self.delete_account(&account, Deletion::of(&account), Some(by)).await
    }

    pub(super) async fn delete_account(
        &self,
        account: &Account,
        deletion: Deletion<'_>,
        by: Option<UserId>,
    ) -> Result<Deleted, AdministrationError> {
        let user_id = account.user.id;
        let notice = account.told(|email, name| Notice::Deleted { user_id, email, name });
        let letter = letter(notice, clock::now())?;
        self.delete_as_read(account.user.id, deletion, Some(&letter), by).await
    }

    /// Deletes a user, even if some of the items are damaged. `letter` notifies the user; `None` if
    /// the address is not valid.
    ///
    /// # Errors
    /// [`AdministrationError::ChangedMeanwhile`] or a fault.
    pub async fn delete_as_read(
        &self,
        id: UserId,
        deletion: Deletion<'_>,
        letter: Option<&Letter>,
        by: Option<UserId>,
    ) -> Result<Deleted, AdministrationError> {
        let begun = clock::now();
        if !self.users.delete(deletion, letter).await? {
            return Err(AdministrationError::ChangedMeanwhile);
        }
        let event = SecurityEvent::AccountChanged { change: AccountChange::Deleted, by };
        record(event, Some(id), None);
        let reason = RevocationReason::UserDisabled;
        let sessions = self.end_sessions.finish(id, reason, begun).await;
        Ok(Deleted { sessions })
    }

    /// Removes a user's second factor on behalf of an operator, ends all sessions and notifies the
    /// user. Returns whether there was one.
    ///
    /// # Errors
    /// [`AdministrationError::NoSuchUser`] or a fault.
    pub async fn reset_second_factor(&self, id: UserId) -> Result<bool, AdministrationError> {
        for _ in 0..RESET_TRIES {
            let begun = clock::now();
            let user = self.users.find(id).await?.ok_or(AdministrationError::NoSuchUser)?;
            if !user.second_factor {
                return Ok(false);
            }
            let letter = letter(Notice::SecondFactorReset { user_id: id }, begun)?;
            if !self.users.reset_factor(&user, begun, Some(&letter)).await? {
                // Something else ended the sessions at the same time.
                continue;
            }
            self.was_reset(id, AccountChange::SecondFactorReset, begun).await;
            return Ok(true);
        }
        Err(AdministrationError::ChangedMeanwhile)
    }

    /// Removes all passkeys of a user on behalf of an operator, ends all sessions and notifies the
    /// user. Returns whether there were any.
    ///
    /// # Errors
    /// [`AdministrationError::NoSuchUser`] or a fault.
    pub async fn reset_passkeys(&self, id: UserId) -> Result<bool, AdministrationError> {
        for _ in 0..RESET_TRIES {
            let begun = clock::now();
            let user = self.users.find(id).await?.ok_or(AdministrationError::NoSuchUser)?;
            if !user.has_passkeys {
                return Ok(false);
            }
            let letter = letter(Notice::PasskeysReset { user_id: id }, begun)?;
            if !self.users.remove_all_passkeys(&user, &letter).await? {
                // Something else ended the sessions at the same time.
                continue;
            }
            self.was_reset(id, AccountChange::PasskeysReset, begun).await;
            return Ok(true);
        }
        Err(AdministrationError::ChangedMeanwhile)
    }

    /// Records what an operator removed, and revokes the sessions that it has ended one by one.
    async fn was_reset(&self, id: UserId, change: AccountChange, begun: UnixMillis) {
        record_change(change, id, None);
        let reason = RevocationReason::EndedByAdministrator;
        // The change is done even if this fails; the mailer then revokes the sessions.
        drop(self.end_sessions.finish(id, reason, begun).await);
    }

    /// Forgets the failed attempts at a user's second factor.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn unlock_second_factor(&self, id: UserId) -> Result<(), Fault> {
        unlock_second_factor(&self.attempts, id).await?;
        Ok(())
    }

    /// Forgets the failed attempts for a name, whether or not it exists.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn unlock(&self, name: &str) -> Result<(), Fault> {
        unlock(&self.attempts, name).await?;
        Ok(())
    }
}
