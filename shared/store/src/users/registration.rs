//! The beginning of an account.

use ratchet_core::{letter::Letter, time::UnixMillis};

use super::{NewUser, Users, item};
use crate::{
    StoreError,
    outbox::enclose,
    transact::{self, transact},
};

/// How often a registration looks again when others register meanwhile.
const REGISTRATION_TRIES: usize = 3;

/// What became of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// The user is kept.
    Registered,
    /// Somebody has the address already.
    AddressTaken,
    /// Somebody has the name already.
    NameTaken,
}

impl Users {
    /// Keeps a new user together with the letter that says so, or else the letter that says why
    /// not. `letter` writes them. What has expired is written over; a former user's own item, which
    /// nothing leads to any more, is left to TTL.
    ///
    /// # Security
    /// Whether or not name and address are taken: two reads, and one transaction that puts four
    /// items, on keys that differ as names and addresses do. The time that it takes does not tell.
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
            let mut items = vec![enclose(&self.table, &letter(found))?];
            if found == Registration::Registered {
                for item in item::from_new_user(new) {
                    items.push(transact::put_free(&self.table, item, now)?);
                }
            } else {
                for item in item::decoys(new, now) {
                    items.push(transact::put_over(&self.table, item)?);
                }
            }
            if transact(&self.client, items).await? {
                return Ok(found);
            }
        }
        Err(StoreError::Unavailable {
            operation: "TransactWriteItems",
            source: "others registered the same name or address at the same time".into(),
        })
    }
}
