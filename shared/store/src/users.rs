//! The users table: profiles, and the items that keep names and addresses unique.

use aws_sdk_dynamodb::Client;
use ratchet_core::{
    email::EmailAddress,
    ids::UserId,
    password::PhcHash,
    registration::Address,
    time::{UnixMillis, UnixSeconds},
    user::{ADDRESS_OUTLIVES, NameKey, User, UserStatus},
};

use crate::{
    StoreError,
    conditions::{EXPIRES_AT, is_free, is_not_taken, is_of_round},
    expression::Changes,
    item::{Item, Reader, number, string},
    transact::transact,
    write::{Write, pk},
};

mod about;
mod accounts;
mod cut;
mod deletion;
mod email;
mod email_sign_in;
mod factor;
mod item;
mod list;
mod operators;
mod passkeys;
mod password;
mod proof;
mod registration;
mod sign_in_challenge;
mod state;

pub use accounts::{Account, AccountUpdate};
pub use deletion::Deletion;
pub use email_sign_in::{EmailProof, RightProof};
pub use factor::{Enabling, Spending, Start, SteppingUp};
pub use list::{ListedDetails, ListedUser, Page};
pub use operators::{Imported, ListedProfile, Profile};
pub use passkeys::{
    AddedPasskey, PasskeyStart, PasskeyStepUp, PasskeysChange, Started, SteppedUpWith,
};
pub use proof::{ConfirmResult, ResetResult};
pub use registration::Registration;
pub use sign_in_challenge::KeptChallenge;
#[cfg(test)]
pub(crate) use state::fixture;
pub(crate) use state::{STATE, id_of_pk, to_state};

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
    /// When the registration expires and the name is free again, unless the address is confirmed
    /// before. Until it is confirmed, the user does not own the address and is not listed. `None`
    /// for a user who owns the address at once.
    pub expires_at: Option<UnixSeconds>,
}

/// The index that lists users in name order, and clients.
pub(crate) const NAMES_INDEX: &str = "names";

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
            // Always two reads, so that response times do not reveal which users exist.
            self.get(item::NOBODY.to_owned()).await?;
            return Ok(None);
        };
        // An address that registrations wait for has no owner.
        let id = Reader(&pointer).optional_string("user_id")?;
        let key = id.map_or_else(|| item::NOBODY.to_owned(), |id| format!("user#{id}"));
        let Some(user) = self.get(key).await? else { return Ok(None) };
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

    /// Who owns an address, or waits for it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn address(
        &self,
        email: &EmailAddress,
        now: UnixMillis,
    ) -> Result<Address, StoreError> {
        self.address_at(item::email_pk(email.as_str()), now).await
    }

    async fn address_at(&self, pk: String, now: UnixMillis) -> Result<Address, StoreError> {
        item::to_address(self.get_live(pk, now).await?.as_ref())
    }

    /// The three writes of a new user who takes name and address, or opens a round.
    fn puts(&self, new: &NewUser, now: UnixMillis) -> [Write; 3] {
        let id = new.user.id;
        let put = |item| Write::put(&self.table, item);
        let [user, name] = item::from_new_user(new, id).map(|item| put(item).when(is_free(now)));
        let address = match new.expires_at {
            None => put(item::pointer(item::email_pk(&new.email), id)).when(is_not_taken(now)),
            Some(expires_at) => put(item::from_first(new, expires_at)).when(is_free(now)),
        };
        [user, name, address]
    }

    /// The three writes of a registration that joins a round. Shifting the list needs no read, so
    /// no concurrent registration is lost.
    fn joins(&self, new: &NewUser, round: UserId, now: UnixMillis) -> [Write; 3] {
        let [first, second, third, fourth] = item::WAITING;
        let expires_at = new.expires_at.unwrap_or_default();
        let changes = Changes::new()
            .set(EXPIRES_AT, number(expires_at.plus(ADDRESS_OUTLIVES).get()))
            .copy(fourth, third)
            .copy(third, second)
            .copy(second, first)
            .set(first, string(new.user.id.to_string()));
        let [user, name] = item::from_new_user(new, round)
            .map(|item| Write::put(&self.table, item).when(is_free(now)));
        let address = Write::update(&self.table, pk(item::email_pk(&new.email)), changes)
            .when(is_of_round(round));
        [user, name, address]
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
