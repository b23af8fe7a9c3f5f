//! What somebody who reads lists knows after a while.

use std::{collections::HashMap, time::Duration};

use super::{EndedSession, RevocationList};
use crate::{ids::SessionId, time::UnixSeconds};

/// The most sessions that are remembered. Beyond it only the last list counts, and what it does not
/// reach back to is taken for expired.
const MAX_REMEMBERED: usize = 100_000;

/// The sum of the lists so far. An earlier list that comes again takes nothing away.
#[derive(Debug, Clone, Default)]
pub struct KnownEnds {
    /// Sessions, and until when there may be access tokens of them.
    ended: HashMap<EndedSession, UnixSeconds>,
    /// What ended between these two is known.
    since: UnixSeconds,
    as_of: UnixSeconds,
}

/// What is known of the session of an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has not ended, as far as anybody has told.
    NotEnded,
    /// It has ended.
    Ended,
    /// The token is older than what is known reaches back: it counts as expired, and its client
    /// refreshes.
    TooOld,
}

impl KnownEnds {
    /// Adds a list that came at `now`. Access tokens live for `reach`.
    pub fn learn(&mut self, list: &RevocationList, now: UnixSeconds, reach: Duration) {
        self.ended.retain(|_, until| now < *until);
        if self.ended.len().saturating_add(list.ended.len()) > MAX_REMEMBERED {
            *self = Self::default();
        }
        if self.as_of < list.since {
            // More ended between two lists than one can name.
            self.since = list.since;
        } else if self.since <= list.iat {
            self.since = self.since.min(list.since);
        }
        self.as_of = self.as_of.max(list.iat);
        let until = now.plus(reach);
        self.ended.extend(list.ended.iter().map(|session| (*session, until)));
    }

    /// What is known of a session whose token was issued at `issued_at`.
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
