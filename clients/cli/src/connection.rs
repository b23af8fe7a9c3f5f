//! The tables, with the operator's own AWS credentials.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use ratchet_core::user::NameKey;
use ratchet_store::{
    Attempts, Sessions, Users, key_ring::versions::KeyRingVersions, users::Profile,
};

use crate::{arguments::ConnectionArguments, failure::Failure, time::now};

/// Credentials and region as every AWS tool finds them.
async fn aws(arguments: &ConnectionArguments) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
    if let Some(profile) = &arguments.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &arguments.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &arguments.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

/// The key ring.
pub(crate) async fn key_ring(arguments: &ConnectionArguments) -> Result<KeyRingVersions, Failure> {
    let secret = &arguments.key_ring_secret;
    if secret.is_empty() {
        let options = "--key-ring-secret or RATCHET_KEY_RING_SECRET";
        return Err(Failure::Usage(format!("name the key ring with {options}")));
    }
    let client = aws_sdk_secretsmanager::Client::new(&aws(arguments).await);
    Ok(KeyRingVersions::new(client, secret))
}

/// DynamoDB.
pub(crate) async fn dynamodb(arguments: &ConnectionArguments) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&aws(arguments).await)
}

/// The names of the users table and of the tokens table.
pub(crate) fn tables(arguments: &ConnectionArguments) -> Result<(&str, &str), Failure> {
    for (table, option) in [
        (&arguments.users_table, "--users-table or RATCHET_USERS_TABLE"),
        (&arguments.tokens_table, "--tokens-table or RATCHET_TOKENS_TABLE"),
    ] {
        if table.is_empty() {
            return Err(Failure::Usage(format!("name the table with {option}")));
        }
    }
    Ok((&arguments.users_table, &arguments.tokens_table))
}

/// The longest that an access token can live, clocks that differ included. Whether the deployment
/// publishes ends is not known here; if it does not, nobody reads them.
const LONGEST_ACCESS: Duration = Duration::from_secs(86_400 + 300);

/// What the commands work on.
pub(crate) struct Connection {
    pub(crate) users: Users,
    pub(crate) attempts: Attempts,
    pub(crate) sessions: Sessions,
}

impl Connection {
    /// Finds credentials and region as every AWS tool does; calls no table yet.
    pub(crate) async fn open(arguments: &ConnectionArguments) -> Result<Self, Failure> {
        let (users_table, tokens_table) = tables(arguments)?;
        let client = dynamodb(arguments).await;
        Ok(Self {
            users: Users::new(client.clone(), users_table),
            attempts: Attempts::new(client.clone(), users_table),
            sessions: Sessions::new(client, tokens_table).publishing_ends(Some(LONGEST_ACCESS)),
        })
    }

    /// The user of that name.
    pub(crate) async fn user(&self, name: &str) -> Result<Profile, Failure> {
        let key = NameKey::parse(name).map_err(|error| Failure::Refused(error.to_string()))?;
        let profile = self.users.find_profile(&key, now()).await?;
        profile.ok_or_else(|| Failure::NotFound(format!("there is no user called {name}")))
    }
}
