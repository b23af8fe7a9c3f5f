//! The key ring as functions hold it: loaded once, looked after from time to time.

pub mod versions;

use std::{sync::Arc, time::Duration};

use aws_sdk_secretsmanager::{Client, operation::get_secret_value::GetSecretValueError};
use ratchet::{
    error_chain::ErrorChain,
    key_ring::{KeyRing, KeyRingError},
    time::UnixMillis,
};
use tokio::{sync::Mutex, time::timeout};

use crate::StoreError;

/// The stage of the version that counts.
const CURRENT: &str = "AWSCURRENT";

/// However many tokens with unknown key ids come in, and however often loading fails, one try in
/// this time is all that a ring in use costs.
pub const COOL_DOWN: Duration = Duration::from_secs(30);

/// A request whose ring is merely old does not wait longer than this for a new one.
const RELOAD_PATIENCE: Duration = Duration::from_millis(1_000);

/// No ring can be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Secrets Manager could not be asked; the next request tries again.
    #[error("the key ring could not be loaded")]
    Unavailable(#[from] StoreError),
    /// The ring in use is old, and a newer one could not be loaded a moment ago.
    #[error("the key ring is old and could not be loaded anew")]
    Stale,
    /// There is no such secret, or it has no string.
    #[error("there is no key ring in the secret {0:?}")]
    Missing(String),
    /// The secret's string is no key ring.
    #[error(transparent)]
    Invalid(#[from] KeyRingError),
}

/// The key ring of one execution environment.
#[derive(Debug)]
pub struct KeyRingCache {
    client: Client,
    secret_id: String,
    reload_after: Duration,
    state: Mutex<State>,
}

/// What there is after an unknown key.
#[derive(Debug)]
pub enum Newer {
    /// A ring that was loaded since.
    Ring(Arc<KeyRing>),
    /// Nothing: the ring in use is as good as any.
    Nothing,
}

#[derive(Debug, Default)]
struct State {
    ring: Option<Arc<KeyRing>>,
    loaded_at: Option<UnixMillis>,
    tried_at: Option<UnixMillis>,
}

impl KeyRingCache {
    /// A cache of the ring in the secret `secret_id`, empty yet. A ring older than `reload_after`
    /// is loaded anew.
    #[must_use]
    pub fn new(client: Client, secret_id: impl Into<String>, reload_after: Duration) -> Self {
        Self { client, secret_id: secret_id.into(), reload_after, state: Mutex::default() }
    }

    /// The ring: the cached one while it is fresh, or while no newer one can be had.
    ///
    /// # Errors
    /// [`LoadError`] if there is none at all.
    pub async fn current(&self, now: UnixMillis) -> Result<Arc<KeyRing>, LoadError> {
        let mut state = self.state.lock().await;
        match &state.ring {
            None => self.load(&mut state, now).await,
            Some(ring) if !self.is_due(&state, now) => Ok(Arc::clone(ring)),
            Some(ring) => {
                let in_use = Arc::clone(ring);
                Ok(self.reload(&mut state, now).await.unwrap_or(in_use))
            }
        }
    }

    /// How long ago the ring in use was loaded; `None` while there is none.
    pub async fn age(&self, now: UnixMillis) -> Option<Duration> {
        let loaded_at = self.state.lock().await.loaded_at?;
        Some(Duration::from_millis(now.get().saturating_sub(loaded_at.get())))
    }

    /// The ring after a token named a key that `current` did not have: loaded anew, but for the
    /// cool-down.
    ///
    /// # Errors
    /// [`LoadError::Stale`] if the ring in use is old because no newer one can be had: the token may
    /// be perfectly good.
    pub async fn after_unknown_key(&self, now: UnixMillis) -> Result<Newer, LoadError> {
        let mut state = self.state.lock().await;
        if !self.is_cooling_down(&state, now)
            && let Some(ring) = self.reload(&mut state, now).await
        {
            return Ok(Newer::Ring(ring));
        }
        if self.is_old(&state, now) { Err(LoadError::Stale) } else { Ok(Newer::Nothing) }
    }

    async fn reload(&self, state: &mut State, now: UnixMillis) -> Option<Arc<KeyRing>> {
        state.tried_at = Some(now);
        match timeout(RELOAD_PATIENCE, self.load(state, now)).await {
            Ok(Ok(ring)) => Some(ring),
            Ok(Err(error)) => {
                let error = tracing::field::display(ErrorChain(&error));
                tracing::warn!(error, "the key ring was not reloaded; the one in use stays");
                None
            }
            Err(_) => {
                tracing::warn!("loading the key ring took too long; the one in use stays");
                None
            }
        }
    }

    async fn load(&self, state: &mut State, now: UnixMillis) -> Result<Arc<KeyRing>, LoadError> {
        state.tried_at = Some(now);
        let result = self
            .client
            .get_secret_value()
            .secret_id(&self.secret_id)
            .version_stage(CURRENT)
            .send()
            .await;
        let output = match result {
            Ok(output) => output,
            Err(error) => {
                return Err(match error.as_service_error() {
                    Some(GetSecretValueError::ResourceNotFoundException(_)) => {
                        LoadError::Missing(self.secret_id.clone())
                    }
                    _ => StoreError::new("GetSecretValue", error).into(),
                });
            }
        };
        let Some(secret) = output.secret_string() else {
            return Err(LoadError::Missing(self.secret_id.clone()));
        };
        let ring = Arc::new(KeyRing::parse(secret, now.seconds())?);
        state.ring = Some(Arc::clone(&ring));
        state.loaded_at = Some(now);
        Ok(ring)
    }

    fn is_due(&self, state: &State, now: UnixMillis) -> bool {
        self.is_old(state, now) && !self.is_cooling_down(state, now)
    }

    fn is_old(&self, state: &State, now: UnixMillis) -> bool {
        state.loaded_at.is_none_or(|at| !is_near(at, now, self.reload_after))
    }

    fn is_cooling_down(&self, state: &State, now: UnixMillis) -> bool {
        let cool_down = COOL_DOWN.min(self.reload_after);
        state.tried_at.is_some_and(|at| is_near(at, now, cool_down))
    }
}

/// Whether `at` is less than `distance` away, on either side: a request that has waited for another
/// one's load is a little earlier than that, and after a clock has been set back everything known
/// would be in the future for as long.
fn is_near(at: UnixMillis, now: UnixMillis, distance: Duration) -> bool {
    now < at.plus(distance) && at < now.plus(distance)
}
