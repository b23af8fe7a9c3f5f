//! What changes an account: address, password, status.
//!
//! Whatever ends sessions does so in the same write as the change that is the reason.

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem, Update, builders::UpdateBuilder};
use ratchet_core::{
    challenge::{Proof, Purpose},
    email::EmailAddress,
    ids::{SessionId, UserId},
    letter::{Letter, Notice},
    password::PhcHash,
    time::{UnixMillis, UnixSeconds},
    user::{NameKey, User, UserStatus},
};

use super::{Users, applied, item};
use crate::{
    StoreError, challenges,
    item::{Reader, number, string},
    outbox::enclose,
    transact::{self, transact},
};

/// A cut in the same write as another change. Cuts are numbered upwards
/// ([`SessionsCut`](ratchet_core::user::SessionsCut)), and here the number needs no read.
const CUT: &str = "sessions_valid_after = if_not_exists(sessions_valid_after, :now) + :one";

/// What an account has when its address is confirmed: from then on it is listed.
const CONFIRMED: &str = "email_confirmed = :true, listing = :listing";

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
    /// When it is over, unless the address is confirmed before.
    pub expires_at: Option<UnixSeconds>,
}

impl Users {
    /// The user with that id and all that belongs to the account, read consistently.
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

    /// Whose address it is.
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

