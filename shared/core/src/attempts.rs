//! How often passwords may be guessed.
//!
//! An attempt is counted before its password is hashed, in one conditional write per counter. It
//! counts as failed until the password proves right, so concurrent attempts gain nothing over
//! sequential ones. [`Throttle::decide`] says what a counter allows, and [`Throttle::steps`] says
//! the same as the condition of that write. [`Counter`] defines the effect of each write, even if
//! it arrives twice.

mod counter;

pub use self::counter::{Counter, REMEMBERED};

use std::{fmt, net::IpAddr, time::Duration};

use crate::{
    device_token::DeviceId,
    encoding::to_base64url,
    ids::{SessionId, UserId},
    time::{UnixMillis, UnixSeconds},
    user::name_hash,
};

/// The longest delay between two attempts.
pub const LONGEST_DELAY: Duration = Duration::from_secs(3_600);

/// How long the failures of one network are remembered.
pub const NETWORK_WINDOW: Duration = Duration::from_secs(3_600);

/// An IPv6 /48 has this many times the free failures of one network. It contains 65,536 networks
/// and may belong to a single customer of a provider.
pub const SITE_NETWORKS: u32 = 16;

/// How many failures a counter allows, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// The number of failures without a delay.
    pub free: u32,
    /// The delay after that many failures. Each further failure doubles it, up to
    /// [`LONGEST_DELAY`].
    pub delay: Duration,
    /// After this many failures in a row the counter is locked until somebody unlocks it.
    pub max: u32,
}

/// What limits guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptPolicy {
    /// For each known device of the user. All unknown devices share one more counter.
    ///
    /// # Security
    /// NIST SP 800-63B-4 §3.2.2: no more than 100 consecutive failures.
    pub account: Throttle,
    /// For each network (an IPv4 address or an IPv6 /64) within [`NETWORK_WINDOW`].
    pub network: Throttle,
}

impl AttemptPolicy {
    /// For each IPv6 /48 within [`NETWORK_WINDOW`].
    #[must_use]
    pub const fn site(&self) -> Throttle {
        let free = self.network.free.saturating_mul(SITE_NETWORKS);
        Throttle { free, ..self.network }
    }
}

/// Which of an attempt's two counters (network and site) must take it back. An attempt is made only
/// if both counted it, so if only one did, that one takes it back.
#[must_use]
pub const fn to_undo(counted: [bool; 2]) -> [bool; 2] {
    match counted {
        [true, true] => [false, false],
        counted => counted,
    }
}

/// The contents of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// Attempts in a row whose password was wrong, or has not been checked yet.
    pub count: u32,
    /// When the last attempt began.
    pub last: UnixMillis,
}

/// Whether another attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleDecision {
    /// It may.
    Allow,
    /// Not until this much time has passed.
    Wait(Duration),
    /// Not until somebody unlocks the account.
    Locked,
}

/// One alternative of the condition for an attempt. It holds if both of its parts do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The counter must be below this.
    pub below: u32,
    /// The last attempt must have begun at or before this moment; `None` if it does not matter.
    pub last_until: Option<UnixMillis>,
}

impl Throttle {
    /// The delay after `count` failures in a row.
    #[must_use]
    pub fn delay_after(&self, count: u32) -> Duration {
        let Some(doublings) = count.checked_sub(self.free) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.delay.saturating_mul(factor).min(LONGEST_DELAY)
    }

    /// Whether a counter allows an attempt at `now`. `None` means that nothing has been counted.
    #[must_use]
    pub fn decide(&self, failures: Option<Failures>, now: UnixMillis) -> ThrottleDecision {
        let Some(failures) = failures else { return ThrottleDecision::Allow };
        if failures.count >= self.max {
            return ThrottleDecision::Locked;
        }
        let delay = self.delay_after(failures.count);
        let until = failures.last.plus(delay);
        if delay.is_zero() || until <= now {
            return ThrottleDecision::Allow;
        }
        // The counter may have been written by a clock that is ahead of ours.
        let left = Duration::from_millis(until.get().saturating_sub(now.get()));
        ThrottleDecision::Wait(left.min(delay))
    }

    /// The same as [`decide`](Self::decide), as alternatives: an attempt is allowed if one holds.
    ///
    /// There are only a few, because delays double until they reach [`LONGEST_DELAY`].
    #[must_use]
    pub fn steps(&self, now: UnixMillis) -> Vec<Step> {
        let mut steps = vec![Step { below: self.free.min(self.max), last_until: None }];
        for count in self.free..self.max {
            let delay = self.delay_after(count);
            let longest = delay >= LONGEST_DELAY;
            let below = if longest { self.max } else { count.saturating_add(1) };
            // A delay longer than the time since the epoch never allows an attempt.
            steps.push(Step { below, last_until: Some(now.minus(delay)) });
            if longest {
                break;
            }
        }
        steps
    }
}

