//! The outbox: letters that wait to be sent, in the users table.
//!
//! A letter in the outbox has not been sent. The table's stream invokes the mailer for each new
//! one. TTL removes letters that could not be sent.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use ratchet_core::{
    email::EmailAddress,
    ids::{LetterId, UserId},
    letter::{Letter, Notice},
    time::UnixMillis,
    user::NameKey,
};

use crate::{
    StoreError,
    conditions::EXPIRES_AT,
    expression::{Changes, exists},
    item::{Item, Reader, binary_set, number, string},
    write::{Write, pk},
};

/// The prefix of the outbox's keys; the event source mapping filters by it.
pub const OUTBOX_PREFIX: &str = "outbox#";

/// The attribute with the users whose messages have been sent.
const SENT: &str = "sent";

/// The outbox.
#[derive(Debug, Clone)]
pub struct Outbox {
    client: Client,
    table: String,
}

impl Outbox {
    /// The outbox in the users table called `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Writes a letter that announces no change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn post(&self, letter: &Letter) -> Result<(), StoreError> {
        Write::put(&self.table, to_item(letter)).send(&self.client).await.map(drop)
    }

    /// The letter with that id, unless it has been sent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, id: LetterId) -> Result<Option<Letter>, StoreError> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.set_key(Some(pk(key(id))));
        let output = get.send().await.map_err(|error| StoreError::new("GetItem", error))?;
        output.item.as_ref().map(|item| from_item(id, item)).transpose()
    }

    /// Notes that a letter's message about this user has been sent, unless the letter is gone. Noting it
    /// again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sent(&self, id: LetterId, user_id: UserId) -> Result<(), StoreError> {
        let changes =
            Changes::new().add(SENT, binary_set([user_id.as_bytes().as_slice()].into_iter()));
        let update = Write::update(&self.table, pk(key(id)), changes).when(exists("pk"));
        update.send(&self.client).await.map(drop)
    }

    /// Removes a letter that has been sent, or that has no recipient.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn done(&self, id: LetterId) -> Result<(), StoreError> {
        Write::delete(&self.table, pk(key(id))).send(&self.client).await.map(drop)
    }
}

/// The letter, as part of the transaction of the change that it announces.
pub(crate) fn enclose(table: &str, letter: &Letter) -> Write {
    Write::put(table, to_item(letter))
}

fn key(id: LetterId) -> String {
    format!("{OUTBOX_PREFIX}{id}")
}

fn to_item(letter: &Letter) -> Item {
    let mut item = HashMap::from([
        ("pk".to_owned(), string(key(letter.id))),
        ("kind".to_owned(), string(letter.notice.kind())),
        ("written_at".to_owned(), number(letter.written_at.get())),
        (EXPIRES_AT.to_owned(), number(letter.written_at.plus(Letter::LIFE).seconds().get())),
    ]);
    let mut set = |name: &str, value: String| item.insert(name.to_owned(), string(value));
    match &letter.notice {
        Notice::Registered { user_id }
        | Notice::PasswordChanged { user_id }
        | Notice::EmailChangeAsked { user_id }
        | Notice::SecondFactorEnabled { user_id }
        | Notice::SecondFactorDisabled { user_id }
        | Notice::SecondFactorReset { user_id }
        | Notice::RecoveryCodeUsed { user_id }
        | Notice::RecoveryCodesReplaced { user_id }
        | Notice::PasskeyAdded { user_id }
        | Notice::PasskeyRemoved { user_id }
        | Notice::PasskeysReset { user_id } => {
            set("user_id", user_id.to_string());
        }
        Notice::ConfirmationAsked { email, name } => {
            set("email", email.to_string());
            if let Some(name) = name {
                set("name", name.to_string());
            }
        }
        Notice::AddressTaken { email }
        | Notice::ResetAsked { email }
        | Notice::SignInAsked { email } => {
            set("email", email.to_string());
        }
        Notice::NameTaken { email, name } => {
            set("email", email.to_string());
            set("name", name.clone());
        }
        Notice::EmailChangeTold { email, name }
        | Notice::EmailChanged { email, name }
        | Notice::Deleted { email, name, .. } => {
            if let Notice::Deleted { user_id, .. } = &letter.notice {
                set("user_id", user_id.to_string());
            }
            set("email", email.to_string());
            if let Some(name) = name {
                set("name", name.clone());
            }
        }
    }
    item
}

