//! The tables and the key ring, with the operator's own AWS credentials.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use ratchet_core::{email::EmailAddress, user::NameKey};
use ratchet_service::{accounts::Administration, end_sessions::EndSessions};
use ratchet_store::{
    Attempts, Clients, Sessions, Users, key_ring::versions::KeyRingVersions, users::Profile,
};

use crate::{arguments::ConnectionArguments, failure::Failure, time::now};

/// Finds credentials and region as every AWS tool does.
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

/// The longest life of an access token, including clock skew. Ends of sessions are published for
/// this long, whether or not the deployment uses the list, because its configuration is not known
/// here.
const LONGEST_ACCESS: Duration = Duration::from_secs(86_400 + 300);

/// The stores and the use cases of the commands.
pub(crate) struct Connection {
    pub(crate) users: Users,
    pub(crate) attempts: Attempts,
    pub(crate) clients: Clients,
    pub(crate) sessions: Sessions,
    pub(crate) end_sessions: EndSessions,
    pub(crate) administration: Administration,
}

impl Connection {
    /// Connects to the tables. Calls no service yet.
    pub(crate) async fn open(arguments: &ConnectionArguments) -> Result<Self, Failure> {
        let (users_table, tokens_table) = tables(arguments)?;
        let client = dynamodb(arguments).await;
        let users = Users::new(client.clone(), users_table);
        let attempts = Attempts::new(client.clone(), users_table);
        let clients = Clients::new(client.clone(), users_table);
        let sessions = Sessions::new(client, tokens_table).publishing_ends(Some(LONGEST_ACCESS));
        let end_sessions = EndSessions::new(users.clone(), sessions.clone());
        let administration =
            Administration::new(users.clone(), attempts.clone(), end_sessions.clone());
        Ok(Self { users, attempts, clients, sessions, end_sessions, administration })
    }

    /// The user with this name, or with this confirmed address.
    pub(crate) async fn user(&self, name: &str) -> Result<Profile, Failure> {
        let key = NameKey::parse(name);
        if let Ok(key) = &key
            && let Some(profile) = self.users.find_profile(key, now()).await?
        {
            return Ok(profile);
        }
        match (EmailAddress::parse(name), key) {
            (Ok(email), _) => {
                let found = self.users.find_profile_by_email(&email, now()).await?;
                found.ok_or_else(|| Failure::no_such_user(name))
            }
            (Err(_), Ok(_)) => Err(Failure::no_such_user(name)),
            (Err(_), Err(error)) => Err(Failure::Refused(error.to_string())),
        }
    }
}
