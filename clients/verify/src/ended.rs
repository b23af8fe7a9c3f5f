//! The sessions that ended, as far as this process knows.

use std::{sync::Arc, time::Duration};

use ratchet_core::{
    access_token::{AccessTokenPolicy, Claims},
    revocations::{KnownEnds, ListError, RevocationList, Standing},
    time::UnixSeconds,
};
use ratchet_refreshed::{Loaded, Refreshed};
use reqwest::header::HeaderValue;

use crate::{
    clock::millis,
    fetch::{FetchError, Fetcher},
    keys::KeyCache,
    timing,
};

/// What becomes of tokens when ended sessions could not be fetched for as long as a token lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// No verdict, a 503: a user who may have logged out is not let in.
    Unavailable,
    /// They count until they expire, as they do without revocations.
    Accept,
}

/// Where to fetch the list, and what to do if that fails.
#[derive(Debug, Clone)]
pub(crate) struct Revocations {
    pub(crate) fetcher: Fetcher,
    pub(crate) outage: Outage,
}

#[derive(Debug)]
pub(crate) struct EndedSessions {
    revocations: Revocations,
    issuer: String,
    reach: Duration,
    keys: Arc<KeyCache>,
    known: Refreshed<Known, FetchError>,
}

#[derive(Debug)]
struct Known {
    ends: KnownEnds,
    list: RevocationList,
    etag: Option<HeaderValue>,
}

impl EndedSessions {
    pub(crate) fn new(
        revocations: Revocations,
        policy: &AccessTokenPolicy,
        keys: Arc<KeyCache>,
    ) -> Self {
        let reach = policy.life.saturating_add(policy.clock_skew);
        let known = Refreshed::new(timing::of_ended_sessions(reach), |_, _| ());
        Self { revocations, issuer: policy.issuer.clone(), reach, keys, known }
    }

    /// What is known of the session of a token.
    pub(crate) async fn standing(
        &self,
        claims: &Claims,
        now: UnixSeconds,
    ) -> Result<Standing, FetchError> {
        let known = self.known.current(millis(now), |known| self.fetch(known, now)).await;
        match (known, self.revocations.outage) {
            (Ok(known), _) => Ok(known.ends.standing(claims.sid, claims.iat)),
            (Err(_), Outage::Accept) => Ok(self
                .known
                .last()
                .map_or(Standing::NotEnded, |known| known.ends.standing(claims.sid, claims.iat))),
            (Err(failure), Outage::Unavailable) => Err(failure.into()),
        }
    }

    fn fetch(
        &self,
        known: Option<Arc<Known>>,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<Loaded<Known>, FetchError>> + use<> {
        let fetcher = self.revocations.fetcher.clone();
        let (issuer, reach, keys) = (self.issuer.clone(), self.reach, Arc::clone(&self.keys));
        async move {
            // A list that has expired is fetched whole: a cache that only ever answers 'not
            // modified' must not keep newer lists away.
            let current = known.as_ref().filter(|known| known.list.is_current(now));
            let etag = current.and_then(|known| known.etag.as_ref());
            let fetched = fetcher.fetch(etag, false).await?;
            let Some(text) = fetched.news else {
                let value = known.ok_or(FetchError::Malformed)?;
                return Ok(Loaded { value, good_for: fetched.good_for });
            };
            let text = String::from_utf8(text).map_err(|_| FetchError::Malformed)?;
            let unknown_key = |error: &ListError| *error == ListError::UnknownKey;
            let list = keys.verify(now, unknown_key, |keys| {
                RevocationList::verify(&text, &issuer, |kid| keys.find(kid), now)
            });
            let list = list.await?.map_err(FetchError::List)?;
            let mut ends = known.map(|known| known.ends.clone()).unwrap_or_default();
            ends.learn(&list, now, reach);
            let value = Arc::new(Known { ends, list, etag: fetched.etag });
            Ok(Loaded { value, good_for: fetched.good_for })
        }
    }
}