/// Identifies an attempt, so that it counts once even if the SDK sends the write twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptId([u8; 16]);

impl AttemptId {
    /// The attempt with these random bytes.
    #[must_use]
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// The bytes as the counter stores them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The key of a counter.
///
/// # Security
/// Contains only a hash of the name: people sometimes type their password into the name field.
/// Unknown names are counted like existing ones, so a client cannot distinguish them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptKey {
    text: String,
    kept_for: Duration,
}

impl AttemptKey {
    /// The counter of a user name as typed, whether or not such a user exists.
    #[must_use]
    pub fn account(typed: &str) -> Self {
        // Failures do not expire by themselves, but a year without any ends a guessing attempt.
        Self::new("account", &to_base64url(&name_hash(typed)), 365 * 24 * 3_600)
    }

    /// The counter of a device that a user has signed in from before.
    #[must_use]
    pub fn device(device: DeviceId) -> Self {
        Self::new("device", &to_base64url(device.as_bytes()), 365 * 24 * 3_600)
    }

    /// The counter for confirming the password within a session. A thief with its access token gets
    /// no more guesses than a stranger, and wrong ones do not lock the owner out.
    #[must_use]
    pub fn session(session: SessionId) -> Self {
        Self::new("session", &to_base64url(session.as_bytes()), 365 * 24 * 3_600)
    }

    /// The counter of a user's second factor, the same for everybody who presents a code. Only
    /// somebody who knows the password, or has a session, gets to it.
    #[must_use]
    pub fn second_factor(user: UserId) -> Self {
        Self::new("second-factor", &user.to_string(), 365 * 24 * 3_600)
    }

    /// The counter of a request's network, in the window that contains `now`. Requests without a
    /// source address share one counter.
    #[must_use]
    pub fn network(source: Option<IpAddr>, now: UnixMillis) -> Self {
        Self::of_network("network", source, now)
    }

    /// The counter of the same network for account requests that need no sign-in: registrations,
    /// messages, and the proofs in them. Separate from sign-ins, so that neither blocks the other.
    #[must_use]
    pub fn accounts(source: Option<IpAddr>, now: UnixMillis) -> Self {
        Self::of_network("accounts", source, now)
    }

    /// The counter of the IPv6 /48 that contains the network of [`network`](Self::network). `None`
    /// for IPv4.
    #[must_use]
    pub fn network_site(source: Option<IpAddr>, now: UnixMillis) -> Option<Self> {
        Self::of_site("network", source, now)
    }

    /// The counter of the IPv6 /48 that contains the network of [`accounts`](Self::accounts).
    #[must_use]
    pub fn accounts_site(source: Option<IpAddr>, now: UnixMillis) -> Option<Self> {
        Self::of_site("accounts", source, now)
    }

    fn of_network(kind: &str, source: Option<IpAddr>, now: UnixMillis) -> Self {
        let network = match source.map(|source| source.to_canonical()) {
            None => "unknown".to_owned(),
            Some(IpAddr::V4(v4)) => v4.to_string(),
            Some(IpAddr::V6(v6)) => {
                let [a, b, c, d, ..] = v6.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        };
        Self::in_window(kind, &network, now)
    }

    fn of_site(kind: &str, source: Option<IpAddr>, now: UnixMillis) -> Option<Self> {
        let Some(IpAddr::V6(v6)) = source.map(|source| source.to_canonical()) else { return None };
        let [a, b, c, ..] = v6.segments();
        Some(Self::in_window(kind, &format!("{a:x}:{b:x}:{c:x}::/48"), now))
    }

    fn in_window(kind: &str, network: &str, now: UnixMillis) -> Self {
        let window = now.seconds().get() / NETWORK_WINDOW.as_secs();
        Self::new(kind, &format!("{network}#{window}"), 2 * NETWORK_WINDOW.as_secs())
    }

    fn new(kind: &str, whose: &str, kept_for: u64) -> Self {
        Self { text: format!("attempts#{kind}#{whose}"), kept_for: Duration::from_secs(kept_for) }
    }

    /// The item's key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// When the counter may be deleted, if its last attempt began at `now`.
    #[must_use]
    pub const fn expires_at(&self, now: UnixSeconds) -> UnixSeconds {
        now.plus(self.kept_for)
    }
}

impl fmt::Display for AttemptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
