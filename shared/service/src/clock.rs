//! The clock. The core takes the time as a parameter.

use std::time::{SystemTime, UNIX_EPOCH};

use ratchet_core::time::UnixMillis;

/// The current time of the system clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> UnixMillis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
