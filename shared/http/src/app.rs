//! What the handlers of a function share.

use std::sync::Arc;

use ratchet_core::{
    access_token::{self, AccessTokenError, Claims, Verified},
    config::{Config, ConfigError},
    key_ring::KeyRing,
    refresh_token::{RefreshToken, RefreshTokenError},
    time::UnixMillis,
};
use ratchet_store::{
    Attempts, Challenges, KeyRingCache, LoadError, Outbox, Sessions, Users,
    aws::{AwsSettings, MissingVariable},
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
        let aws = measure::observed(AwsSettings::read(&variable)?);
        let dynamodb = aws.dynamodb();
        Ok(Self {
            key_ring: KeyRingCache::new(
                aws.secrets_manager(),
                &config.key_ring_secret,
                config.keys.reload,
                measure::key_ring_not_loaded,
            )
            .signing_with(config.keys.algorithm),
            users: Users::new(dynamodb.clone(), &config.users_table),
            attempts: Attempts::new(dynamodb.clone(), &config.users_table),
            challenges: Challenges::new(dynamodb.clone(), &config.users_table),
            outbox: Outbox::new(dynamodb.clone(), &config.users_table),
            sessions: Sessions::new(dynamodb, &config.tokens_table)
                .publishing_ends(config.published_for()),
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
        let verified = self.key_ring.read(now, AccessTokenError::takes_unknown_key, |ring| {
            access_token::verify(token, policy, ring, now.seconds())
        });
        Ok(verified.await??)
    }

    /// Verifies the signature of an access token, whatever its times, issuer and audience.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn verify_signature(
        &self,
        token: &str,
        now: UnixMillis,
    ) -> Result<Claims, VerifyError> {
        let verified = self.key_ring.read(now, AccessTokenError::takes_unknown_key, |ring| {
            access_token::verify_signature(token, ring)
        });
        Ok(verified.await??)
    }

    /// Reads a refresh token; `None` if it is none of ours.
    ///
    /// # Errors
    /// [`LoadError`] if its tag may be that of a key which could not be loaded: a token is not
    /// refused, and its client not signed out, because of a fault.
    pub async fn refresh_token(
        &self,
        text: &str,
        now: UnixMillis,
    ) -> Result<Option<RefreshToken>, LoadError> {
        let forged = |error: &RefreshTokenError| *error == RefreshTokenError::Forged;
        let read = self
            .key_ring
            .read(now, forged, |ring| RefreshToken::parse(text, ring.tag_keys(now.seconds())));
        Ok(read.await?.ok())
    }
}
