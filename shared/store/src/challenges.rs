//! Challenges and the counters around them, in the users table.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    operation::put_item::PutItemError,
    primitives::Blob,
    types::{AttributeValue, Delete, TransactWriteItem},
};
use ratchet_core::{
    challenge::{CODE_TRIES_PER_DAY, CodeHash, Proof, Purpose},
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

/// How often a challenge is opened when others open it meanwhile.
const OPEN_TRIES: usize = 3;

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
        for _ in 0..OPEN_TRIES {
            if self.add(purpose, user_id, email, hashes, now).await?
                || self.begin(purpose, user_id, email, hashes, now).await?
            {
                return Ok(());
            }
        }
        Err(StoreError::Unavailable {
            operation: "PutItem",
            source: "others opened the same challenge at the same time".into(),
        })
    }

    /// Adds to the challenge that is open for the address. `false` if there is none with room.
    async fn add(
        &self,
        purpose: Purpose,
        user_id: UserId,
        email: &EmailAddress,
        hashes: Hashes,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let added = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(pk(purpose, user_id)))
            .update_expression("ADD tokens :tokens SET code = :code, expires_at = :expires_at")
            .condition_expression("expires_at > :now AND email = :email AND size(tokens) < :cap")
            .expression_attribute_values(":tokens", tokens(hashes))
            .expression_attribute_values(":code", binary(hashes.code.as_bytes()))
            .expression_attribute_values(":expires_at", expires_at(purpose, now))
            .expression_attribute_values(":now", number(now.seconds().get()))
            .expression_attribute_values(":email", string(email.as_str()))
            .expression_attribute_values(":cap", number(TOKENS))
            .send()
            .await;
        applied(added.map(drop))
    }

    /// Begins a challenge where [`add`](Self::add) finds none. `false` if there is one by now: its
    /// message must stay good.
    async fn begin(
        &self,
        purpose: Purpose,
        user_id: UserId,
        email: &EmailAddress,
        hashes: Hashes,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let item = HashMap::from([
            ("pk".to_owned(), string(pk(purpose, user_id))),
            ("tokens".to_owned(), tokens(hashes)),
            ("code".to_owned(), binary(hashes.code.as_bytes())),
            ("email".to_owned(), string(email.as_str())),
            ("expires_at".to_owned(), expires_at(purpose, now)),
        ]);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(
                "attribute_not_exists(pk) OR expires_at <= :now OR email <> :email \
                 OR size(tokens) >= :cap",
            )
            .expression_attribute_values(":now", number(now.seconds().get()))
            .expression_attribute_values(":email", string(email.as_str()))
            .expression_attribute_values(":cap", number(TOKENS));
        let Err(error) = put.send().await else { return Ok(true) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => Err(StoreError::new("PutItem", error)),
        }
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

    /// Counts a letter of a kind that anybody could have asked for. `false` if its address got
    /// `most` of that kind within the hour. A letter that is tried again is counted once.
    ///
    /// # Security
    /// Each kind has a counter of its own: by asking for one of them nobody keeps another from the
    /// owner of the address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_mail(
        &self,
        email: &EmailAddress,
        (kind, most): (&str, usize),
        letter: LetterId,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let hour = now.seconds().get() / HOUR;
        let id = letter.to_string();
        let counted = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(format!("mails#{kind}#{email}#{hour}")))
            .update_expression("ADD letters :letters SET expires_at = :expires_at")
            .condition_expression(
                "attribute_not_exists(letters) OR contains(letters, :letter) \
                 OR size(letters) < :cap",
            )
            .expression_attribute_values(":letters", AttributeValue::Ss(vec![id.clone()]))
            .expression_attribute_values(":letter", string(id))
            .expression_attribute_values(":cap", AttributeValue::N(most.to_string()))
            .expression_attribute_values(":expires_at", number((hour + 2) * HOUR))
            .send()
            .await;
        applied(counted.map(drop))
    }
}

fn tokens(hashes: Hashes) -> AttributeValue {
    AttributeValue::Bs(vec![Blob::new(*hashes.token.as_bytes())])
}

fn expires_at(purpose: Purpose, now: UnixMillis) -> AttributeValue {
    number(now.plus(purpose.life()).seconds().get())
}

fn pk(purpose: Purpose, user_id: UserId) -> String {
    format!("challenge#{}#{user_id}", purpose.as_str())
}

/// Uses a challenge up: a part of the transaction that changes what it protects.
///
/// # Security
/// The condition is all there is: whoever deletes the challenge has met it, and only one can. The
/// address is part of it: a message that was late proves nothing about the address that the user
/// has, or wants, by then.
pub(crate) fn meet(
    table: &str,
    purpose: Purpose,
    (user_id, email): (UserId, &str),
    proof: &Proof,
    now: UnixMillis,
) -> Result<TransactWriteItem, StoreError> {
    let delete = Delete::builder()
        .table_name(table)
        .key("pk", string(pk(purpose, user_id)))
        .expression_attribute_values(":email", string(email))
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
    transact::delete(
        delete.condition_expression(format!("expires_at > :now AND email = :email AND {met}")),
    )
}

/// Forgets a challenge, met or not, with the change that makes it pointless.
pub(crate) fn forget(
    table: &str,
    purpose: Purpose,
    user_id: UserId,
) -> Result<TransactWriteItem, StoreError> {
    transact::delete(Delete::builder().table_name(table).key("pk", string(pk(purpose, user_id))))
}
