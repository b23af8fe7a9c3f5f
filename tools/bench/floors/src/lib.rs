//! The least that a function can do, beside which Ratchet's functions are measured: nothing; one
//! conditional `UpdateItem`; that update and a `GetItem` at the same time; the same with the
//! update that a rotation is, on an item of a session's size; and that after the calls with which
//! `refresh` starts.
//!
//! They read the runtime's events, use the SDK and run on tokio exactly as the functions do, and
//! leave out everything else: no router, no log, no cryptography.

mod chain;

use std::env;

use aws_sdk_dynamodb::{
    Client, operation::get_item::GetItemOutput, operation::update_item::UpdateItemOutput,
    primitives::Blob, types::AttributeValue,
};
use lambda_http::Error;
use ratchet_store::{Sessions, aws::AwsSettings};

pub use chain::{Chain, SESSIONS, session};

/// The variable that names the tokens table, as for the functions.
pub const TOKENS_TABLE: &str = "RATCHET_TOKENS_TABLE";
/// The variable that names the users table, as for the functions.
pub const USERS_TABLE: &str = "RATCHET_USERS_TABLE";
/// The variable that names the secret with the key ring, as for the functions.
pub const KEY_RING_SECRET: &str = "RATCHET_KEY_RING_SECRET";
/// Both halves of the key of the session that is updated; the driver puts it there.
pub const SESSION_KEY: [u8; 16] = [0xf1; 16];
/// The key of the user that is read; the driver puts it there.
pub const USER_KEY: &str = "user#floor";

/// The two tables, through the client that the functions use.
#[derive(Debug)]
pub struct Tables {
    client: Client,
    tokens: String,
    users: String,
}

impl Tables {
    /// Reads the environment as the functions do.
    ///
    /// # Errors
    /// If a variable is missing.
    pub async fn load() -> Result<Self, Error> {
        Self::new(&AwsSettings::load().await?)
    }

    /// The same, and the session to rotate, with the calls that `refresh` makes when it starts: the
    /// secret and two reads, at the same time.
    ///
    /// # Errors
    /// If a variable is missing, or a call fails.
    pub async fn load_with_secret() -> Result<(Self, Chain), Error> {
        let aws = AwsSettings::load().await?;
        let tables = Self::new(&aws)?;
        let secret = aws.secrets_manager().get_secret_value().secret_id(env::var(KEY_RING_SECRET)?);
        let secret = async { Ok(secret.send().await?) };
        let (_, _, chain) =
            tokio::try_join!(secret, tables.get(), Chain::find(&tables, SESSIONS[1]))?;
        Ok((tables, chain))
    }

    fn new(aws: &AwsSettings) -> Result<Self, Error> {
        let (tokens, users) = (env::var(TOKENS_TABLE)?, env::var(USERS_TABLE)?);
        Ok(Self { client: aws.dynamodb(), tokens, users })
    }

    pub(crate) fn sessions(&self) -> Sessions {
        Sessions::new(self.client.clone(), &self.tokens)
    }

    /// Exactly one conditional `UpdateItem`.
    ///
    /// # Errors
    /// If DynamoDB refuses.
    pub async fn update(&self) -> Result<UpdateItemOutput, Error> {
        let key = || AttributeValue::B(Blob::new(SESSION_KEY));
        let update = self.client.update_item().table_name(&self.tokens);
        let update = update
            .key("user_id", key())
            .key("session_id", key())
            .update_expression("SET generation = generation + :one")
            .condition_expression("attribute_not_exists(revoked_at)")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        Ok(update.send().await?)
    }

    /// Exactly one consistent `GetItem`.
    ///
    /// # Errors
    /// If DynamoDB refuses.
    pub async fn get(&self) -> Result<GetItemOutput, Error> {
        let get = self.client.get_item().table_name(&self.users).consistent_read(true);
        Ok(get.key("pk", AttributeValue::S(USER_KEY.to_owned())).send().await?)
    }
}
