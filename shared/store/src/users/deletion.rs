//! The end of an account.

use aws_sdk_dynamodb::types::Delete;
use ratchet_core::{
    challenge::Purpose, ids::UserId, letter::Letter, password::PhcHash, user::NameKey,
};

use super::{Account, Profile, Users, item};
use crate::{
    StoreError, challenges,
    item::string,
    outbox::enclose,
    transact::{self, transact},
};

/// An account as it was when its deletion was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Deletion<'a> {
    id: UserId,
    name_key: &'a NameKey,
    email: &'a str,
    proved: Option<&'a PhcHash>,
}

impl<'a> Deletion<'a> {
    /// On behalf of an administrator.
    #[must_use]
    pub fn of(account: &'a Account) -> Self {
        let (name_key, email) = (&account.name_key, account.email.as_str());
        Self { id: account.user.id, name_key, email, proved: None }
    }

    /// On behalf of whoever proved the password: it must be the account's still.
    #[must_use]
    pub fn proved(account: &'a Account) -> Self {
        Self { proved: Some(&account.password_hash), ..Self::of(account) }
    }

    /// On behalf of an operator, who may see what is no address or name any more.
    #[must_use]
    pub fn of_profile(profile: &'a Profile) -> Self {
        let Profile { user, name_key, email, .. } = profile;
        Self { id: user.id, name_key, email, proved: None }
    }
}

impl Users {
    /// Deletes a user and frees name and address, in one transaction with the letter that says so.
    /// `false` if anything of the `deletion` has changed meanwhile.
    ///
    /// Every refresh from then on finds no user, and ends the session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete(
        &self,
        deletion: Deletion<'_>,
        letter: Option<&Letter>,
    ) -> Result<bool, StoreError> {
        let Deletion { id, name_key, email, proved } = deletion;
        let unchanged = "name_key = :name_key AND email = :email";
        let gone = Delete::builder()
            .table_name(&self.table)
            .key("pk", string(item::user_pk(id)))
            .expression_attribute_values(":name_key", string(name_key.as_str()))
            .expression_attribute_values(":email", string(email));
        let gone = match proved {
            None => gone.condition_expression(unchanged),
            Some(proved) => gone
                .condition_expression(format!("{unchanged} AND password_hash = :proved"))
                .expression_attribute_values(":proved", string(proved.expose())),
        };
        let mut items = vec![
            transact::delete(gone)?,
            self.remove_pointer(item::name_pk(name_key), id)?,
            self.remove_pointer(item::email_pk(email), id)?,
        ];
        for purpose in Purpose::ALL {
            items.push(challenges::forget(&self.table, purpose, id)?);
        }
        if let Some(letter) = letter {
            items.push(enclose(&self.table, letter)?);
        }
        transact(&self.client, items).await
    }
}
