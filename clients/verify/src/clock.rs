//! The one clock of this crate.

use std::time::{SystemTime, UNIX_EPOCH};

use ratchet_core::time::{UnixMillis, UnixSeconds};

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub(crate) fn now() -> UnixSeconds {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixSeconds::new(since_epoch.as_secs())
}

pub(crate) const fn millis(seconds: UnixSeconds) -> UnixMillis {
    UnixMillis::new(seconds.get().saturating_mul(1_000))
}
