//! The beginning of an account.

use ratchet_core::{letter::Letter, time::UnixMillis};

use super::{NewUser, Users, item};
use crate::{
    StoreError, conditions::is_free_or_temporary, outbox::enclose, transact::transact_and_check,
    write::Write,
};

/// How often a registration looks again when others register meanwhile.
const REGISTRATION_TRIES: usize = 3;

/// What became of a registration.
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
    /// Writes a new user together with the letter that announces it, or else the letter that says
    /// why not. `letter` makes them. Expired items are written over; an expired user's own item,
    /// which nothing points to any more, is left to TTL.
    ///
    /// # Security
    /// Whether or not name and address are taken: two reads, and one transaction that puts four
    /// items, under keys that differ as names and addresses do. The time that it takes does not tell.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn register(
        &self,
        new: &NewUser,
        letter: impl Fn(Registration) -> Letter,
        now: UnixMillis,
    ) -> Result<Registration, StoreError> {
        let name_key = item::name_pk(&new.name_key);
        let email_key = item::email_pk(&new.email);
        for _ in 0..REGISTRATION_TRIES {
            let (by_name, by_email) = tokio::join!(
                self.get_live(name_key.clone(), now),
                self.get_live(email_key.clone(), now)
            );
            let found = match (by_email?.is_none(), by_name?.is_none()) {
                (true, true) => Registration::Registered,
                (false, _) => Registration::AddressTaken,
                (true, false) => Registration::NameTaken,
            };
            let mut writes = vec![enclose(&self.table, &letter(found))];
            if found == Registration::Registered {
                writes.extend(self.puts(new, now));
            } else {
                let decoys = item::decoys(new, now);
                let put = |item| Write::put(&self.table, item).when(is_free_or_temporary());
                writes.extend(decoys.map(put));
            }
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