    /// Confirms the address that somebody registered with. `false` if the proof is none, or the
    /// registration has expired.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn confirm_email(
        &self,
        id: UserId,
        proof: &Proof,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let account = self.find_account(id, now).await?;
        let email = account.as_ref().map_or("", |account| account.email.as_str());
        let confirmed = self
            .change(id)
            .update_expression(format!("SET {CONFIRMED} REMOVE expires_at"))
            .condition_expression(format!("({}) AND email = :email", transact::TAKEN))
            .expression_attribute_values(":email", string(email))
            .expression_attribute_values(":second", number(now.seconds().get()))
            .expression_attribute_values(":true", item::truth())
            .expression_attribute_values(":listing", string(item::LISTING));
        let mut items = vec![
            challenges::meet(&self.table, Purpose::ConfirmEmail, (id, email), proof, now)?,
            transact::update(confirmed)?,
        ];
        // The same calls for an address that nobody has: its challenge is not met.
        if let Some(account) = account {
            let email = item::email_pk(account.email.as_str());
            items.extend(self.keep(&account, [item::name_pk(&account.name_key), email])?);
        }
        transact(&self.client, items).await
    }

    /// Sets a new password for whoever reads the user's mail, and ends all sessions. The address is
    /// confirmed by that too. Returns whose it is; `None` if the proof is none.
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
    ) -> Result<Option<Account>, StoreError> {
        let account = self.find_account(id, now).await?;
        let email = account.as_ref().map_or("", |account| account.email.as_str());
        let changed = self
            .change(id)
            .update_expression(format!(
                "SET password_hash = :new, {CONFIRMED}, {CUT} \
                 REMOVE spared_session, expires_at, pending_email"
            ))
            .condition_expression(format!("({}) AND email = :email", transact::TAKEN))
            .expression_attribute_values(":email", string(email))
            .expression_attribute_values(":second", number(now.seconds().get()))
            .expression_attribute_values(":new", string(new.expose()))
            .expression_attribute_values(":true", item::truth())
            .expression_attribute_values(":listing", string(item::LISTING))
            .expression_attribute_values(":now", number(now.get()))
            .expression_attribute_values(":one", number(1_u64));
        let mut items = vec![
            challenges::meet(&self.table, Purpose::ResetPassword, (id, email), proof, now)?,
            transact::update(changed)?,
            challenges::forget(&self.table, Purpose::ConfirmEmail, id)?,
            challenges::forget(&self.table, Purpose::ChangeEmail, id)?,
            enclose(&self.table, letter)?,
        ];
        if let Some(account) = &account {
            let email = item::email_pk(account.email.as_str());
            items.extend(self.keep(account, [item::name_pk(&account.name_key), email])?);
        }
        let written = transact(&self.client, items).await?;
        Ok(account.filter(|_| written))
    }

    /// Replaces a password by another one and ends all sessions but the spared one. `false` if the
    /// password has changed meanwhile.
    ///
    /// # Security
    /// An address that was asked for with the old password is forgotten: whoever asked may be why
    /// the password changes. So it is by [`reset_password`](Self::reset_password).
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
            None => {
                changed.update_expression(format!("{set} REMOVE pending_email, spared_session"))
            }
            Some(spared) => changed
                .update_expression(format!("{set}, spared_session = :spared REMOVE pending_email"))
                .expression_attribute_values(":spared", string(spared.to_string())),
        };
        let items = vec![
            transact::update(changed)?,
            challenges::forget(&self.table, Purpose::ResetPassword, id)?,
            challenges::forget(&self.table, Purpose::ChangeEmail, id)?,
            enclose(&self.table, letter)?,
        ];
        transact(&self.client, items).await
    }

    /// Remembers the address that is to replace the user's once it is confirmed. `false` if the
    /// password that was proved is the user's no more, or the user may not sign in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ask_email_change(
        &self,
        id: UserId,
        proved: &PhcHash,
        pending: &EmailAddress,
        letters: [&Letter; 2],
    ) -> Result<bool, StoreError> {
        let asked = self
            .change(id)
            .update_expression("SET pending_email = :pending")
            .condition_expression("password_hash = :proved AND #status = :active")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":proved", string(proved.expose()))
            .expression_attribute_values(":active", string(item::status_name(UserStatus::Active)))
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
            .update_expression(format!(
                "SET email = :new, {CONFIRMED} REMOVE pending_email, expires_at"
            ))
            .condition_expression("email = :old AND pending_email = :new")
            .expression_attribute_values(":old", string(account.email.as_str()))
            .expression_attribute_values(":new", string(pending.as_str()))
            .expression_attribute_values(":true", item::truth())
            .expression_attribute_values(":listing", string(item::LISTING));
        let pointer = item::pointer(item::email_pk(pending.as_str()), id);
        let mut items = vec![
            challenges::meet(
                &self.table,
                Purpose::ChangeEmail,
                (id, pending.as_str()),
                proof,
                now,
            )?,
            transact::update(changed)?,
            self.remove_pointer(item::email_pk(account.email.as_str()), id)?,
            transact::put_free(&self.table, pointer, now)?,
            // What was sent to the former address is worth nothing from here on.
            challenges::forget(&self.table, Purpose::ResetPassword, id)?,
            challenges::forget(&self.table, Purpose::ConfirmEmail, id)?,
            enclose(&self.table, letter)?,
        ];
        items.extend(self.keep(account, [item::name_pk(&account.name_key)])?);
        transact(&self.client, items).await
    }

    /// Sets what an administrator sets: the status, the roles, or both. Disabling ends all sessions
    /// and forgets the address that was asked for, in the same write. `false` if there is no such
    /// user.
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
            remove = " REMOVE spared_session, pending_email";
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

    /// Takes the expiry away from names and addresses of an account that is confirmed, if they have
    /// one. They must be this user's still: whoever registered anew after an expiry has them.
    fn keep<const N: usize>(
        &self,
        account: &Account,
        pointers: [String; N],
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        if account.expires_at.is_none() {
            return Ok(Vec::new());
        }
        let kept = pointers.map(|pk| {
            transact::update(
                Update::builder()
                    .table_name(&self.table)
                    .key("pk", string(pk))
                    .update_expression("REMOVE expires_at")
                    .condition_expression("user_id = :user_id")
                    .expression_attribute_values(":user_id", string(account.user.id.to_string())),
            )
        });
        kept.into_iter().collect()
    }

    /// Frees a name or an address, which must be this user's.
    pub(super) fn remove_pointer(
        &self,
        pk: String,
        id: UserId,
    ) -> Result<TransactWriteItem, StoreError> {
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
