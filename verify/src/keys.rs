//! The issuer's keys as this process holds them.

use std::sync::Arc;

use ratchet::{key_ring::PublicKeys, time::UnixSeconds};
use tokio::sync::Mutex;

use crate::{
    fetch::{FetchError, Fetcher},
    times::Times,
};

#[derive(Debug)]
pub(crate) struct KeyCache {
    fetcher: Fetcher,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Arc<PublicKeys>>,
    times: Times,
}

impl KeyCache {
    pub(crate) fn new(fetcher: Fetcher) -> Self {
        Self { fetcher, state: Mutex::default() }
    }

    /// The keys: those in use while they are fresh, or while no newer ones can be had.
    pub(crate) async fn current(&self, now: UnixSeconds) -> Result<Arc<PublicKeys>, FetchError> {
        let mut state = self.state.lock().await;
        let failure = if state.times.old(now) && !state.times.cooling_down(now) {
            self.fetch(&mut state, now).await.err()
        } else {
            None
        };
        match &state.keys {
            Some(keys) if state.times.usable(now) => Ok(Arc::clone(keys)),
            _ => Err(failure.unwrap_or(FetchError::TriedAMomentAgo)),
        }
    }

    /// Newer keys than `current` had, if there are any.
    ///
    /// # Errors
    /// [`FetchError`] if the keys in use are old because no newer ones can be had: a token whose
    /// key is not among them may be perfectly good.
    pub(crate) async fn after_unknown_key(
        &self,
        now: UnixSeconds,
    ) -> Result<Option<Arc<PublicKeys>>, FetchError> {
        let mut state = self.state.lock().await;
        let failure = if state.times.cooling_down(now) {
            FetchError::TriedAMomentAgo
        } else {
            match self.fetch(&mut state, now).await {
                Ok(keys) => return Ok(Some(keys)),
                Err(failure) => failure,
            }
        };
        if state.times.old(now) { Err(failure) } else { Ok(None) }
    }

    async fn fetch(
        &self,
        state: &mut State,
        now: UnixSeconds,
    ) -> Result<Arc<PublicKeys>, FetchError> {
        state.times.tried(now);
        let fetched = self.fetcher.fetch().await?;
        let keys = Arc::new(fetched.keys);
        state.times.fetched(now, fetched.max_age);
        state.keys = Some(Arc::clone(&keys));
        Ok(keys)
    }
}
