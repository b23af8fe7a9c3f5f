//! Points in time, with their unit in the type.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whole seconds since the Unix epoch: the unit of JWT's `NumericDate` (RFC 7519 §2) and of
/// DynamoDB's TTL attribute.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixSeconds(u64);

impl UnixSeconds {
    /// The point `seconds` after the epoch.
    #[must_use]
    pub const fn new(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// `self` plus the whole seconds of `duration`.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// Seconds from `earlier` to `self`; zero when `earlier` is the later one.
    #[must_use]
    pub const fn seconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Milliseconds since the Unix epoch, for events whose order within one second matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// The point `millis` after the epoch.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The second this point lies in.
    #[must_use]
    pub const fn seconds(self) -> UnixSeconds {
        UnixSeconds(self.0 / 1000)
    }

    /// `self` plus `duration`, in whole milliseconds.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(duration)))
    }

    /// `self` minus `duration`, not before the epoch.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(whole_millis(duration)))
    }
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// When a client should refresh, in seconds from now: somewhere between 60 and 90 percent of the
/// access token's life, so that clients which signed in together do not refresh together.
#[must_use]
pub fn refresh_after(life: Duration, jitter: u8) -> u64 {
    let thousandths = 600 + u64::from(jitter) * 300 / 255;
    life.as_secs().saturating_mul(thousandths) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refreshing_is_spread_over_the_last_third_of_the_life() {
        let life = Duration::from_secs(300);
        assert_eq!(refresh_after(life, 0), 180);
        assert_eq!(refresh_after(life, 255), 270);
        assert!((180..=270).contains(&refresh_after(life, 100)));
        assert_eq!(refresh_after(Duration::from_secs(1), 255), 0);
    }
}
