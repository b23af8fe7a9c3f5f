//! Registering an account.

use ratchet_core::{letter::Letter, registration::Admission, time::UnixMillis};

use super::{NewUser, Users, item};
use crate::{
    StoreError, conditions::is_free_or_temporary, outbox::enclose, transact::transact_and_check,
    write::Write,
};

/// How often a registration reads again because others registered meanwhile.
const REGISTRATION_TRIES: usize = 3;

/// The result of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// The user was written.
    Registered,
    /// Another user has the address.
    AddressTaken,
    /// Another user has the name.
    NameTaken,
}

impl Users {
    /// Writes a new user and the letter that announces it; if name or address is taken, only the
    /// letter that says so. `letter` makes the letter. Expired items are overwritten; the own item
    /// of an expired user, which nothing points to any more, is left to TTL.
    ///
    /// # Security
    /// Two reads and one transaction that writes four items, whether or not name and address are
    /// taken, so that timing does not reveal it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn register(
        &self,
        new: &NewUser,
        letter: impl Fn(Registration) -> Letter,
        now: UnixMillis,
    ) -> Result<Registration, StoreError> {
        for _ in 0..REGISTRATION_TRIES {
            let (by_name, address) = tokio::join!(
                self.get_live(item::name_pk(&new.name_key), now),
                self.address_at(item::email_pk(&new.email), now)
            );
            let admission = address?.admit(new.expires_at.is_some(), by_name?.is_none());
            let decoys = || {
                let put = |item| Write::put(&self.table, item).when(is_free_or_temporary());
                item::decoys(new, now).map(put)
            };
            let (found, items) = match admission {
                Admission::First => (Registration::Registered, self.puts(new, now)),
                Admission::Joins(round) => (Registration::Registered, self.joins(new, round, now)),
                Admission::AddressTaken => (Registration::AddressTaken, decoys()),
                Admission::NameTaken => (Registration::NameTaken, decoys()),
            };
            let mut writes = vec![enclose(&self.table, &letter(found))];
            writes.extend(items);
            let was_registered = async || Ok(self.find(new.user.id).await?.is_some());
            if transact_and_check(&self.client, writes, was_registered).await? {
                return Ok(found);
            }
        }
        Err(StoreError::Unavailable {
            operation: "TransactWriteItems",
            source: "others registered the same name or address at the same time".into(),
        })
    }
}
