//! What the handlers of a function share.

use std::sync::Arc;

use ratchet::{
    access_token::{self, AccessTokenError, Claims, Verified},
    config::{Config, ConfigError},
    key_ring::KeyRing,
    time::UnixMillis,
};
use ratchet_store::{
    Attempts, Challenges, KeyRingCache, LoadError, Outbox, Sessions, Users,
    aws::{AwsSettings, MissingVariable},
    key_ring::Newer,
};

use crate::{Problem, measure};

/// Configuration, tables and key ring of one execution environment.
#[derive(Debug)]
pub struct App {
    /// The settings.
    pub config: Config,
    /// The key ring.
    pub key_ring: KeyRingCache,
    /// The users table.
    pub users: Users,
    /// The counters of attempts, in the users table.
    pub attempts: Attempts,
    /// What messages prove, in the users table.
    pub challenges: Challenges,
    /// Letters that wait to be sent, in the users table.
    pub outbox: Outbox,
    /// The tokens table.
    pub sessions: Sessions,
}

/// The environment does not say what a function needs to know.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A setting is missing or out of its bounds.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A variable of Lambda's own is missing.
    #[error(transparent)]
    Aws(#[from] MissingVariable),
}

/// No verdict on an access token.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The token is not ours.
    #[error(transparent)]
    Invalid(#[from] AccessTokenError),
    /// There is no key ring to verify it with.
    #[error(transparent)]
    NoKeyRing(#[from] LoadError),
}

impl App {
    /// Reads the environment through `variable` and makes the clients; calls nobody yet.
    ///
    /// # Errors
    /// [`EnvironmentError`].
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let config = Config::read(&variable)?;
        let aws = AwsSettings::read(&variable)?.observed_by(measure::OBSERVER);
        let dynamodb = aws.dynamodb();
        Ok(Self {
            key_ring: KeyRingCache::new(
                aws.secrets_manager(),
                &config.key_ring_secret,
                config.keys.reload,
            ),
            users: Users::new(dynamodb.clone(), &config.users_table),
            attempts: Attempts::new(dynamodb.clone(), &config.users_table),
            challenges: Challenges::new(dynamodb.clone(), &config.users_table),
            outbox: Outbox::new(dynamodb.clone(), &config.users_table),
            sessions: Sessions::new(dynamodb, &config.tokens_table),
            config,
        })
    }

    /// The key ring.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] while none can be had.
    pub async fn key_ring(&self, now: UnixMillis) -> Result<Arc<KeyRing>, Problem> {
        Ok(self.key_ring.current(now).await?)
    }

    /// Verifies an access token.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn verify(&self, token: &str, now: UnixMillis) -> Result<Verified, VerifyError> {
        let policy = &self.config.access_token;
        self.with_newest_key_ring(now, |ring| {
            access_token::verify(token, policy, ring, now.seconds())
        })
        .await
    }

    /// Verifies an access token in everything but its lifetime.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn verify_whatever_its_age(
        &self,
        token: &str,
        now: UnixMillis,
    ) -> Result<Claims, VerifyError> {
        let policy = &self.config.access_token;
        self.with_newest_key_ring(now, |ring| {
            access_token::verify_whatever_its_age(token, policy, ring)
        })
        .await
    }

    /// A key id that the ring does not have makes it look for a newer ring, once in a cool-down.
    async fn with_newest_key_ring<T>(
        &self,
        now: UnixMillis,
        verify: impl Fn(&KeyRing) -> Result<T, AccessTokenError>,
    ) -> Result<T, VerifyError> {
        let ring = self.key_ring.current(now).await?;
        match verify(&ring) {
            Err(AccessTokenError::UnknownKey) => {
                match self.key_ring.after_unknown_key(now).await? {
                    Newer::Ring(ring) => Ok(verify(&ring)?),
                    Newer::Nothing => Err(AccessTokenError::UnknownKey.into()),
                }
            }
            verdict => Ok(verdict?),
        }
    }
}
