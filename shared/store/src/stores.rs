//! The stores of a deployment, opened on demand.

use std::sync::{Arc, OnceLock};

use ratchet_core::config::Config;

use crate::{
    Attempts, Challenges, Clients, KeyRingCache, Outbox, Sessions, Users, aws::AwsSettings,
};

/// Opens only the stores that a function uses. They share one client for each service.
#[derive(Debug)]
pub struct Stores<'a> {
    config: &'a Config,
    aws: &'a AwsSettings,
    dynamodb: OnceLock<aws_sdk_dynamodb::Client>,
    key_ring: OnceLock<Arc<KeyRingCache>>,
}

impl<'a> Stores<'a> {
    /// The stores that `config` names. Calls no service.
    #[must_use]
    pub const fn new(config: &'a Config, aws: &'a AwsSettings) -> Self {
        Self { config, aws, dynamodb: OnceLock::new(), key_ring: OnceLock::new() }
    }

    /// The configuration of this function.
    #[must_use]
    pub const fn config(&self) -> &'a Config {
        self.config
    }

    /// Region, credentials and endpoints, for clients of other services.
    #[must_use]
    pub const fn aws(&self) -> &'a AwsSettings {
        self.aws
    }

    /// The key ring, not yet loaded.
    #[must_use]
    pub fn key_ring(&self) -> Arc<KeyRingCache> {
        let new = || {
            let not_loaded = match self.aws.observer() {
                Some(observer) => observer.key_ring_not_loaded,
                None => || (),
            };
            let (client, secret) = (self.aws.secrets_manager(), &self.config.key_ring_secret);
            let keys = &self.config.keys;
            let cache = KeyRingCache::new(client, secret, keys.reload, not_loaded);
            Arc::new(cache.signing_with(keys.algorithm))
        };
        Arc::clone(self.key_ring.get_or_init(new))
    }

    /// The users table.
    #[must_use]
    pub fn users(&self) -> Users {
        Users::new(self.dynamodb(), &self.config.users_table)
    }

    /// The attempt counters, in the users table.
    #[must_use]
    pub fn attempts(&self) -> Attempts {
        Attempts::new(self.dynamodb(), &self.config.users_table)
    }

    /// The challenges of messages, in the users table.
    #[must_use]
    pub fn challenges(&self) -> Challenges {
        Challenges::new(self.dynamodb(), &self.config.users_table)
    }

    /// The clients that may introspect tokens, in the users table.
    #[must_use]
    pub fn clients(&self) -> Clients {
        Clients::new(self.dynamodb(), &self.config.users_table)
    }

    /// The letters that wait to be sent, in the users table.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox::new(self.dynamodb(), &self.config.users_table)
    }

    /// The tokens table.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions::new(self.dynamodb(), &self.config.tokens_table)
            .publishing_ends(self.config.published_for())
    }

    fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.dynamodb.get_or_init(|| self.aws.dynamodb()).clone()
    }
}
