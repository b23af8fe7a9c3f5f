//! The users table: profiles, and the items that keep names and addresses unique.

use aws_sdk_dynamodb::Client;
use ratchet_core::{
    email::EmailAddress,
    ids::UserId,
    password::PhcHash,
    time::{UnixMillis, UnixSeconds},
    user::{NameKey, User, UserStatus},
};

use crate::{
    StoreError,
    conditions::is_free,
    item::{Item, Reader},
    transact::transact,
    write::{Write, pk},
};

mod accounts;
mod cut;
mod deletion;
mod email;
mod item;
mod list;
mod operators;
mod password;
mod proof;
mod registration;

pub use accounts::Account;
pub use deletion::Deletion;
pub use list::{ListedDetails, ListedUser, Page};
pub use operators::{Imported, ListedProfile, Profile};
pub use proof::{ConfirmResult, ResetResult};
pub use registration::Registration;

/// The users table.
#[derive(Debug, Clone)]
pub struct Users {
    client: Client,
    table: String,
}

/// A user together with what proves the password.
#[derive(Debug)]
pub struct Credentials {
    /// The user.
    pub user: User,
    /// The stored password hash.
    pub password_hash: PhcHash,
}

impl Credentials {
    /// Whether the user may sign in once the password is proved.
    #[must_use]
    pub fn may_sign_in(&self) -> bool {
        self.user.status == UserStatus::Active
    }
}

/// A user who does not exist yet.
#[derive(Debug)]
pub struct NewUser {
    /// The user. `id` must never have been used.
    pub user: User,
    /// The name in the form that is unique.
    pub name_key: NameKey,
    /// The e-mail address in the form that is unique.
    pub email: String,
    /// The password's hash.
    pub password_hash: PhcHash,
    /// When name and address are free again, unless the address is confirmed before. Until then the
    /// user is not listed.
    pub expires_at: Option<UnixSeconds>,
}

/// The index that lists users in name order.
const NAMES_INDEX: &str = "names";

impl Users {
    /// The table called `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Writes a new user, in one transaction with the name and the address. Returns `false` if one
    /// of them is taken.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create(&self, new: &NewUser, now: UnixMillis) -> Result<bool, StoreError> {
        transact(&self.client, self.puts(new, now).into()).await
    }

    /// The user with that name, and the password's hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_credentials(
        &self,
        name: &NameKey,
        now: UnixMillis,
    ) -> Result<Option<Credentials>, StoreError> {
        self.find_credentials_at(item::name_pk(name), now).await
    }

    /// The user that the pointer with the key `pk` leads to.
    async fn find_credentials_at(
        &self,
        pk: String,
        now: UnixMillis,
    ) -> Result<Option<Credentials>, StoreError> {
        let Some(pointer) = self.get_live(pk, now).await? else {
            // Two reads in every case: the time that an answer takes must not tell who exists.
            self.get(item::NOBODY.to_owned()).await?;
            return Ok(None);
        };
        let id = Reader(&pointer).string("user_id")?;
        let Some(user) = self.get(format!("user#{id}")).await? else { return Ok(None) };
        Ok(Some(Credentials {
            user: item::to_user(&user)?,
            password_hash: PhcHash::new(Reader(&user).string("password_hash")?.to_owned()),
        }))
    }

    /// The user whose confirmed address that is, and the password's hash: the same reads as
    /// [`find_credentials`](Self::find_credentials).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_credentials_by_email(
        &self,
        email: &EmailAddress,
        now: UnixMillis,
    ) -> Result<Option<Credentials>, StoreError> {
        let found = self.find_credentials_at(item::email_pk(email.as_str()), now).await?;
        Ok(found.filter(|credentials| credentials.user.email_confirmed))
    }

    /// The user with that id, read consistently.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.get(item::user_pk(id)).await?.as_ref().map(item::to_user).transpose()
    }

    /// The user with that address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_by_email(
        &self,
        email: &EmailAddress,
        now: UnixMillis,
    ) -> Result<Option<UserId>, StoreError> {
        let pointer = self.get_live(item::email_pk(email.as_str()), now).await?;
        pointer.as_ref().map(|pointer| item::user_id(&Reader(pointer))).transpose()
    }

    /// The three writes of a new user.
    fn puts(&self, new: &NewUser, now: UnixMillis) -> [Write; 3] {
        item::from_new_user(new).map(|item| Write::put(&self.table, item).when(is_free(now)))
    }

    /// An item that has not expired.
    async fn get_live(&self, pk: String, now: UnixMillis) -> Result<Option<Item>, StoreError> {
        match self.get(pk).await? {
            Some(item) if item::has_expired(&item, now)? => Ok(None),
            found => Ok(found),
        }
    }

    async fn get(&self, key: String) -> Result<Option<Item>, StoreError> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.set_key(Some(pk(key)));
        Ok(get.send().await.map_err(|error| StoreError::new("GetItem", error))?.item)
    }
}
