//! The issuer's keys as this process holds them.

use std::sync::Arc;

use ratchet_core::{key_ring::PublicKeys, time::UnixSeconds};
use ratchet_refreshed::{Loaded, Refreshed};
use reqwest::header::HeaderValue;

use crate::{
    clock::millis,
    fetch::{FetchError, Fetcher},
    timing,
};

#[derive(Debug)]
pub(crate) struct KeyCache {
    fetcher: Fetcher,
    keys: Refreshed<Keys, FetchError>,
}

#[derive(Debug)]
struct Keys {
    keys: PublicKeys,
    etag: Option<HeaderValue>,
}

impl KeyCache {
    pub(crate) fn new(fetcher: Fetcher) -> Arc<Self> {
        Arc::new(Self { fetcher, keys: Refreshed::new(timing::of_keys(), |_, _| ()) })
    }

    /// A verdict by the keys; by newer ones, if it needs a key that is not among them.
    ///
    /// # Errors
    /// [`FetchError`] if there are no keys, or if it is not known whether there is such a key.
    pub(crate) async fn verify<T, E>(
        &self,
        now: UnixSeconds,
        takes_unknown_key: fn(&E) -> bool,
        verify: impl Fn(&PublicKeys) -> Result<T, E>,
    ) -> Result<Result<T, E>, FetchError> {
        let now = millis(now);
        let keys = self.keys.current(now, |known| self.fetch(known, false)).await?;
        match verify(&keys.keys) {
            Err(error) if takes_unknown_key(&error) => {
                let newer = self.keys.newer_than(&keys, now, |known| self.fetch(known, true));
                Ok(newer.await?.map_or(Err(error), |newer| verify(&newer.keys)))
            }
            verdict => Ok(verdict),
        }
    }

    fn fetch(
        &self,
        known: Option<Arc<Keys>>,
        past_caches: bool,
    ) -> impl Future<Output = Result<Loaded<Keys>, FetchError>> + use<> {
        let fetcher = self.fetcher.clone();
        async move {
            let etag = known.as_ref().and_then(|known| known.etag.as_ref());
            let fetched = fetcher.fetch(etag, past_caches).await?;
            let value = match (fetched.news, known) {
                (None, Some(known)) => known,
                (None, None) => return Err(FetchError::Malformed),
                (Some(set), _) => {
                    let keys = PublicKeys::parse(&set).ok_or(FetchError::Malformed)?;
                    Arc::new(Keys { keys, etag: fetched.etag })
                }
            };
            Ok(Loaded { value, good_for: fetched.good_for })
        }
    }
}
