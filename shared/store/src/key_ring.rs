//! The key ring as functions hold it: loaded once, looked after from time to time.

pub mod versions;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use aws_sdk_secretsmanager::{Client, operation::get_secret_value::GetSecretValueError};
use ratchet_core::{
    error_chain::ErrorChain,
    jws::SignatureAlgorithm,
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
    /// There is no ring, or an old one, and a newer one could not be loaded a moment ago.
    #[error("the key ring could not be loaded a moment ago")]
    TriedAMomentAgo,
    /// There is no such secret, or it has no string.
    #[error("there is no key ring in the secret {0:?}")]
    Missing(String),
    /// The secret's string is no key ring.
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
    not_loaded: fn(),
    state: RwLock<State>,
    /// Held by the one who loads.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    ring: Option<Arc<KeyRing>>,
    loaded_at: Option<UnixMillis>,
    tried_at: Option<UnixMillis>,
}

impl KeyRingCache {
    /// A cache of the ring in the secret `secret_id`, empty yet. A ring older than `reload_after`
    /// is loaded anew. `not_loaded` is called whenever loading comes to nothing, for whatever
    /// reason, also when nobody waits for it any more; on the task that loaded.
    #[must_use]
    pub fn new(
        client: Client,
        secret_id: impl Into<String>,
        reload_after: Duration,
        not_loaded: fn(),
    ) -> Self {
        let (state, turn) = (RwLock::default(), Mutex::default());
        let (secret_id, algorithm) = (secret_id.into(), SignatureAlgorithm::default());
        Self { client, secret_id, algorithm, reload_after, not_loaded, state, turn }
    }

    /// Which of a seed's first keys signs, for a function that signs: see [`KeyRing::parse_for`].
    #[must_use]
    pub fn signing_with(self, algorithm: SignatureAlgorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// The ring: the cached one while it is fresh, or while no newer one can be had. One request
    /// loads; others go on with a ring that is a little late and wait for the load otherwise.
    ///
    /// # Errors
    /// [`LoadError`] if there is none at all.
    pub async fn current(&self, now: UnixMillis) -> Result<Arc<KeyRing>, LoadError> {
        let Some(in_use) = self.ring() else { return self.first(now).await };
        // A tenth: so much later than they need to, new keys begin to sign.
        let late = self.is_older(now, self.reload_after + self.reload_after / 10);
        let turn = if late { Ok(self.turn.lock().await) } else { self.turn.try_lock() };
        if turn.is_ok() && self.is_older(now, self.reload_after) && !self.is_cooling_down(now) {
            return Ok(self.reload(now).await.unwrap_or(in_use));
        }
        Ok(self.ring().unwrap_or(in_use))
    }

    /// The first ring. Who waits for another one's load shares what becomes of it.
    async fn first(&self, now: UnixMillis) -> Result<Arc<KeyRing>, LoadError> {
        if let Ok(_turn) = self.turn.try_lock() {
            return self.load(now).await;
        }
        drop(self.turn.lock().await);
        self.ring().ok_or(LoadError::TriedAMomentAgo)
    }

    /// How long ago the ring in use was loaded; `None` while there is none.
    #[must_use]
    pub fn age(&self, now: UnixMillis) -> Option<Duration> {
        let loaded_at = self.read_state(|state| state.loaded_at)?;
        Some(Duration::from_millis(now.get().saturating_sub(loaded_at.get())))
    }

    /// What `read` makes of the ring; and of a newer one, if it takes a key that the ring does not
    /// have and a newer one can be had, which is tried once in the cool-down.
    ///
    /// # Errors
    /// [`LoadError`] if there is no ring at all, or the one in use is old because no newer one can
    /// be had: what was to be read may be perfectly good.
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
        // Whoever is loading now may bring the key.
        let _turn = self.turn.lock().await;
        let newer = self.ring().filter(|in_use| !Arc::ptr_eq(in_use, ring));
        if newer.is_some() {
            return Ok(newer);
        }
        if !self.is_cooling_down(now)
            && let Some(loaded) = self.reload(now).await
        {
            return Ok(Some(loaded));
        }
        if self.is_older(now, self.reload_after) {
            Err(LoadError::TriedAMomentAgo)
        } else {
            Ok(None)
        }
    }

    /// Loads a ring beside one that is in use.
    async fn reload(&self, now: UnixMillis) -> Option<Arc<KeyRing>> {
        match timeout(RELOAD_PATIENCE, self.load(now)).await {
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

    async fn load(&self, now: UnixMillis) -> Result<Arc<KeyRing>, LoadError> {
        self.write_state(|state| state.tried_at = Some(now));
        let mut load = Load { is_done: false, not_loaded: self.not_loaded };
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
        let ring = Arc::new(KeyRing::parse_for(secret, self.algorithm, now.seconds())?);
        self.write_state(|state| {
            state.ring = Some(Arc::clone(&ring));
            state.loaded_at = Some(now);
        });
        load.is_done = true;
        Ok(ring)
    }

    fn ring(&self) -> Option<Arc<KeyRing>> {
        self.read_state(|state| state.ring.clone())
    }

    fn is_older(&self, now: UnixMillis, age: Duration) -> bool {
        let loaded_at = self.read_state(|state| state.loaded_at);
        loaded_at.is_none_or(|at| !is_near(at, now, age))
    }

    fn is_cooling_down(&self, now: UnixMillis) -> bool {
        let cool_down = COOL_DOWN.min(self.reload_after);
        let tried_at = self.read_state(|state| state.tried_at);
        tried_at.is_some_and(|at| is_near(at, now, cool_down))
    }

    fn read_state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write_state(&self, write: impl FnOnce(&mut State)) {
        write(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A load, from its beginning to its end, or to where it is given up.
struct Load {
    is_done: bool,
    not_loaded: fn(),
}

impl Drop for Load {
    fn drop(&mut self) {
        if !self.is_done {
            (self.not_loaded)();
        }
    }
}

/// Whether `at` is less than `distance` away, on either side: a request that has waited for another
/// one's load is a little earlier than that, and after a clock has been set back everything known
/// would be in the future for as long.
fn is_near(at: UnixMillis, now: UnixMillis, distance: Duration) -> bool {
    now < at.plus(distance) && at < now.plus(distance)
}
