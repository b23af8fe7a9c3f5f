//! How often passwords may be guessed.
//!
//! An attempt is counted before its password is hashed, in one conditional write per counter, and
//! counts as failed until the password has been proved: attempts that arrive at the same time get
//! no further than attempts one after the other. [`Throttle::decide`] says what a counter allows;
//! [`Throttle::steps`] says the same as the condition of that write. [`Counter`] says what each write
//! does, also when it arrives twice.

mod counter;

use std::{fmt, net::IpAddr, time::Duration};

use aws_lc_rs::digest;

pub use self::counter::{Counter, REMEMBERED};
use crate::{
    device_token::DeviceId,
    encoding::to_base64url,
    ids::SessionId,
    time::{UnixMillis, UnixSeconds},
    user::NameKey,
};

/// The longest delay between two attempts.
pub const LONGEST_DELAY: Duration = Duration::from_secs(3_600);

/// Failures of one network are forgotten after this time.
pub const NETWORK_WINDOW: Duration = Duration::from_secs(3_600);

/// How many failures a counter allows, and at what pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// This many failures cost no delay.
    pub free: u32,
    /// The delay after them. Every further failure doubles it, up to [`LONGEST_DELAY`].
    pub delay: Duration,
    /// After this many in succession no attempt is allowed until somebody unlocks.
    pub max: u32,
}

/// What limits guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptPolicy {
    /// For all devices that a user has not signed in from before, together; and for each device that
    /// the user has.
    ///
    /// # Security
    /// NIST SP 800-63B-4 §3.2.2: no more than 100 consecutive failures.
    pub account: Throttle,
    /// For each network, within [`NETWORK_WINDOW`]: an IPv4 address, or an IPv6 /64.
    pub network: Throttle,
}

/// What a counter holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// Attempts in succession that have not proved the password (yet).
    pub count: u32,
    /// When the last one began.
    pub last: UnixMillis,
}

/// Whether another attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// Not before this time has passed.
    Wait(Duration),
    /// Not before somebody unlocks.
    Locked,
}

/// One alternative of the condition under which an attempt may be made: both of its parts hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The counter is below this.
    pub below: u32,
    /// The last attempt began at this moment or before, if that matters.
    pub last_until: Option<UnixMillis>,
}

impl Throttle {
    /// The delay after `count` failures in succession.
    #[must_use]
    pub fn delay_after(&self, count: u32) -> Duration {
        let Some(doublings) = count.checked_sub(self.free) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.delay.saturating_mul(factor).min(LONGEST_DELAY)
    }

    /// Whether a counter (`None`: nothing has been counted) allows an attempt at `now`.
    #[must_use]
    pub fn decide(&self, failures: Option<Failures>, now: UnixMillis) -> Decision {
        let Some(failures) = failures else { return Decision::Allow };
        if failures.count >= self.max {
            return Decision::Locked;
        }
        let delay = self.delay_after(failures.count);
        let until = failures.last.plus(delay);
        if delay.is_zero() || until <= now {
            return Decision::Allow;
        }
        // Another function's clock may be ahead: nobody waits longer than the delay.
        let left = Duration::from_millis(until.get().saturating_sub(now.get()));
        Decision::Wait(left.min(delay))
    }

    /// [`decide`](Self::decide) as alternatives: an attempt is allowed if one of them holds.
    ///
    /// There are few: delays double until they are [`LONGEST_DELAY`].
    #[must_use]
    pub fn steps(&self, now: UnixMillis) -> Vec<Step> {
        let mut steps = vec![Step { below: self.free.min(self.max), last_until: None }];
        for count in self.free..self.max {
            let delay = self.delay_after(count);
            let longest = delay >= LONGEST_DELAY;
            let below = if longest { self.max } else { count.saturating_add(1) };
            // A delay longer than the time since the epoch allows nothing.
            steps.push(Step { below, last_until: Some(now.minus(delay)) });
            if longest {
                break;
            }
        }
        steps
    }
}

/// Names one attempt, so that a write that arrives twice counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptId([u8; 16]);

impl AttemptId {
    /// The attempt of these random bytes.
    #[must_use]
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// The bytes that the counter holds.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What a counter is for.
///
/// # Security
/// A name is in it as a hash only: what people type into the name's field is sometimes their
/// password. Names that nobody has are counted like any other, so that they cannot be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptKey {
    text: String,
    kept_for: Duration,
}

impl AttemptKey {
    /// Of a user name as it was typed, whether or not anybody has it.
    #[must_use]
    pub fn account(typed: &str) -> Self {
        // A succession does not end with time, but a year after the last attempt nobody is guessing.
        Self::new("account", &to_base64url(&name_hash(typed)), 365 * 24 * 3_600)
    }

    /// Of a device that a user has signed in from before.
    #[must_use]
    pub fn device(device: DeviceId) -> Self {
        Self::new("device", &to_base64url(device.as_bytes()), 365 * 24 * 3_600)
    }

    /// Of a session in which the password is asked for again. Somebody who has its access token cannot
    /// lock the owner out by wrong passwords, and may not guess more often than a stranger.
    #[must_use]
    pub fn session(session: SessionId) -> Self {
        Self::new("session", &to_base64url(session.as_bytes()), 365 * 24 * 3_600)
    }

    /// Of the network that a request came from, for the window that `now` is in. Requests of unknown
    /// origin are counted together.
    #[must_use]
    pub fn network(source: Option<IpAddr>, now: UnixMillis) -> Self {
        Self::of_network("network", source, now)
    }

    /// Of the same network, for what anybody may request without a session: registrations, messages,
    /// and the proofs in them. They and sign-ins do not use up each other's attempts.
    #[must_use]
    pub fn accounts(source: Option<IpAddr>, now: UnixMillis) -> Self {
        Self::of_network("accounts", source, now)
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
        let window = now.seconds().get() / NETWORK_WINDOW.as_secs();
        Self::new(kind, &format!("{network}#{window}"), 2 * NETWORK_WINDOW.as_secs())
    }

    fn new(kind: &str, whose: &str, kept_for: u64) -> Self {
        Self { text: format!("attempts#{kind}#{whose}"), kept_for: Duration::from_secs(kept_for) }
    }

    /// The key of the item.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// When the counter may be forgotten, if its last attempt began at `now`.
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

/// The hash of a typed name. All spellings of one name have one hash; what cannot be a name is hashed
/// as it is.
pub(crate) fn name_hash(typed: &str) -> [u8; 16] {
    let (kind, name) = match NameKey::parse(typed) {
        Ok(name) => (&b"name "[..], name.as_str().to_owned()),
        Err(_) => (&b"text "[..], typed.to_owned()),
    };
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"ratchet attempts ");
    context.update(kind);
    context.update(name.as_bytes());
    let mut hash = [0; 16];
    for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    hash
}

#[cfg(test)]
mod tests;
