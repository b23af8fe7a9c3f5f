//! Sessions that ended recently, so that other services can refuse their unexpired access tokens.
//!
//! The published [list](RevocationList) covers as much time as an access token can live, and names at
//! most [`MAX_ENDED`] sessions. If more ended, it states from when on it is complete. Older tokens then
//! count as expired: their clients refresh, which ended sessions cannot. A service that reads the list
//! regularly does not need that, because [`KnownEnds`] accumulates the lists.

mod known;
mod list;

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use self::{
    known::{KnownEnds, Standing},
    list::{ListError, MAX_LIST_LEN, RevocationList, UnsignedList},
};
use crate::{
    encoding::{from_base64url, sha256, to_base64url},
    ids::SessionId,
    time::{UnixMillis, UnixSeconds},
};

/// The most sessions that a list names.
pub const MAX_ENDED: usize = 1_000;

/// How long others may cache a list.
pub const MAX_AGE: Duration = Duration::from_secs(15);

/// Lists are dated to multiples of this. While no session ends, the list does not change, and a
/// client that has it gets a 304.
const STEP: Duration = Duration::from_secs(60);

/// A list with at least this many sessions is dated to the second, because it would change anyway.
const BUSY: usize = MAX_ENDED / 10;

/// How long after its end a session may be missing from the index: it is eventually consistent.
const LAG: Duration = Duration::from_secs(5);

/// A session that ended, as the list names it: half of the SHA-256 of its id.
///
/// # Security
/// The holder of an access token has the id and can compare. Others learn neither ids nor the sign-in
/// times that ids contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndedSession([u8; 16]);

impl From<SessionId> for EndedSession {
    fn from(id: SessionId) -> Self {
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(sha256(id.to_string().as_bytes())) {
            *to = from;
        }
        Self(half)
    }
}

impl Serialize for EndedSession {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_base64url(&self.0))
    }
}

impl<'de> Deserialize<'de> for EndedSession {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = from_base64url(&text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| D::Error::custom("not the hash of a session"))
    }
}

/// The sessions that were found to have ended since some point in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentEnds {
    ended: Vec<EndedSession>,
    since: UnixSeconds,
    as_of: UnixSeconds,
}

impl RecentEnds {
    /// The time up to which the index is complete at `now`.
    fn settled(now: UnixMillis) -> UnixSeconds {
        now.minus(LAG).seconds()
    }

    /// The date of a list made at `now`: the same for as long as possible.
    fn as_of(now: UnixMillis) -> UnixSeconds {
        let settled = Self::settled(now).get();
        UnixSeconds::new(settled - settled % STEP.as_secs())
    }

    /// The time from which on ends are listed at `now`, if access tokens live for `reach`.
    #[must_use]
    pub fn wanted_since(now: UnixMillis, reach: Duration) -> UnixSeconds {
        UnixSeconds::new(Self::as_of(now).get().saturating_sub(reach.as_secs()))
    }

    /// `found` at `now`: the sessions that ended since [`RecentEnds::wanted_since`], the latest first.
    /// Either all of them, or at least the latest `MAX_ENDED + 1`.
    #[must_use]
    pub fn new(found: &[(SessionId, UnixMillis)], now: UnixMillis, reach: Duration) -> Self {
        let told = found.get(..MAX_ENDED).unwrap_or(found);
        let since = match told.last() {
            // Others may have ended in the same second.
            Some((_, oldest)) if told.len() < found.len() => {
                oldest.seconds().plus(Duration::from_secs(1))
            }
            _ => Self::wanted_since(now, reach),
        };
        // While many end, the next list may not reach back far. It has to adjoin this one.
        let as_of = if told.len() > BUSY { Self::settled(now) } else { Self::as_of(now) };
        let mut ended: Vec<_> = told.iter().map(|(id, _)| EndedSession::from(*id)).collect();
        // Sorted, so that the same set is the same text and the order of events does not show.
        ended.sort_unstable();
        Self { ended, since, as_of }
    }
}

#[cfg(test)]
mod tests;
