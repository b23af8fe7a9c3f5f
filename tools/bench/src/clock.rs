//! The driver's clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For durations.
#[expect(clippy::disallowed_methods, reason = "durations are what the driver is for")]
pub fn now() -> Instant {
    Instant::now()
}

/// For the functions: what their clock says.
#[expect(clippy::disallowed_methods, reason = "the functions read this clock too")]
pub fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
