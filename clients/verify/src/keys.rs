//! The issuer's keys as this process holds them.

use std::sync::{Arc, PoisonError, RwLock};

use ratchet_core::{key_ring::PublicKeys, time::UnixSeconds};
use reqwest::header::HeaderValue;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{
    fetch::{FetchError, Fetcher},
    times::{STALE_FOR, Times},
};

#[derive(Debug)]
pub(crate) struct KeyCache {
    fetcher: Fetcher,
    state: RwLock<State>,
    /// Held by the one who fetches.
    turn: Arc<Mutex<()>>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Arc<PublicKeys>>,
    etag: Option<HeaderValue>,
    times: Times,
}

impl KeyCache {
    pub(crate) fn new(fetcher: Fetcher) -> Arc<Self> {
        Arc::new(Self { fetcher, state: RwLock::default(), turn: Arc::default() })
    }

    /// A verdict by the keys; by newer ones, if it takes a key that is not among them.
    pub(crate) async fn verify<T, E>(
        self: &Arc<Self>,
        now: UnixSeconds,
        takes_unknown_key: fn(&E) -> bool,
        verify: impl Fn(&PublicKeys) -> Result<T, E>,
    ) -> Result<Result<T, E>, FetchError> {
        let keys = self.current(now).await?;
        match verify(&keys) {
            Err(error) if takes_unknown_key(&error) => {
                let newer = self.newer_than(&keys, now).await?;
                Ok(newer.map_or(Err(error), |newer| verify(&newer)))
            }
            verdict => Ok(verdict),
        }
    }

    /// The keys: those in use while they are fresh, or while no newer ones can be had. One fetches;
    /// others go on with keys that are a little late and wait for it otherwise.
    async fn current(self: &Arc<Self>, now: UnixSeconds) -> Result<Arc<PublicKeys>, FetchError> {
        let turn = if self.read(|state| state.times.late(now)) {
            Some(Arc::clone(&self.turn).lock_owned().await)
        } else {
            Arc::clone(&self.turn).try_lock_owned().ok()
        };
        let is_due = |state: &State| state.times.old(now) && !state.times.cooling_down(now);
        let failure = match turn {
            Some(turn) if self.read(is_due) => self.fetch(turn, now).await.err(),
            _ => None,
        };
        let keys =
            |state: &State| state.keys.clone().filter(|_| state.times.usable(now, STALE_FOR));
        self.read(keys).ok_or(failure.unwrap_or(FetchError::TriedAMomentAgo))
    }

    /// Newer keys than `keys`, if there are any.
    ///
    /// # Errors
    /// [`FetchError`] if the keys in use are old because no newer ones can be had: a token whose
    /// key is not among them may be perfectly good.
    async fn newer_than(
        self: &Arc<Self>,
        keys: &Arc<PublicKeys>,
        now: UnixSeconds,
    ) -> Result<Option<Arc<PublicKeys>>, FetchError> {
        // Whoever is fetching now may bring the key.
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let in_use = self.read(|state| state.keys.clone());
        let newer = in_use.filter(|in_use| !Arc::ptr_eq(in_use, keys));
        if newer.is_some() {
            return Ok(newer);
        }
        let failure = if self.read(|state| state.times.cooling_down(now)) {
            FetchError::TriedAMomentAgo
        } else {
            match self.fetch(turn, now).await {
                Ok(keys) => return Ok(Some(keys)),
                Err(failure) => failure,
            }
        };
        if self.read(|state| state.times.old(now)) { Err(failure) } else { Ok(None) }
    }

    /// Fetches, also if whoever asked has gone: it is counted as a try, and the next who ask rely on
    /// what comes of it.
    async fn fetch(
        self: &Arc<Self>,
        turn: OwnedMutexGuard<()>,
        now: UnixSeconds,
    ) -> Result<Arc<PublicKeys>, FetchError> {
        let cache = Arc::clone(self);
        let fetching = tokio::spawn(async move {
            let fetched = cache.fetch_here(now).await;
            if fetched.is_err() {
                cache.write(|state| state.times.failed(now));
            }
            drop(turn);
            fetched
        });
        fetching.await.unwrap_or(Err(FetchError::TriedAMomentAgo))
    }

    async fn fetch_here(&self, now: UnixSeconds) -> Result<Arc<PublicKeys>, FetchError> {
        self.write(|state| state.times.tried(now));
        let (keys, etag) = self.read(|state| (state.keys.clone(), state.etag.clone()));
        let known = keys.as_ref().and(etag.as_ref());
        let fetched = self.fetcher.fetch(known).await?;
        let keys = match (&fetched.news, keys) {
            (None, Some(keys)) => keys,
            (None, None) => return Err(FetchError::Malformed),
            (Some(set), _) => Arc::new(PublicKeys::parse(set).ok_or(FetchError::Malformed)?),
        };
        self.write(|state| {
            state.times.fetched(now, fetched.max_age);
            state.etag = fetched.etag;
            state.keys = Some(Arc::clone(&keys));
        });
        Ok(keys)
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, write: impl FnOnce(&mut State)) {
        write(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}
