//! The recent ends of sessions as functions hold them: read once in a while, however many ask.

use std::{sync::Arc, time::Duration};

use ratchet_core::{revocations::RecentEnds, time::UnixMillis};
use tokio::sync::Mutex;

use crate::{Sessions, StoreError};

/// So old may be what is told. Whoever asks, and however often, one read in this time is all that it
/// costs an execution environment.
pub const KEPT: Duration = Duration::from_secs(5);

/// The recent ends of one execution environment.
#[derive(Debug)]
pub struct EndsCache {
    sessions: Sessions,
    reach: Duration,
    kept: Mutex<Option<(UnixMillis, Arc<RecentEnds>)>>,
}

impl EndsCache {
    /// A cache of what `sessions` tells, empty yet. `reach` is how long access tokens live.
    #[must_use]
    pub fn new(sessions: Sessions, reach: Duration) -> Self {
        Self { sessions, reach, kept: Mutex::default() }
    }

    /// The recent ends.
    ///
    /// # Errors
    /// [`StoreError`]. What was read before is not told in its place: those who ask know it already.
    pub async fn current(&self, now: UnixMillis) -> Result<Arc<RecentEnds>, StoreError> {
        let mut kept = self.kept.lock().await;
        match kept.as_ref() {
            Some((read_at, ends)) if now < read_at.plus(KEPT) && *read_at < now.plus(KEPT) => {
                Ok(Arc::clone(ends))
            }
            _ => {
                let ends = Arc::new(self.read(now).await?);
                *kept = Some((now, Arc::clone(&ends)));
                Ok(ends)
            }
        }
    }

    async fn read(&self, now: UnixMillis) -> Result<RecentEnds, StoreError> {
        let wanted = RecentEnds::wanted_since(now, self.reach);
        Ok(RecentEnds::new(&self.sessions.ends(wanted).await?, now, self.reach))
    }
}
