//! How often documents are fetched from the issuer, and how long they are used.

use std::time::Duration;

use ratchet_refreshed::Timing;

/// While fetching fails, it is tried once in this time.
pub const COOL_DOWN: Duration = Duration::from_secs(30);

/// Tokens with unknown key ids cause at most one request to the issuer in this time.
pub const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Keys that cannot be fetched again are used for this time after they went stale. Then no answer
/// is better than accepting what a revoked key signs.
pub const STALE_FOR: Duration = Duration::from_secs(86_400);

pub(crate) const fn of_keys() -> Timing {
    Timing {
        cool_down: COOL_DOWN,
        first_cool_down: Duration::from_secs(1),
        look_again_after: LOOK_AGAIN_AFTER,
        stale_for: Some(STALE_FOR),
        // The client has a limit of its own.
        patience: None,
    }
}

/// `reach` is how long access tokens live.
pub(crate) const fn of_ended_sessions(reach: Duration) -> Timing {
    Timing { stale_for: Some(reach), ..of_keys() }
}
