//! Deleting an account.

use ratchet_core::{
    challenge::Purpose, ids::UserId, letter::Letter, password::PhcHash, user::NameKey,
};

use super::{Account, Profile, Users, item};
use crate::{
    StoreError, challenges,
    conditions::{has_password, is_of_round},
    expression::{Condition, equals},
    item::string,
    outbox::enclose,
    transact::transact_and_check,
    write::{Write, pk},
};

/// An account as it was when its deletion was requested.
#[derive(Debug, Clone, Copy)]
pub struct Deletion<'a> {
    id: UserId,
    name_key: &'a NameKey,
    email: &'a str,
    round: Option<UserId>,
    proved: Option<&'a PhcHash>,
}

impl<'a> Deletion<'a> {
    /// On behalf of an administrator.
    #[must_use]
    pub fn of(account: &'a Account) -> Self {
        let (name_key, email) = (&account.name_key, account.email.as_str());
        Self { id: account.user.id, name_key, email, round: account.round, proved: None }
    }

    /// On behalf of somebody who proved the password: it must still be the account's.
    #[must_use]
    pub fn proved(account: &'a Account) -> Self {
        Self { proved: Some(&account.password_hash), ..Self::of(account) }
    }

    /// On behalf of an operator. Name and address need not be valid.
    #[must_use]
    pub fn of_profile(profile: &'a Profile) -> Self {
        let Profile { user, name_key, email, round, .. } = profile;
        Self { id: user.id, name_key, email, round: *round, proved: None }
    }
}

/// The user still has the name and address that are freed.
fn is_called(name_key: &NameKey, email: &str) -> [Condition; 2] {
    [equals("name_key", string(name_key.as_str())), equals("email", string(email))]
}

impl Users {
    /// Deletes a user and frees name and address, in one transaction with the letter that says so.
    /// Returns `false` if anything in `deletion` has changed meanwhile.
    ///
    /// Every later refresh finds no user and ends its session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete(
        &self,
        deletion: Deletion<'_>,
        letter: Option<&Letter>,
    ) -> Result<bool, StoreError> {
        let Deletion { id, name_key, email, round, proved } = deletion;
        let [name_is_same, email_is_same] = is_called(name_key, email);
        let user = Write::delete(&self.table, pk(item::user_pk(id)));
        let user = user.when(name_is_same).when(email_is_same);
        let user = match proved {
            None => user,
            Some(proved) => user.when(has_password(proved)),
        };
        // A waiting registration has no address to free, unless it is confirmed meanwhile.
        let (user, address) = match round {
            Some(round) => (user.when(is_of_round(round)), None),
            None => (user, Some(self.remove_pointer(item::email_pk(email), id))),
        };
        let mut writes = vec![user, self.remove_pointer(item::name_pk(name_key), id)];
        writes.extend(address);
        writes.extend(self.remove_factor(id));
        writes.push(self.delete_passkeys(id));
        writes.extend(Purpose::ALL.map(|purpose| challenges::delete(&self.table, purpose, id)));
        if let Some(letter) = letter {
            writes.push(enclose(&self.table, letter));
        }
        let is_gone = async || Ok(self.find(id).await?.is_none());
        transact_and_check(&self.client, writes, is_gone).await
    }
}
