//! Remembers that users could not be read: a rotation without an answer makes its token older.
//!
//! The user is read while the session is written. If only the read fails, the client still has the
//! old token and sends it again; after the retry window that counts as theft. The first such
//! rotation cannot be foreseen, but the following ones can be avoided.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use ratchet_core::time::UnixMillis;

/// How long after a failed read users are read before anything is written.
const CAUTION: Duration = Duration::from_mins(5);

/// The time of the last failed read, in Unix milliseconds.
#[derive(Debug, Default)]
pub(super) struct Caution(AtomicU64);

impl Caution {
    /// Notes that a user could not be read.
    pub(super) fn begin(&self, now: UnixMillis) {
        self.0.store(now.get(), Ordering::Relaxed);
    }

    /// Whether the user has to be read first.
    pub(super) fn is_due(&self, now: UnixMillis) -> bool {
        now < UnixMillis::new(self.0.load(Ordering::Relaxed)).plus(CAUTION)
    }
}
