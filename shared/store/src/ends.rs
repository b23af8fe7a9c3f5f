//! Caches of the sessions that ended recently.

use std::{sync::Arc, time::Duration};

use ratchet_core::{
    error_chain::ErrorChain,
    ids::SessionId,
    revocations::{KnownEnds, RecentEnds, RevocationList, Standing},
    time::{UnixMillis, UnixSeconds},
};
use ratchet_refreshed::{Loaded, NotLoaded, Refreshed, Timing};

use crate::{Sessions, StoreError};

/// How stale the recent ends may be. Each execution environment reads DynamoDB at most once in this
/// time, however many requests ask.
pub const KEPT: Duration = Duration::from_secs(5);

/// The recent ends of one execution environment, for those who publish them.
#[derive(Debug)]
pub struct EndsCache {
    sessions: Sessions,
    reach: Duration,
    ends: Refreshed<RecentEnds, StoreError>,
}

impl EndsCache {
    /// A cache of the ends in `sessions`, still empty. `reach` is how long access tokens live.
    #[must_use]
    pub fn new(sessions: Sessions, reach: Duration) -> Self {
        let timing = Timing {
            cool_down: Duration::ZERO,
            first_cool_down: Duration::ZERO,
            look_again_after: KEPT,
            // Clients already have what was read before.
            stale_for: Some(Duration::ZERO),
            patience: None,
        };
        Self { sessions, reach, ends: Refreshed::new(timing, |_, _| ()) }
    }

    /// The recent ends, at most [`KEPT`] old.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub async fn current(&self, now: UnixMillis) -> Result<Arc<RecentEnds>, StoreError> {
        let (sessions, reach) = (self.sessions.clone(), self.reach);
        let load = |_| async move {
            let ends = read(&sessions, now, reach).await?;
            Ok(Loaded { value: Arc::new(ends), good_for: KEPT })
        };
        self.ends.current(now, load).await.map_err(not_read)
    }
}

/// Accumulates which sessions have ended, for a function that verifies access tokens and reads the
/// index of ended sessions itself.
#[derive(Debug)]
pub struct EndedSessions {
    sessions: Sessions,
    issuer: String,
    reach: Duration,
    known: Refreshed<KnownEnds, StoreError>,
}

impl EndedSessions {
    /// An empty cache. `reach` is how long access tokens of `issuer` live.
    #[must_use]
    pub fn new(sessions: Sessions, issuer: impl Into<String>, reach: Duration) -> Self {
        let second = Duration::from_secs(1);
        let timing = Timing {
            cool_down: second,
            first_cool_down: Duration::ZERO,
            look_again_after: KEPT,
            // After that, all tokens of the known ended sessions have expired.
            stale_for: Some(reach),
            patience: Some(second),
        };
        let known = Refreshed::new(timing, |failure: &NotLoaded<StoreError>, stays| {
            if stays {
                let error = tracing::field::display(ErrorChain(failure));
                tracing::warn!(error, "ended sessions were not read; what is known stays in use");
            }
        });
        Self { sessions, issuer: issuer.into(), reach, known }
    }

    /// Whether the session of an access token that was issued at `issued_at` has ended.
    ///
    /// # Errors
    /// [`StoreError`] if the index cannot be read, and the last successful read was more than a
    /// token's life ago.
    pub async fn standing(
        &self,
        session: SessionId,
        issued_at: UnixSeconds,
        now: UnixMillis,
    ) -> Result<Standing, StoreError> {
        let (sessions, reach, issuer) = (self.sessions.clone(), self.reach, self.issuer.clone());
        let load = |known: Option<Arc<KnownEnds>>| async move {
            let list = RevocationList::new(&issuer, &read(&sessions, now, reach).await?);
            let mut known = known.as_deref().cloned().unwrap_or_default();
            known.learn(&list, now.seconds(), reach);
            Ok(Loaded { value: Arc::new(known), good_for: KEPT })
        };
        let known = self.known.current(now, load).await.map_err(not_read)?;
        Ok(known.standing(session, issued_at))
    }
}

async fn read(
    sessions: &Sessions,
    now: UnixMillis,
    reach: Duration,
) -> Result<RecentEnds, StoreError> {
    let wanted = RecentEnds::wanted_since(now, reach);
    Ok(RecentEnds::new(&sessions.ends(wanted).await?, now, reach))
}

fn not_read(failure: NotLoaded<StoreError>) -> StoreError {
    match failure {
        NotLoaded::Failed(error) => error,
        other => StoreError::Unavailable { operation: "Query", source: other.to_string().into() },
    }
}
