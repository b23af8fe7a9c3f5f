//! Sessions that ended before their access tokens expired. They are read from the table, so neither
//! a signed list nor an asymmetric key is needed.

use std::{sync::Arc, time::Duration};

use ratchet_core::{
    access_token::Claims,
    error_chain::ErrorChain,
    revocations::{KnownEnds, RecentEnds, RevocationList, Standing},
    time::UnixMillis,
};
use ratchet_store::{EndsCache, Sessions, StoreError};
use tokio::sync::Mutex;

#[derive(Debug)]
pub(crate) struct Ends {
    cache: EndsCache,
    issuer: String,
    reach: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: KnownEnds,
    last: Option<(Arc<RecentEnds>, UnixMillis)>,
}

impl Ends {
    pub(crate) fn new(sessions: Sessions, issuer: &str, reach: Duration) -> Self {
        let cache = EndsCache::new(sessions, reach);
        Self { cache, issuer: issuer.to_owned(), reach, state: Mutex::default() }
    }

    /// Whether the session of a token has ended.
    ///
    /// # Errors
    /// [`StoreError`] if the ends cannot be read and the last read is older than a token's life, so
    /// that it concerns only expired tokens.
    pub(crate) async fn has_ended(
        &self,
        claims: &Claims,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut state = self.state.lock().await;
        match self.cache.current(now).await {
            Ok(ends) => state.learn(ends, now, self),
            Err(error) if state.is_recent(now, self.reach) => {
                let error = tracing::field::display(ErrorChain(&error));
                tracing::warn!(error, "the ended sessions could not be read; the known ones stay");
            }
            Err(error) => return Err(error),
        }
        Ok(state.known.standing(claims.sid, claims.iat) != Standing::NotEnded)
    }
}

impl State {
    fn learn(&mut self, ends: Arc<RecentEnds>, now: UnixMillis, of: &Ends) {
        if !self.last.as_ref().is_some_and(|(last, _)| Arc::ptr_eq(last, &ends)) {
            let list = RevocationList::new(&of.issuer, &ends);
            self.known.learn(&list, now.seconds(), of.reach);
        }
        self.last = Some((ends, now));
    }

    fn is_recent(&self, now: UnixMillis, reach: Duration) -> bool {
        self.last.as_ref().is_some_and(|(_, read_at)| now < read_at.plus(reach))
    }
}
