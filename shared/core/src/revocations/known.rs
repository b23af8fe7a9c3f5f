//! The knowledge of a service that has read several lists.

use std::{collections::HashMap, time::Duration};

use super::{EndedSession, RevocationList};
use crate::{ids::SessionId, time::UnixSeconds};

/// The most sessions that are remembered. Beyond that only the latest list counts, and older tokens
/// count as expired.
const MAX_REMEMBERED: usize = 100_000;

/// All lists so far. An earlier list that arrives again changes nothing.
#[derive(Debug, Clone, Default)]
pub struct KnownEnds {
    /// Ended sessions, and until when they may have access tokens.
    ended: HashMap<EndedSession, UnixSeconds>,
    /// Every session that ended between these two is known.
    since: UnixSeconds,
    as_of: UnixSeconds,
}

/// Whether the session of an access token has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No list says that it has ended.
    NotEnded,
    /// It has ended.
    Ended,
    /// The token is older than the known ends: it counts as expired, and its client refreshes.
    TooOld,
}

impl KnownEnds {
    /// Adds a list that was received at `now`. Access tokens live for `reach`.
    pub fn learn(&mut self, list: &RevocationList, now: UnixSeconds, reach: Duration) {
        self.ended.retain(|_, until| now < *until);
        if self.ended.len().saturating_add(list.ended.len()) > MAX_REMEMBERED {
            *self = Self::default();
        }
        if self.as_of < list.since {
            // More sessions ended between two lists than one list can name.
            self.since = list.since;
        } else if self.since <= list.iat {
            self.since = self.since.min(list.since);
        }
        self.as_of = self.as_of.max(list.iat);
        let until = now.plus(reach);
        self.ended.extend(list.ended.iter().map(|session| (*session, until)));
    }

    /// Whether a session has ended whose token was issued at `issued_at`.
    #[must_use]
    pub fn standing(&self, session: SessionId, issued_at: UnixSeconds) -> Standing {
        if self.ended.contains_key(&EndedSession::from(session)) {
            Standing::Ended
        } else if issued_at < self.since {
            Standing::TooOld
        } else {
            Standing::NotEnded
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.ended.len()
    }
}
