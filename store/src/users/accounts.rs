//! What changes an account: registration, address, password, status, deletion.
//!
//! Whatever ends sessions does so in the same write as the change that is the reason.

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem, Update, builders::UpdateBuilder};
use ratchet::{
    challenge::{Proof, Purpose},
    email::EmailAddress,
    ids::{SessionId, UserId},
    letter::{Letter, Notice},
    password::PhcHash,
    time::UnixMillis,
    user::{NameKey, User, UserStatus},
};

use super::{NewUser, Users, applied, item};
use crate::{
    StoreError, challenges,
    item::{Reader, number, string},
    outbox::enclose,
    transact::{self, transact},
};

/// A cut in the same write as another change. Cuts are numbered upwards
/// ([`SessionsCut`](ratchet::user::SessionsCut)), and here the number needs no read.
const CUT: &str = "sessions_valid_after = if_not_exists(sessions_valid_after, :now) + :one";

/// How often a registration looks again when others register meanwhile.
const REGISTRATION_TRIES: usize = 3;

/// A user with what only the user and administrators see.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user.
    pub user: User,
    /// The name in the form that is unique.
    pub name_key: NameKey,
    /// The address.
    pub email: EmailAddress,
    /// The address that is to replace it once it is confirmed.
    pub pending_email: Option<EmailAddress>,
    /// What proves the password.
    pub password_hash: PhcHash,
}

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
    /// not. `letter` writes them.
    ///
    /// # Security
    /// Whether or not name and address are taken: two reads, and one transaction over the same
    /// four keys. The time that it takes does not tell.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn register(
        &self,
        new: &NewUser,
        letter: impl Fn(Registration) -> Letter,
    ) -> Result<Registration, StoreError> {
        let [user, name, email] = item::from_new_user(new);
        let keys =
            [item::user_pk(new.user.id), item::name_pk(&new.name_key), item::email_pk(&new.email)];
        for _ in 0..REGISTRATION_TRIES {
            let [user_key, name_key, email_key] = keys.clone();
            let (by_name, by_email) =
                tokio::join!(self.get(name_key.clone()), self.get(email_key.clone()));
            let (name_free, email_free) = (by_name?.is_none(), by_email?.is_none());
            let found = match (email_free, name_free) {
                (true, true) => Registration::Registered,
                (false, _) => Registration::AddressTaken,
                (true, false) => Registration::NameTaken,
            };
            let mut items = vec![enclose(&self.table, &letter(found))?];
            if found == Registration::Registered {
                for item in [user.clone(), name.clone(), email.clone()] {
                    items.push(transact::put_new(&self.table, item)?);
                }
            } else {
                let present = |free| {
                    if free { "attribute_not_exists(pk)" } else { "attribute_exists(pk)" }
                };
                for (key, free) in
                    [(user_key, true), (name_key, name_free), (email_key, email_free)]
                {
                    items.push(transact::check(&self.table, &key, present(free))?);
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

    /// The user with that id and all that belongs to the account, read consistently.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_account(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        self.get(item::user_pk(id)).await?.as_ref().map(item::to_account).transpose()
    }

    /// Whose address it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_by_email(&self, email: &EmailAddress) -> Result<Option<UserId>, StoreError> {
        let pointer = self.get(item::email_pk(email.as_str())).await?;
        pointer.as_ref().map(|pointer| item::user_id(&Reader(pointer))).transpose()
    }

    /// Confirms the address that somebody registered with. `false` if the proof is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn confirm_email(
        &self,
        id: UserId,
        proof: &Proof,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let confirmed = self
            .change(id)
            .update_expression("SET email_confirmed = :true")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":true", item::truth());
        let items = vec![
            challenges::meet(&self.table, Purpose::ConfirmEmail, id, proof, now)?,
            transact::update(confirmed)?,
        ];
        transact(&self.client, items).await
    }

    /// Sets a new password for whoever reads the user's mail, and ends all sessions. The address is
    /// confirmed by that too. `false` if the proof is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reset_password(
        &self,
        id: UserId,
        proof: &Proof,
        new: &PhcHash,
        now: UnixMillis,
        letter: &Letter,
    ) -> Result<bool, StoreError> {
        let changed = self
            .change(id)
            .update_expression(format!(
                "SET password_hash = :new, email_confirmed = :true, {CUT} REMOVE spared_session"
            ))
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":new", string(new.expose()))
            .expression_attribute_values(":true", item::truth())
            .expression_attribute_values(":now", number(now.get()))
            .expression_attribute_values(":one", number(1_u64));
        let items = vec![
            challenges::meet(&self.table, Purpose::ResetPassword, id, proof, now)?,
            transact::update(changed)?,
            challenges::forget(&self.table, Purpose::ConfirmEmail, id)?,
            enclose(&self.table, letter)?,
        ];
        transact(&self.client, items).await
    }

    /// Replaces a password by another one and ends all sessions but the spared one. `false` if the
    /// password has changed meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_password(
        &self,
        id: UserId,
        old: &PhcHash,
        new: &PhcHash,
        spared: Option<SessionId>,
        letter: &Letter,
    ) -> Result<bool, StoreError> {
        let set = format!("SET password_hash = :new, {CUT}");
        let changed = self
            .change(id)
            .condition_expression("password_hash = :old")
            .expression_attribute_values(":old", string(old.expose()))
            .expression_attribute_values(":new", string(new.expose()))
            .expression_attribute_values(":now", number(letter.written_at.get()))
            .expression_attribute_values(":one", number(1_u64));
        let changed = match spared {
            None => changed.update_expression(format!("{set} REMOVE spared_session")),
            Some(spared) => changed
                .update_expression(format!("{set}, spared_session = :spared"))
                .expression_attribute_values(":spared", string(spared.to_string())),
        };
        let items = vec![
            transact::update(changed)?,
            challenges::forget(&self.table, Purpose::ResetPassword, id)?,
            enclose(&self.table, letter)?,
        ];
        transact(&self.client, items).await
    }

    /// Remembers the address that is to replace the user's once it is confirmed. `false` if there
    /// is no such user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ask_email_change(
        &self,
        id: UserId,
        pending: &EmailAddress,
        letters: [&Letter; 2],
    ) -> Result<bool, StoreError> {
        let asked = self
            .change(id)
            .update_expression("SET pending_email = :pending")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":pending", string(pending.as_str()));
        let mut items = vec![
            transact::update(asked)?,
            challenges::forget(&self.table, Purpose::ChangeEmail, id)?,
        ];
        for letter in letters {
            items.push(enclose(&self.table, letter)?);
        }
        transact(&self.client, items).await
    }

    /// Gives the user the address that was to be confirmed. `false` if the proof is none, the
    /// address is somebody's by now, or there is nothing to confirm (any more).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn confirm_email_change(
        &self,
        account: &Account,
        proof: &Proof,
        now: UnixMillis,
        letter: &Letter,
    ) -> Result<bool, StoreError> {
        let Some(pending) = &account.pending_email else { return Ok(false) };
        let id = account.user.id;
        let changed = self
            .change(id)
            .update_expression("SET email = :new, email_confirmed = :true REMOVE pending_email")
            .condition_expression("email = :old AND pending_email = :new")
            .expression_attribute_values(":old", string(account.email.as_str()))
            .expression_attribute_values(":new", string(pending.as_str()))
            .expression_attribute_values(":true", item::truth());
        let items = vec![
            challenges::meet(&self.table, Purpose::ChangeEmail, id, proof, now)?,
            transact::update(changed)?,
            self.remove_pointer(item::email_pk(account.email.as_str()), id)?,
            transact::put_new(&self.table, item::pointer(item::email_pk(pending.as_str()), id))?,
            // What was sent to the former address is worth nothing from here on.
            challenges::forget(&self.table, Purpose::ResetPassword, id)?,
            challenges::forget(&self.table, Purpose::ConfirmEmail, id)?,
            enclose(&self.table, letter)?,
        ];
        transact(&self.client, items).await
    }

    /// Deletes a user and frees name and address. `false` if either has changed meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete(&self, account: &Account, letter: &Letter) -> Result<bool, StoreError> {
        let id = account.user.id;
        let gone = Delete::builder()
            .table_name(&self.table)
            .key("pk", string(item::user_pk(id)))
            .condition_expression("name_key = :name_key AND email = :email")
            .expression_attribute_values(":name_key", string(account.name_key.as_str()))
            .expression_attribute_values(":email", string(account.email.as_str()));
        let mut items = vec![
            transact::delete(gone)?,
            self.remove_pointer(item::name_pk(&account.name_key), id)?,
            self.remove_pointer(item::email_pk(account.email.as_str()), id)?,
            enclose(&self.table, letter)?,
        ];
        for purpose in Purpose::ALL {
            items.push(challenges::forget(&self.table, purpose, id)?);
        }
        transact(&self.client, items).await
    }

    /// Sets what an administrator sets: the status, the roles, or both. Disabling ends all
    /// sessions in the same write. `false` if there is no such user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn administer(
        &self,
        id: UserId,
        status: Option<UserStatus>,
        roles: Option<&[String]>,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let update = self.client.update_item().table_name(&self.table);
        let mut update = update
            .key("pk", string(item::user_pk(id)))
            .condition_expression("attribute_exists(pk)");
        let (mut sets, mut remove) = (Vec::new(), "");
        if let Some(status) = status {
            sets.push("#status = :status");
            update = update
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", string(item::status_name(status)));
        }
        if status == Some(UserStatus::Disabled) {
            sets.push(CUT);
            remove = " REMOVE spared_session";
            update = update
                .expression_attribute_values(":now", number(now.get()))
                .expression_attribute_values(":one", number(1_u64));
        }
        if let Some(roles) = roles {
            sets.push("#roles = :roles");
            update = update
                .expression_attribute_names("#roles", "roles")
                .expression_attribute_values(":roles", item::roles_value(roles));
        }
        if sets.is_empty() {
            return Ok(self.find(id).await?.is_some());
        }
        let update = update.update_expression(format!("SET {}{remove}", sets.join(", ")));
        applied(update.send().await.map(drop))
    }

    fn change(&self, id: UserId) -> UpdateBuilder {
        Update::builder().table_name(&self.table).key("pk", string(item::user_pk(id)))
    }

    /// Frees a name or an address, which must be this user's.
    fn remove_pointer(&self, pk: String, id: UserId) -> Result<TransactWriteItem, StoreError> {
        transact::delete(
            Delete::builder()
                .table_name(&self.table)
                .key("pk", string(pk))
                .condition_expression("user_id = :user_id")
                .expression_attribute_values(":user_id", string(id.to_string())),
        )
    }
}

impl Account {
    /// What tells the user's address about the account.
    #[must_use]
    pub fn told(&self, notice: fn(EmailAddress, String) -> Notice) -> Notice {
        notice(self.email.clone(), self.user.name.clone())
    }
}
