//! A cached value that is refreshed while requests use it: a key ring, published keys, a list of
//! ended sessions.
//!
//! * One request loads at a time. Others use the cached value while it is usable and only slightly
//!   stale; otherwise they wait and share the result.
//! * A load that fails leaves the value in use, for as long as [`Timing`] allows.
//! * Loads are at least a cool-down apart, however many requests need something that the value
//!   lacks, and however often loading fails.
//! * A load continues if the request that began it is dropped.
//!
//! [`Freshness`] decides when; [`Refreshed`] does it.

mod freshness;

use std::{
    fmt,
    future::Future,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use ratchet_core::time::UnixMillis;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::timeout,
};

pub use self::freshness::{Freshness, Timing};

/// The result of a load.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The value; the one in use again if it is still the same.
    pub value: Arc<T>,
    /// How long it is fresh, counted from when the load began.
    pub good_for: Duration,
}

/// Why a value could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum NotLoaded<E> {
    /// The load failed.
    #[error(transparent)]
    Failed(E),
    /// The load took longer than [`Timing::patience`].
    #[error("loading took too long")]
    TookTooLong,
    /// Another request's load failed a moment ago, or it is too early for another one.
    #[error("loading was tried a moment ago")]
    TriedAMomentAgo,
    /// The request that began the load was dropped, or the load panicked.
    #[error("the load was given up")]
    GivenUp,
}

/// Called for every failed load, with the reason and whether there still is a usable value.
type OnFailure<E> = Box<dyn Fn(&NotLoaded<E>, bool) + Send + Sync>;

