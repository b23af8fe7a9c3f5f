//! Whether users can be read at all: a rotation whose answer can not be given ages its token.
//!
//! The user is read while the session is written. Where only the read fails, the client has the old
//! token still, and repeats it; after the retry window that is theft. One such rotation can not be
//! told beforehand; those after it can.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use ratchet_core::time::UnixMillis;

/// So long after a failed read, users are read before anything is written.
const CAUTION: Duration = Duration::from_mins(5);

/// The last failed read of this execution environment, in Unix milliseconds.
static FAILED_AT: AtomicU64 = AtomicU64::new(0);

/// Keeps in mind that a user could not be read.
pub(crate) fn begin(now: UnixMillis) {
    FAILED_AT.store(now.get(), Ordering::Relaxed);
}

/// Whether the user has to be read first.
pub(crate) fn is_due(now: UnixMillis) -> bool {
    now < UnixMillis::new(FAILED_AT.load(Ordering::Relaxed)).plus(CAUTION)
}
