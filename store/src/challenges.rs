//! Challenges and the counters around them, in the users table.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    primitives::Blob,
    types::{AttributeValue, Delete, TransactWriteItem},
};
use ratchet::{
    challenge::{CODE_TRIES_PER_DAY, CodeHash, MAILS_PER_HOUR, Proof, Purpose},
    email::EmailAddress,
    ids::{LetterId, UserId},
    secret::SecretHash,
    time::UnixMillis,
};

use crate::{
    StoreError,
    item::{binary, number, string},
    transact,
    users::applied,
};

/// How many tokens of one challenge are good at the same time: one for each message of it.
const TOKENS: u64 = 16;

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// Challenges.
#[derive(Debug, Clone)]
pub struct Challenges {
    client: Client,
    table: String,
}

/// What a message is about to carry, hashed.
#[derive(Debug, Clone, Copy)]
pub struct Hashes {
    /// Of the token's secret.
    pub token: SecretHash,
    /// Of the code.
    pub code: CodeHash,
}

impl Challenges {
    /// The challenges in the users table called `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Opens a challenge for whoever reads the mail of `email`, or adds to the one that is open.
    /// Every token of it is good until one is used, the newest code only.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(
        &self,
        purpose: Purpose,
        user_id: UserId,
        email: &EmailAddress,
        hashes: Hashes,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let tokens = AttributeValue::Bs(vec![Blob::new(*hashes.token.as_bytes())]);
        let code = binary(hashes.code.as_bytes());
        let expires_at = number(now.plus(purpose.life()).seconds().get());
        let added = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(pk(purpose, user_id)))
            .update_expression("ADD tokens :tokens SET code = :code, expires_at = :expires_at")
            .condition_expression("expires_at > :now AND email = :email AND size(tokens) < :cap")
            .expression_attribute_values(":tokens", tokens.clone())
            .expression_attribute_values(":code", code.clone())
            .expression_attribute_values(":expires_at", expires_at.clone())
            .expression_attribute_values(":now", number(now.seconds().get()))
            .expression_attribute_values(":email", string(email.as_str()))
            .expression_attribute_values(":cap", number(TOKENS))
            .send()
            .await;
        if applied(added.map(drop))? {
            return Ok(());
        }
        let item = HashMap::from([
            ("pk".to_owned(), string(pk(purpose, user_id))),
            ("tokens".to_owned(), tokens),
            ("code".to_owned(), code),
            ("email".to_owned(), string(email.as_str())),
            ("expires_at".to_owned(), expires_at),
        ]);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map_err(|error| StoreError::new("PutItem", error))?;
        Ok(())
    }

    /// Counts a code that somebody is about to try for an address, known or not. `false` if there
    /// have been too many of them today.
    ///
    /// # Errors
    /// [`StoreError`]; the code must not be tried then.
    pub async fn count_try(
        &self,
        purpose: Purpose,
        email: &EmailAddress,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let day = now.seconds().get() / DAY;
        let counted = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(format!("tries#{}#{email}#{day}", purpose.as_str())))
            .update_expression("ADD tries :one SET expires_at = :expires_at")
            .condition_expression("attribute_not_exists(tries) OR tries < :cap")
            .expression_attribute_values(":one", number(1_u64))
            .expression_attribute_values(":cap", number(CODE_TRIES_PER_DAY))
            .expression_attribute_values(":expires_at", number((day + 2) * DAY))
            .send()
            .await;
        applied(counted.map(drop))
    }

    /// Counts a letter that anybody could have asked for. `false` if its address got too many
    /// within the hour. A letter that is tried again is counted once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_mail(
        &self,
        email: &EmailAddress,
        letter: LetterId,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let hour = now.seconds().get() / HOUR;
        let id = letter.to_string();
        let counted = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(format!("mails#{email}#{hour}")))
            .update_expression("ADD letters :letters SET expires_at = :expires_at")
            .condition_expression(
                "attribute_not_exists(letters) OR contains(letters, :letter) \
                 OR size(letters) < :cap",
            )
            .expression_attribute_values(":letters", AttributeValue::Ss(vec![id.clone()]))
            .expression_attribute_values(":letter", string(id))
            .expression_attribute_values(":cap", AttributeValue::N(MAILS_PER_HOUR.to_string()))
            .expression_attribute_values(":expires_at", number((hour + 2) * HOUR))
            .send()
            .await;
        applied(counted.map(drop))
    }
}

fn pk(purpose: Purpose, user_id: UserId) -> String {
    format!("challenge#{}#{user_id}", purpose.as_str())
}

/// Uses a challenge up: a part of the transaction that changes what it protects.
///
/// # Security
/// The condition is all there is: whoever deletes the challenge has met it, and only one can.
pub(crate) fn meet(
    table: &str,
    purpose: Purpose,
    user_id: UserId,
    proof: &Proof,
    now: UnixMillis,
) -> Result<TransactWriteItem, StoreError> {
    let delete = Delete::builder()
        .table_name(table)
        .key("pk", string(pk(purpose, user_id)))
        .expression_attribute_values(":now", number(now.seconds().get()));
    let (met, delete) = match proof {
        Proof::Token(hash) => (
            "contains(tokens, :token)".to_owned(),
            delete.expression_attribute_values(":token", binary(hash.as_bytes())),
        ),
        Proof::Code(hashes) => {
            let names: Vec<_> = (0..hashes.len()).map(|number| format!(":code{number}")).collect();
            let delete = names.iter().zip(hashes).fold(delete, |delete, (name, hash)| {
                delete.expression_attribute_values(name, binary(hash.as_bytes()))
            });
            (format!("code IN ({})", names.join(", ")), delete)
        }
    };
    transact::delete(delete.condition_expression(format!("expires_at > :now AND {met}")))
}

/// Forgets a challenge, met or not, with the change that makes it pointless.
pub(crate) fn forget(
    table: &str,
    purpose: Purpose,
    user_id: UserId,
) -> Result<TransactWriteItem, StoreError> {
    transact::delete(Delete::builder().table_name(table).key("pk", string(pk(purpose, user_id))))
}
