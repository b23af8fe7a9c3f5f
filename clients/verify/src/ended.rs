//! The sessions that ended, as far as this process has been told.

use std::sync::{Arc, PoisonError, RwLock};

use ratchet_core::{
    access_token::{AccessTokenPolicy, Claims},
    revocations::{KnownEnds, ListError, RevocationList, Standing},
    time::UnixSeconds,
};
use reqwest::header::HeaderValue;
use tokio::sync::Mutex;

use crate::{
    fetch::{FetchError, Fetcher},
    keys::KeyCache,
    times::Times,
};

/// What becomes of tokens when it has not been known for as long as a token lives which sessions
/// ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// No verdict, a 503: nobody is let in who may have logged out.
    Unavailable,
    /// They count until they expire, as if nobody had ever asked.
    Accept,
}

#[derive(Debug)]
pub(crate) struct EndedSessions {
    fetcher: Fetcher,
    outage: Outage,
    state: RwLock<State>,
    /// Held by the one who fetches.
    turn: Arc<Mutex<()>>,
}

#[derive(Debug, Default)]
struct State {
    known: KnownEnds,
    list: Option<(RevocationList, Option<HeaderValue>)>,
    times: Times,
}

impl State {
    fn is_due(&self, now: UnixSeconds) -> bool {
        self.times.old(now) && !self.times.cooling_down(now)
    }
}

impl EndedSessions {
    pub(crate) fn new(fetcher: Fetcher, outage: Outage) -> Arc<Self> {
        Arc::new(Self { fetcher, outage, state: RwLock::default(), turn: Arc::default() })
    }

    /// What is known of the session of a token.
    pub(crate) async fn standing(
        self: &Arc<Self>,
        claims: &Claims,
        policy: &AccessTokenPolicy,
        keys: &Arc<KeyCache>,
        now: UnixSeconds,
    ) -> Result<Standing, FetchError> {
        let stale_for = policy.life.saturating_add(policy.clock_skew);
        let usable = |state: &State| state.times.usable(now, stale_for);
        let mut failure = None;
        let wait = self.read(|state| !usable(state) || state.times.late(now));
        if wait || self.read(|state| state.is_due(now)) {
            // One asks; others wait for it only if what they have to go by is late.
            let turn = Arc::clone(&self.turn);
            let turn =
                if wait { Some(turn.lock_owned().await) } else { turn.try_lock_owned().ok() };
            if let Some(turn) = turn
                && self.read(|state| state.is_due(now))
            {
                let (ended, policy, keys) = (Arc::clone(self), policy.clone(), Arc::clone(keys));
                // Also if whoever asked has gone, as with keys.
                let fetching = tokio::spawn(async move {
                    let fetched = ended.fetch(&policy, &keys, now).await;
                    if fetched.is_err() {
                        ended.write(|state| state.times.failed(now));
                    }
                    drop(turn);
                    fetched
                });
                failure = fetching.await.unwrap_or(Err(FetchError::TriedAMomentAgo)).err();
            }
        }
        self.read(|state| {
            if usable(state) || self.outage == Outage::Accept {
                Ok(state.known.standing(claims.sid, claims.iat))
            } else {
                Err(failure.unwrap_or(FetchError::TriedAMomentAgo))
            }
        })
    }

    async fn fetch(
        &self,
        policy: &AccessTokenPolicy,
        keys: &Arc<KeyCache>,
        now: UnixSeconds,
    ) -> Result<(), FetchError> {
        self.write(|state| state.times.tried(now));
        // A list that is out of date is asked for whole: a cache that only says 'the same' for ever
        // must not keep newer ones away.
        let known = self.read(|state| {
            let (list, etag) = state.list.as_ref()?;
            list.is_current(now).then(|| etag.clone())?
        });
        let fetched = self.fetcher.fetch(known.as_ref()).await?;
        let Some(text) = fetched.news else {
            self.write(|state| state.times.fetched(now, fetched.max_age));
            return Ok(());
        };
        let text = String::from_utf8(text).map_err(|_| FetchError::Malformed)?;
        let unknown_key = |error: &ListError| *error == ListError::UnknownKey;
        let list = keys.verify(now, unknown_key, |keys| {
            RevocationList::verify(&text, &policy.issuer, |kid| keys.find(kid), now)
        });
        let list = list.await?.map_err(FetchError::List)?;
        self.write(|state| {
            state.known.learn(&list, now, policy.life.saturating_add(policy.clock_skew));
            state.times.fetched(now, fetched.max_age);
            state.list = Some((list, fetched.etag));
        });
        Ok(())
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, write: impl FnOnce(&mut State) -> T) -> T {
        write(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}
