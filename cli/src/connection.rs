//! The tables, with the operator's own AWS credentials.

use aws_config::{BehaviorVersion, Region};
use ratchet::user::NameKey;
use ratchet_store::{Attempts, Sessions, Users, users::Profile};

use crate::{arguments::ConnectionArguments, failure::Failure};

/// What the commands work on.
pub(crate) struct Connection {
    pub(crate) users: Users,
    pub(crate) attempts: Attempts,
    pub(crate) sessions: Sessions,
}

impl Connection {
    /// Finds credentials and region as every AWS tool does; calls no table yet.
    pub(crate) async fn open(arguments: &ConnectionArguments) -> Result<Self, Failure> {
        for (table, option) in [
            (&arguments.users_table, "--users-table or RATCHET_USERS_TABLE"),
            (&arguments.tokens_table, "--tokens-table or RATCHET_TOKENS_TABLE"),
        ] {
            if table.is_empty() {
                return Err(Failure::Usage(format!("name the table with {option}")));
            }
        }
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
        let client = aws_sdk_dynamodb::Client::new(&loader.load().await);
        Ok(Self {
            users: Users::new(client.clone(), &arguments.users_table),
            attempts: Attempts::new(client.clone(), &arguments.users_table),
            sessions: Sessions::new(client, &arguments.tokens_table),
        })
    }

    /// The user of that name.
    pub(crate) async fn user(&self, name: &str) -> Result<Profile, Failure> {
        let key = NameKey::parse(name).map_err(|error| Failure::Refused(error.to_string()))?;
        let profile = self.users.find_profile(&key).await?;
        profile.ok_or_else(|| Failure::NotFound(format!("there is no user called {name}")))
    }
}
