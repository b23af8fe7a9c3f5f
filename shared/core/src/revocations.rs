//! Sessions that ended lately: what lets others refuse access tokens that have not expired yet.
//!
//! Whatever ends a session is known by the session, so that is all there is to say: nothing else
//! has to be compared with anybody's clock. The [list](RevocationList) that is published reaches
//! back as far as there may be access tokens, and names at most [`MAX_ENDED`] sessions. If more
//! ended, it says from when on it is complete, and older tokens count as expired: their clients
//! refresh, which ended sessions can not. Who looks regularly loses nothing by that, because
//! [`KnownEnds`] adds up what lists said.

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

/// How long others may keep a list before they look again.
pub const MAX_AGE: Duration = Duration::from_secs(15);

/// What a list says is as of a whole multiple of this: while nothing ends, the same list is given
/// out, and who has it already is not sent it again.
const STEP: Duration = Duration::from_secs(60);

/// From so many sessions on a list is as of when it is made: with so many ends it seldom stays the
/// same.
const BUSY: usize = MAX_ENDED / 10;

/// So long after its end a session may still be missing from where ends are read.
const LAG: Duration = Duration::from_secs(5);

/// A session that ended, as others know it: half of the SHA-256 of its id.
///
/// # Security
/// Who has an access token has the id and can compare; everybody else learns neither ids nor, as
/// they contain it, when people signed in.
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

/// The ends of sessions as they were found, from a point in time on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentEnds {
    ended: Vec<EndedSession>,
    since: UnixSeconds,
    as_of: UnixSeconds,
}

impl RecentEnds {
    /// As of when ends can be told at `now`: what ended later may be missing from where they are read.
    fn settled(now: UnixMillis) -> UnixSeconds {
        now.minus(LAG).seconds()
    }

    /// The same for as long as possible.
    fn as_of(now: UnixMillis) -> UnixSeconds {
        let settled = Self::settled(now).get();
        UnixSeconds::new(settled - settled % STEP.as_secs())
    }

    /// From when on ends have to be told at `now`, if access tokens live for `reach`.
    #[must_use]
    pub fn wanted_since(now: UnixMillis, reach: Duration) -> UnixSeconds {
        UnixSeconds::new(Self::as_of(now).get().saturating_sub(reach.as_secs()))
    }

    /// What was found at `now`: the sessions that ended since [`RecentEnds::wanted_since`], the last
    /// one first; all that there are, or the last `MAX_ENDED + 1` or more of them.
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
        // While many end, the next list may not go back far: it shall adjoin this one all the same.
        let as_of = if told.len() > BUSY { Self::settled(now) } else { Self::as_of(now) };
        let mut ended: Vec<_> = told.iter().map(|(id, _)| EndedSession::from(*id)).collect();
        // One spelling for one set, and no order of events.
        ended.sort_unstable();
        Self { ended, since, as_of }
    }
}

#[cfg(test)]
mod tests;
