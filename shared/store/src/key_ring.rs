//! The functions' cache of the key ring: loaded at start and reloaded from time to time.

pub mod versions;

use std::{sync::Arc, time::Duration};

use aws_sdk_secretsmanager::{Client, operation::get_secret_value::GetSecretValueError};
use ratchet_core::{
    error_chain::ErrorChain,
    jws::SignatureAlgorithm,
    key_ring::{KeyRing, KeyRingError},
    time::UnixMillis,
};
use ratchet_refreshed::{Loaded, NotLoaded, Refreshed, Timing};

use crate::StoreError;

/// The stage of the current version.
const CURRENT: &str = "AWSCURRENT";

/// A ring in use is loaded at most once in this time, however many tokens with unknown key ids
/// arrive and however often loading fails.
pub const COOL_DOWN: Duration = Duration::from_secs(30);

/// How long a reload may take. After that the request goes on with the ring in use.
const RELOAD_PATIENCE: Duration = Duration::from_secs(1);

/// There is no key ring to use.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Secrets Manager is not available; the next request tries again.
    #[error("the key ring could not be loaded")]
    Unavailable(#[from] StoreError),
    /// There is no ring, or an old one, and loading a newer one failed a moment ago.
    #[error("the key ring could not be loaded a moment ago")]
    TriedAMomentAgo,
    /// There is no such secret, or it has no string.
    #[error("there is no key ring in the secret {0:?}")]
    Missing(String),
    /// The secret's string is not a key ring.
    #[error(transparent)]
    Invalid(#[from] KeyRingError),
}

/// The key ring of one execution environment, for all requests that it serves at the same time.
#[derive(Debug)]
pub struct KeyRingCache {
    client: Client,
    secret_id: String,
    algorithm: SignatureAlgorithm,
    reload_after: Duration,
    ring: Refreshed<KeyRing, LoadError>,
}

impl KeyRingCache {
    /// A cache of the ring in the secret `secret_id`, still empty. A ring is reloaded once it is
    /// older than `reload_after`. `not_loaded` is called whenever a load fails, on the task of the
    /// request that began it, also if that request is dropped.
    #[must_use]
    pub fn new(
        client: Client,
        secret_id: impl Into<String>,
        reload_after: Duration,
        not_loaded: fn(),
    ) -> Self {
        let timing = Timing {
            cool_down: COOL_DOWN,
            first_cool_down: Duration::ZERO,
            look_again_after: COOL_DOWN.min(reload_after),
            stale_for: None,
            patience: Some(RELOAD_PATIENCE),
        };
        let ring = Refreshed::new(timing, move |failure: &NotLoaded<LoadError>, stays| {
            not_loaded();
            if stays {
                let error = tracing::field::display(ErrorChain(failure));
                tracing::warn!(error, "the key ring was not reloaded; the one in use stays");
            }
        });
        let algorithm = SignatureAlgorithm::default();
        Self { client, secret_id: secret_id.into(), algorithm, reload_after, ring }
    }

    /// Which of a seed's first keys signs, for a function that signs: see [`KeyRing::parse_for`].
    #[must_use]
    pub fn signing_with(self, algorithm: SignatureAlgorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// The ring: the cached one while it is fresh, or while no newer one can be loaded. One request
    /// loads it. Others use the cached ring if it is only slightly stale, and wait otherwise.
    ///
    /// # Errors
    /// [`LoadError`] if there is none at all.
    pub async fn current(&self, now: UnixMillis) -> Result<Arc<KeyRing>, LoadError> {
        self.ring.current(now, |_| self.load(now)).await.map_err(LoadError::from)
    }

    /// How long ago the ring in use was loaded; `None` while there is none.
    #[must_use]
    pub fn age(&self, now: UnixMillis) -> Option<Duration> {
        self.ring.age(now)
    }

    /// The result of `read` for the ring. If `read` needs a key that the ring lacks, tries to load
    /// a newer ring, at most once per cool-down, and calls `read` again.
    ///
    /// # Errors
    /// [`LoadError`] if there is no ring, or if the ring is stale and no newer one can be loaded:
    /// the token may be valid under a newer ring.
    pub async fn read<T, E>(
        &self,
        now: UnixMillis,
        takes_unknown_key: impl Fn(&E) -> bool,
        read: impl Fn(&KeyRing) -> Result<T, E>,
    ) -> Result<Result<T, E>, LoadError> {
        let ring = self.current(now).await?;
        match read(&ring) {
            Err(error) if takes_unknown_key(&error) => {
                let newer = self.newer_than(&ring, now).await?;
                Ok(newer.map_or(Err(error), |newer| read(&newer)))
            }
            result => Ok(result),
        }
    }

    async fn newer_than(
        &self,
        ring: &Arc<KeyRing>,
        now: UnixMillis,
    ) -> Result<Option<Arc<KeyRing>>, LoadError> {
        match self.ring.newer_than(ring, now, |_| self.load(now)).await {
            Ok(newer) => Ok(newer),
            // Keys enter the ring long before they sign, so a fresh ring has every key in use.
            Err(_) if !self.ring.is_stale(now) => Ok(None),
            Err(_) => Err(LoadError::TriedAMomentAgo),
        }
    }

    fn load(
        &self,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Loaded<KeyRing>, LoadError>> + use<> {
        let (client, secret_id) = (self.client.clone(), self.secret_id.clone());
        let (algorithm, good_for) = (self.algorithm, self.reload_after);
        async move {
            let ring = load(&client, secret_id, algorithm, now).await?;
            Ok(Loaded { value: Arc::new(ring), good_for })
        }
    }
}

async fn load(
    client: &Client,
    secret_id: String,
    algorithm: SignatureAlgorithm,
    now: UnixMillis,
) -> Result<KeyRing, LoadError> {
    let get = client.get_secret_value().secret_id(&secret_id).version_stage(CURRENT);
    let output = match get.send().await {
        Ok(output) => output,
        Err(error) => {
            return Err(match error.as_service_error() {
                Some(GetSecretValueError::ResourceNotFoundException(_)) => {
                    LoadError::Missing(secret_id)
                }
                _ => StoreError::new("GetSecretValue", error).into(),
            });
        }
    };
    let Some(secret) = output.secret_string() else { return Err(LoadError::Missing(secret_id)) };
    Ok(KeyRing::parse_for(secret, algorithm, now.seconds())?)
}

impl From<NotLoaded<Self>> for LoadError {
    fn from(failure: NotLoaded<Self>) -> Self {
        match failure {
            NotLoaded::Failed(error) => error,
            NotLoaded::TookTooLong | NotLoaded::TriedAMomentAgo | NotLoaded::GivenUp => {
                Self::TriedAMomentAgo
            }
        }
    }
}