fn from_item(id: LetterId, item: &Item) -> Result<Letter, StoreError> {
    let item = Reader(item);
    let user_id = || -> Result<UserId, StoreError> {
        item.string("user_id")?.parse().map_err(|_| StoreError::MalformedItem("user_id"))
    };
    let email = || {
        EmailAddress::parse(item.string("email")?).map_err(|_| StoreError::MalformedItem("email"))
    };
    let name = || Ok::<_, StoreError>(item.optional_string("name")?.map(str::to_owned));
    let notice = match item.string("kind")? {
        "registered" => Notice::Registered { user_id: user_id()? },
        "address_taken" => Notice::AddressTaken { email: email()? },
        "name_taken" => {
            Notice::NameTaken { email: email()?, name: item.string("name")?.to_owned() }
        }
        "confirmation_asked" => {
            Notice::ConfirmationAsked { email: email()?, name: name()?.map(NameKey::stored) }
        }
        "reset_asked" => Notice::ResetAsked { email: email()? },
        "sign_in_asked" => Notice::SignInAsked { email: email()? },
        "password_changed" => Notice::PasswordChanged { user_id: user_id()? },
        "second_factor_enabled" => Notice::SecondFactorEnabled { user_id: user_id()? },
        "second_factor_disabled" => Notice::SecondFactorDisabled { user_id: user_id()? },
        "second_factor_reset" => Notice::SecondFactorReset { user_id: user_id()? },
        "recovery_code_used" => Notice::RecoveryCodeUsed { user_id: user_id()? },
        "recovery_codes_replaced" => Notice::RecoveryCodesReplaced { user_id: user_id()? },
        "passkey_added" => Notice::PasskeyAdded { user_id: user_id()? },
        "passkey_removed" => Notice::PasskeyRemoved { user_id: user_id()? },
        "passkeys_reset" => Notice::PasskeysReset { user_id: user_id()? },
        "email_change_asked" => Notice::EmailChangeAsked { user_id: user_id()? },
        "email_change_told" => Notice::EmailChangeTold { email: email()?, name: name()? },
        "email_changed" => Notice::EmailChanged { email: email()?, name: name()? },
        "deleted" => Notice::Deleted { user_id: user_id()?, email: email()?, name: name()? },
        _ => return Err(StoreError::MalformedItem("kind")),
    };
    let sent = item.optional_binary_set(SENT)?.into_iter().map(UserId::from_bytes).collect();
    Ok(Letter { id, written_at: UnixMillis::new(item.number("written_at")?), notice, sent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_notice() -> [Notice; 21] {
        let user_id = UserId::from_bytes([7; 16]);
        let email = EmailAddress::parse("ada@example.com").unwrap();
        let name = "Ada".to_owned();
        [
            Notice::Registered { user_id },
            Notice::AddressTaken { email: email.clone() },
            Notice::NameTaken { email: email.clone(), name: name.clone() },
            Notice::ConfirmationAsked { email: email.clone(), name: None },
            Notice::ConfirmationAsked {
                email: email.clone(),
                name: Some(NameKey::stored("ada".to_owned())),
            },
            Notice::ResetAsked { email: email.clone() },
            Notice::SignInAsked { email: email.clone() },
            Notice::PasswordChanged { user_id },
            Notice::EmailChangeAsked { user_id },
            Notice::SecondFactorEnabled { user_id },
            Notice::SecondFactorDisabled { user_id },
            Notice::SecondFactorReset { user_id },
            Notice::RecoveryCodeUsed { user_id },
            Notice::RecoveryCodesReplaced { user_id },
            Notice::PasskeyAdded { user_id },
            Notice::PasskeyRemoved { user_id },
            Notice::PasskeysReset { user_id },
            Notice::EmailChangeTold { email: email.clone(), name: Some(name.clone()) },
            Notice::EmailChanged { email: email.clone(), name: None },
            Notice::Deleted { user_id, email: email.clone(), name: Some(name) },
            Notice::Deleted { user_id, email, name: None },
        ]
    }

    #[test]
    fn every_letter_reads_back_as_written() {
        for notice in every_notice() {
            let letter = Letter::new(notice, UnixMillis::new(1_780_000_000_000), &[1; 10]);
            let item = to_item(&letter);
            assert_eq!(from_item(letter.id, &item).unwrap(), letter);
            let mut noted = item.clone();
            noted.insert(SENT.to_owned(), binary_set([[7; 16].as_slice()].into_iter()));
            let sent = vec![UserId::from_bytes([7; 16])];
            assert_eq!(from_item(letter.id, &noted).unwrap(), Letter { sent, ..letter });
            assert!(!item.contains_key("listing"), "letters are not listed among users");
            assert_eq!(item["expires_at"], number(1_780_604_800_u64));
        }
    }
}