/// A value that is kept and refreshed, for all requests of a process.
pub struct Refreshed<T, E> {
    timing: Timing,
    on_failure: OnFailure<E>,
    state: Arc<RwLock<State<T>>>,
    /// Held by the load that is under way.
    turn: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct State<T> {
    value: Option<Arc<T>>,
    freshness: Freshness,
    /// How many loads are over.
    loads: u64,
}

impl<T, E> Refreshed<T, E>
where
    T: Send + Sync + 'static,
    E: Send + 'static,
{
    /// An empty cache. `on_failure` is called for every failed load, on the task of the request
    /// that began it, even if that request is dropped.
    pub fn new(
        timing: Timing,
        on_failure: impl Fn(&NotLoaded<E>, bool) + Send + Sync + 'static,
    ) -> Self {
        let state = State { value: None, freshness: Freshness::default(), loads: 0 };
        Self {
            timing,
            on_failure: Box::new(on_failure),
            state: Arc::new(RwLock::new(state)),
            turn: Arc::default(),
        }
    }

    /// The value: the one in use while it is fresh, or while no newer one can be loaded. `load` gets
    /// the value in use, if any, and runs as a task of its own.
    ///
    /// # Errors
    /// [`NotLoaded`] if there is no usable value.
    pub async fn current<F>(
        &self,
        now: UnixMillis,
        load: impl FnOnce(Option<Arc<T>>) -> F,
    ) -> Result<Arc<T>, NotLoaded<E>>
    where
        F: Future<Output = Result<Loaded<T>, E>> + Send + 'static,
    {
        let (waits, loads) = self.read(|state| {
            let usable = state.freshness.is_usable(now, &self.timing);
            (!usable || state.freshness.is_late(now, &self.timing), state.loads)
        });
        let turn = if waits {
            Some(Arc::clone(&self.turn).lock_owned().await)
        } else {
            Arc::clone(&self.turn).try_lock_owned().ok()
        };
        // A load that ended while this request waited was made for it too.
        let is_due =
            |state: &State<T>| state.loads == loads && state.freshness.is_due(now, &self.timing);
        let failure = match turn {
            Some(turn) if self.read(is_due) => self.load(turn, now, load).await.err(),
            _ => None,
        };
        self.usable(now).ok_or(failure.unwrap_or(NotLoaded::TriedAMomentAgo))
    }

    /// A newer value than `known`, which lacks something. `None` if there is none: it was loaded
    /// less than [`Timing::look_again_after`] ago.
    ///
    /// # Errors
    /// [`NotLoaded`]: there may be a newer one.
    pub async fn newer_than<F>(
        &self,
        known: &Arc<T>,
        now: UnixMillis,
        load: impl FnOnce(Option<Arc<T>>) -> F,
    ) -> Result<Option<Arc<T>>, NotLoaded<E>>
    where
        F: Future<Output = Result<Loaded<T>, E>> + Send + 'static,
    {
        // The load under way may bring it.
        let turn = Arc::clone(&self.turn).lock_owned().await;
        if let Some(newer) = self.last().filter(|in_use| !Arc::ptr_eq(in_use, known)) {
            return Ok(Some(newer));
        }
        let (may_look_again, last_failed) = self.read(|state| {
            (state.freshness.may_look_again(now, &self.timing), state.freshness.last_failed())
        });
        if may_look_again {
            self.load(turn, now, load).await.map(Some)
        } else if last_failed {
            Err(NotLoaded::TriedAMomentAgo)
        } else {
            Ok(None)
        }
    }

    /// The value that was loaded last, however old it is.
    #[must_use]
    pub fn last(&self) -> Option<Arc<T>> {
        self.read(|state| state.value.clone())
    }

    /// Whether the value is stale or missing.
    #[must_use]
    pub fn is_stale(&self, now: UnixMillis) -> bool {
        self.read(|state| state.freshness.is_stale(now))
    }

    /// How long ago the value was loaded; `None` while there is none.
    #[must_use]
    pub fn age(&self, now: UnixMillis) -> Option<Duration> {
        let loaded_at = self.read(|state| state.freshness.loaded_at())?;
        Some(Duration::from_millis(now.get().saturating_sub(loaded_at.get())))
    }

    /// Loads on a task of its own, so that the load goes on if this request is dropped.
    async fn load<F>(
        &self,
        turn: OwnedMutexGuard<()>,
        now: UnixMillis,
        load: impl FnOnce(Option<Arc<T>>) -> F,
    ) -> Result<Arc<T>, NotLoaded<E>>
    where
        F: Future<Output = Result<Loaded<T>, E>> + Send + 'static,
    {
        write(&self.state, |state| state.freshness.tried(now));
        let in_use = self.usable(now);
        let patience = in_use.as_ref().and(self.timing.patience);
        let loading = load(self.last());
        let state = Arc::clone(&self.state);
        let mut watch =
            Watch { on_failure: &self.on_failure, has_value: in_use.is_some(), is_over: false };
        let loading = tokio::spawn(async move {
            let outcome = match patience {
                Some(patience) => match timeout(patience, loading).await {
                    Ok(outcome) => outcome.map_err(NotLoaded::Failed),
                    Err(_) => Err(NotLoaded::TookTooLong),
                },
                None => loading.await.map_err(NotLoaded::Failed),
            };
            write(&state, |state| {
                state.loads = state.loads.wrapping_add(1);
                match &outcome {
                    Ok(loaded) => {
                        state.freshness.loaded(now, loaded.good_for);
                        state.value = Some(Arc::clone(&loaded.value));
                    }
                    Err(_) => state.freshness.failed(),
                }
            });
            drop(turn);
            outcome.map(|loaded| loaded.value)
        });
        let outcome = loading.await.unwrap_or(Err(NotLoaded::GivenUp));
        watch.over(outcome.as_ref().err());
        outcome
    }

    fn usable(&self, now: UnixMillis) -> Option<Arc<T>> {
        self.read(|state| {
            state.value.clone().filter(|_| state.freshness.is_usable(now, &self.timing))
        })
    }

    fn read<R>(&self, read: impl FnOnce(&State<T>) -> R) -> R {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn write<T>(state: &RwLock<State<T>>, write: impl FnOnce(&mut State<T>)) {
    write(&mut state.write().unwrap_or_else(PoisonError::into_inner));
}

impl<T: fmt::Debug, E> fmt::Debug for Refreshed<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refreshed").field("timing", &self.timing).finish_non_exhaustive()
    }
}

/// Ensures that a failed load is reported once, even if its request is dropped.
struct Watch<'r, E> {
    on_failure: &'r OnFailure<E>,
    has_value: bool,
    is_over: bool,
}

impl<E> Watch<'_, E> {
    fn over(&mut self, failure: Option<&NotLoaded<E>>) {
        self.is_over = true;
        if let Some(failure) = failure {
            (self.on_failure)(failure, self.has_value);
        }
    }
}

impl<E> Drop for Watch<'_, E> {
    fn drop(&mut self) {
        if !self.is_over {
            (self.on_failure)(&NotLoaded::GivenUp, self.has_value);
        }
    }
}

#[cfg(test)]
mod tests;
