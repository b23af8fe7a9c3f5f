//! Accounts, and the changes that administrators make.

use ratchet_core::{
    custom_claims::CustomClaims,
    email::EmailAddress,
    ids::UserId,
    letter::Notice,
    password::PhcHash,
    time::{UnixMillis, UnixSeconds},
    user::{NameKey, User, UserStatus},
};

use super::{Users, cut::end_all_sessions, item};
use crate::{
    StoreError,
    conditions::{EXPIRES_AT, belongs_to, is_of_round, is_present},
    expression::Changes,
    item::{Reader, string},
    write::{Write, pk},
};

/// A user, with the data that only the user and administrators may see.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user.
    pub user: User,
    /// The name in the form that is unique.
    pub name_key: NameKey,
    /// The address.
    pub email: EmailAddress,
    /// The address that replaces it once it is confirmed.
    pub pending_email: Option<EmailAddress>,
    /// What proves the password.
    pub password_hash: PhcHash,
    /// When something last ended all sessions; `None` if nothing has, or only an earlier release.
    pub cut_at: Option<UnixMillis>,
    /// When the account expires, unless the address is confirmed before then.
    pub expires_at: Option<UnixSeconds>,
    /// The round of registrations that it waits in for its address; `None` if it has the address.
    pub round: Option<UserId>,
}

/// What to change about a user. `None` leaves it as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccountUpdate<'a> {
    /// Whether the user may sign in. Disabling ends all sessions.
    pub status: Option<UserStatus>,
    /// The roles for the next access token.
    pub roles: Option<&'a [String]>,
    /// The custom claims for the next access token.
    pub claims: Option<&'a CustomClaims>,
}

impl Account {
    /// A notice to the account's address. It includes the name only if the address is confirmed:
    /// until then a stranger may have chosen both.
    #[must_use]
    pub fn told(&self, notice: impl FnOnce(EmailAddress, Option<String>) -> Notice) -> Notice {
        let name = self.user.email_confirmed.then(|| self.user.name.clone());
        notice(self.email.clone(), name)
    }
}

impl Users {
    /// The user with that id and everything that belongs to the account, read consistently.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_account(
        &self,
        id: UserId,
        now: UnixMillis,
    ) -> Result<Option<Account>, StoreError> {
        self.get_live(item::user_pk(id), now).await?.as_ref().map(item::to_account).transpose()
    }

    /// The account with that name and that address.
    ///
    /// # Security
    /// Always two reads, so that response times do not reveal which users exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_account_called(
        &self,
        name: &NameKey,
        email: &EmailAddress,
        now: UnixMillis,
    ) -> Result<Option<Account>, StoreError> {
        let pointer = self.get_live(item::name_pk(name), now).await?;
        let id = pointer.as_ref().map(|pointer| item::user_id(&Reader(pointer))).transpose()?;
        let key = id.map_or_else(|| item::NOBODY.to_owned(), item::user_pk);
        let account = self.get_live(key, now).await?.as_ref().map(item::to_account).transpose()?;
        Ok(account.filter(|account| account.email == *email))
    }

    /// Sets any of the status, the roles and the custom claims. Disabling ends all sessions and
    /// removes the address that waits for confirmation, in the same write. Returns `false` if there
    /// is no such user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn administer(
        &self,
        id: UserId,
        update: AccountUpdate<'_>,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let AccountUpdate { status, roles, claims } = update;
        let mut changes = Changes::new();
        if let Some(status) = status {
            changes = changes.set("status", string(item::status_name(status)));
        }
        if status == Some(UserStatus::Disabled) {
            changes = end_all_sessions(changes, now).remove("pending_email");
        }
        if let Some(roles) = roles {
            changes = changes.set("roles", item::roles_value(roles));
        }
        match claims {
            Some(claims) if claims.is_empty() => changes = changes.remove(item::CLAIMS),
            Some(claims) => changes = changes.set(item::CLAIMS, string(claims.to_string())),
            None => {}
        }
        if changes.is_empty() {
            return Ok(self.find(id).await?.is_some());
        }
        self.change(id, changes).when(is_present()).send(&self.client).await
    }

    /// A change of a user's item.
    pub(super) fn change(&self, id: UserId, changes: Changes) -> Write {
        Write::update(&self.table, pk(item::user_pk(id)), changes)
    }

    /// Keeps the name of a registration that is confirmed. The name must still be this user's:
    /// after it expired, another user may have registered it.
    pub(super) fn keep_name(&self, account: &Account) -> Option<Write> {
        let name = pk(item::name_pk(&account.name_key));
        let kept = Write::update(&self.table, name, Changes::new().remove(EXPIRES_AT));
        account.round.map(|_| kept.when(belongs_to(account.user.id)))
    }

    /// Gives a confirmed registration the address that it waited for, if its round has not ended.
    /// That ends the round.
    pub(super) fn take_address(&self, account: &Account) -> Option<Write> {
        let pointer = item::pointer(item::email_pk(account.email.as_str()), account.user.id);
        account.round.map(|round| Write::put(&self.table, pointer).when(is_of_round(round)))
    }

    /// Frees a name or an address, which must be this user's.
    pub(super) fn remove_pointer(&self, pointer: String, id: UserId) -> Write {
        Write::delete(&self.table, pk(pointer)).when(belongs_to(id))
    }
}
