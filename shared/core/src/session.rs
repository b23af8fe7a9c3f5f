//! A session, as the tokens table keeps it: one item for its whole life.

use serde::{Deserialize, Serialize};

use crate::{
    amr::Amr,
    authentication::Authentication,
    dpop::Thumbprint,
    ids::{SessionId, UserId},
    seal::SealedSecret,
    secret::SecretHash,
    time::{UnixMillis, UnixSeconds},
};

/// How many superseded generations a session remembers.
///
/// # Security
/// The rotation's condition allows at most this many rotations within one retry window, so every
/// token superseded within the window is still remembered. The item and the condition must use the
/// same number, or a recent token could be taken for theft.
pub const REGISTER_SLOTS: usize = 4;

/// One session of one user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Session {
    /// Whose session it is: the partition key.
    pub user_id: UserId,
    /// Which session it is: the sort key.
    pub session_id: SessionId,
    /// How many rotations there have been.
    pub generation: u32,
    /// The hash of the live secret.
    pub token_hash: SecretHash,
    /// The most recently superseded generations, the youngest first.
    pub superseded: [Option<Superseded>; REGISTER_SLOTS],
    /// The generations whose tokens were recovered late.
    pub recovered: LateRecoveries,
    /// The thumbprint of the key that the session is bound to, if any. Every request with its
    /// tokens has to prove possession of the key.
    pub jkt: Option<Thumbprint>,
    /// How the user signed in.
    pub amr: Amr,
    /// When the sign-in was complete: right before the session was written.
    pub auth_time: UnixMillis,
    /// The latest step-up, if there was one. It changes what access tokens say, and nothing about
    /// when the session ends.
    pub stepped_up: Option<Authentication>,
    /// The last cut of the user's sessions that the sign-in saw; zero if there had been none.
    /// Every later one ends the session, whatever the clocks say.
    pub cut_seen: UnixMillis,
    /// When the session ends, however often it is refreshed.
    pub absolute_expires_at: UnixSeconds,
    /// When the session ends if it is not refreshed before, never much after
    /// `absolute_expires_at`: DynamoDB's TTL attribute.
    pub expires_at: UnixSeconds,
    /// Where the last rotation came from.
    pub origin: Origin,
    /// The address that signed in.
    pub source_ip: String,
    /// What the client called the device when it signed in.
    pub device: Option<String>,
    /// Set once the session has been ended.
    pub revoked: Option<Revoked>,
}

/// A generation that has been superseded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Superseded {
    /// The hash of its secret.
    pub hash: SecretHash,
    /// The next secret, readable only with this one.
    pub sealed_successor: SealedSecret,
    /// When it was superseded.
    pub superseded_at: UnixMillis,
}

/// Where a request came from, as far as a session remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The network prefix in text form; empty if the gateway did not send it.
    pub network: String,
    /// The `User-Agent` header, cut to [`Origin::USER_AGENT_BYTES`].
    pub user_agent: String,
}

impl Origin {
    /// The longest user agent that is kept, in bytes: the item must stay below 1 KiB, which is
    /// one write unit.
    pub const USER_AGENT_BYTES: usize = 88;
}

/// User agents may be cut off up to this many characters earlier or later, because the version
/// numbers before can differ in length.
const CUT_SLACK: usize = 8;

impl Origin {
    /// Whether a request with `user_agent` comes from the same kind of client: the same text but
    /// for digits, dots and underscores, since browsers, apps and systems update themselves.
    ///
    /// # Security
    /// A user agent is not secret and can be forged. The check makes a stolen token harder to use,
    /// but is never sufficient to accept one.
    #[must_use]
    pub fn is_same_kind_of_client(&self, user_agent: &str) -> bool {
        let kind = |text: &str| -> Vec<char> {
            let kept = text.chars().take(Self::USER_AGENT_BYTES);
            kept.filter(|sign| !sign.is_ascii_digit() && !['.', '_'].contains(sign)).collect()
        };
        let (ours, theirs) = (kind(&self.user_agent), kind(user_agent));
        let is_cut = |text: &str| text.len() >= Self::USER_AGENT_BYTES;
        let one_goes_on = || ours.starts_with(&theirs) || theirs.starts_with(&ours);
        ours == theirs
            || (is_cut(&self.user_agent) || is_cut(user_agent))
                && ours.len().abs_diff(theirs.len()) <= CUT_SLACK
                && one_goes_on()
    }
}

/// The generations that were live when a late token was recovered, the most recent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LateRecoveries([Option<u32>; Self::KEPT]);

impl LateRecoveries {
    /// How many are kept: the largest number of recoveries that can be configured.
    pub const KEPT: usize = 4;

    /// From a stored list, most recent first. Keeps at most [`Self::KEPT`].
    #[must_use]
    pub fn from_kept(generations: impl IntoIterator<Item = u32>) -> Self {
        let mut kept = [None; Self::KEPT];
        for (slot, generation) in kept.iter_mut().zip(generations) {
            *slot = Some(generation);
        }
        Self(kept)
    }

    /// The generations, the most recent first.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied().flatten()
    }

    /// The generation that was noted last.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.iter().next()
    }

    /// How many were noted within the last `window` generations before and including `generation`.
    #[must_use]
    pub fn within(&self, generation: u32, window: u32) -> usize {
        self.iter().filter(|noted| generation.saturating_sub(*noted) < window).count()
    }

    /// These and `generation`.
    #[must_use]
    pub fn noting(&self, generation: u32) -> Self {
        Self::from_kept(std::iter::once(generation).chain(self.iter()))
    }
}

/// When and why a session was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revoked {
    /// When.
    pub at: UnixMillis,
    /// Why.
    pub reason: RevocationReason,
}

/// Why a session was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationReason {
    /// A token superseded before the retry window was presented.
    ReuseDetected,
    /// The client logged out.
    LoggedOut,
    /// The user ended this session from another one.
    EndedByUser,
    /// The user ended all sessions, or all but one.
    EndedEverywhere,
    /// The user is disabled or deleted.
    UserDisabled,
    /// The password was changed or reset.
    PasswordChanged,
    /// An administrator ended the user's sessions.
    EndedByAdministrator,
}

impl RevocationReason {
    const NAMES: [(Self, &'static str); 7] = [
        (Self::ReuseDetected, "reuse_detected"),
        (Self::LoggedOut, "logged_out"),
        (Self::EndedByUser, "ended_by_user"),
        (Self::EndedEverywhere, "ended_everywhere"),
        (Self::UserDisabled, "user_disabled"),
        (Self::PasswordChanged, "password_changed"),
        (Self::EndedByAdministrator, "ended_by_administrator"),
    ];

    /// All reasons.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::NAMES.into_iter().map(|(reason, _)| reason)
    }

    /// The name in items, events and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(reason, _)| *reason == self).map_or("", |(_, name)| name)
    }

    /// The reason of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(reason, _)| *reason)
    }
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// Somebody or something ended it.
    Revoked(RevocationReason),
    /// Its absolute lifetime is over.
    ExpiredAbsolute,
    /// It was not refreshed in time.
    ExpiredIdle,
}

impl Session {
    /// The longest device label, in bytes, for the same reason as [`Origin::USER_AGENT_BYTES`].
    pub const DEVICE_BYTES: usize = 40;

    /// Why the session is over at `now`; `None` while it lives.
    ///
    /// DynamoDB deletes expired items days late, so expiry is decided here, on every read, to the
    /// second.
    #[must_use]
    pub fn ended(&self, now: UnixMillis) -> Option<Ended> {
        if let Some(revoked) = self.revoked {
            Some(Ended::Revoked(revoked.reason))
        } else if self.absolute_expires_at <= now.seconds() {
            Some(Ended::ExpiredAbsolute)
        } else if self.expires_at <= now.seconds() {
            Some(Ended::ExpiredIdle)
        } else {
            None
        }
    }

    /// Whether a request that proves possession of `key`, or of none, may use the session's tokens.
    /// A session that is not bound accepts any request.
    #[must_use]
    pub fn accepts(&self, key: Option<Thumbprint>) -> bool {
        self.jkt.is_none_or(|jkt| key == Some(jkt))
    }

    /// The latest authentication: what access tokens of this session say.
    #[must_use]
    pub fn authentication(&self) -> Authentication {
        self.stepped_up.unwrap_or(Authentication { at: self.auth_time, amr: self.amr })
    }

    /// The session after a step-up has been written: what the store's `UpdateItem` does. `None` if
    /// it has ended.
    #[must_use]
    pub fn step_up(&self, authentication: Authentication) -> Option<Self> {
        let lives = self.ended(authentication.at).is_none();
        lives.then(|| Self { stepped_up: Some(authentication), ..self.clone() })
    }

    /// Whether a late recovery was noted for a generation that became live after `time`.
    ///
    /// The register has the times of the last [`REGISTER_SLOTS`] rotations only; earlier ones are
    /// ignored.
    #[must_use]
    pub fn recovered_since(&self, time: UnixMillis) -> bool {
        self.recovered.iter().any(|noted| {
            let ago = usize::try_from(self.generation.saturating_sub(noted));
            let slot = ago.ok().and_then(|ago| self.superseded.get(ago)?.as_ref());
            slot.is_some_and(|slot| slot.superseded_at > time)
        })
    }

    /// When the session was last refreshed, or created.
    #[must_use]
    pub fn refreshed_at(&self) -> UnixMillis {
        match &self.superseded {
            [Some(youngest), ..] => youngest.superseded_at,
            _ => self.auth_time,
        }
    }
}

/// Picks the sessions to delete so that at most `max` remain. Ended sessions go first, then the
/// least recently used.
///
/// `sessions` are all that the table has after `new` was written. Concurrent sign-ins therefore
/// pick the same ones, and the last of them to read sees them all: the cap holds once all have
/// answered.
#[must_use]
pub fn to_evict(
    sessions: &[Session],
    new: &Session,
    now: UnixMillis,
    max: usize,
) -> Vec<SessionId> {
    let is_new = |session: &Session| session.session_id == new.session_id;
    let missing = (!sessions.iter().any(is_new)).then_some(new);
    // Ids decide between sessions that were used in the same millisecond.
    let mut all: Vec<_> = sessions
        .iter()
        .chain(missing)
        .map(|session| (session.ended(now).is_none(), session.refreshed_at(), session.session_id))
        .collect();
    all.sort_unstable();
    let excess = all.len().saturating_sub(max);
    all.into_iter().take(excess).map(|(.., session_id)| session_id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(made: u64, ended: bool) -> Session {
        let at = UnixMillis::new(made);
        Session {
            user_id: UserId::from_bytes([1; 16]),
            session_id: SessionId::generate(at, &[0; 10]),
            generation: 0,
            token_hash: SecretHash::from_bytes([0; 32]),
            superseded: [None; REGISTER_SLOTS],
            recovered: LateRecoveries::default(),
            jkt: None,
            amr: Amr::PASSWORD,
            stepped_up: None,
            auth_time: at,
            cut_seen: UnixMillis::new(0),
            absolute_expires_at: UnixSeconds::new(1_000),
            expires_at: UnixSeconds::new(1_000),
            origin: Origin { network: String::new(), user_agent: String::new() },
            source_ip: String::new(),
            device: None,
            revoked: ended.then_some(Revoked { at, reason: RevocationReason::LoggedOut }),
        }
    }

    #[test]
    fn the_oldest_session_makes_room_but_an_ended_one_goes_first() {
        let sessions = [session(1, false), session(2, false), session(3, true), session(4, false)];
        let new = session(5, false);
        let now = UnixMillis::new(6);
        assert_eq!(to_evict(&sessions, &new, now, 5), []);
        assert_eq!(to_evict(&sessions, &new, now, 4), [sessions[2].session_id]);
        assert_eq!(
            to_evict(&sessions, &new, now, 3),
            [sessions[2].session_id, sessions[0].session_id]
        );
    }

    #[test]
    fn what_makes_room_is_the_session_that_was_used_longest_ago() {
        let mut sessions = [1, 2, 3].map(|made| session(made, false));
        sessions[0].superseded[0] = Some(Superseded {
            hash: SecretHash::from_bytes([1; 32]),
            sealed_successor: SealedSecret::from_bytes([0; 60]),
            superseded_at: UnixMillis::new(4),
        });
        let evicted = to_evict(&sessions, &session(5, false), UnixMillis::new(6), 3);
        assert_eq!(evicted, [sessions[1].session_id]);
    }

    #[test]
    fn of_sign_ins_at_the_same_time_the_last_ones_stay() {
        let sessions = [1, 2, 3, 4].map(|made| session(made, false));
        for new in &sessions {
            let evicted = to_evict(&sessions, new, UnixMillis::new(5), 2);
            assert_eq!(evicted, [sessions[0].session_id, sessions[1].session_id]);
        }
    }

    #[test]
    fn an_update_of_a_browser_is_the_same_kind_of_client_and_another_browser_is_not() {
        let origin = |user_agent: &str| Origin {
            network: String::new(),
            user_agent: user_agent.chars().take(Origin::USER_AGENT_BYTES).collect(),
        };
        let chrome = |version: &str| {
            format!(
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/{version} Safari/537.36"
            )
        };
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let before = origin(&chrome("99.0.4844.51"));
        // One digit more moves the cut.
        assert!(before.is_same_kind_of_client(&chrome("100.0.4896.60")));
        assert!(origin(&chrome("100.0.4896.60")).is_same_kind_of_client(&chrome("99.0.4844.51")));
        assert!(origin("Ada/1.2.9 (iPhone)").is_same_kind_of_client("Ada/1.2.10 (iPhone)"));
        let iphone = |version: &str| {
            format!(
                "Mozilla/5.0 (iPhone; CPU iPhone OS {version} like Mac OS X) AppleWebKit/605.1.15"
            )
        };
        assert!(origin(&iphone("17_5_1")).is_same_kind_of_client(&iphone("18_0")));
        assert!(origin("").is_same_kind_of_client(""));
        for other in [firefox, "", "curl/8.5.0", &"1".repeat(100), &chrome("")[..60]] {
            assert!(!before.is_same_kind_of_client(other), "{other}");
            assert!(!origin(other).is_same_kind_of_client(&chrome("99.0.4844.51")), "{other}");
        }
    }

    #[test]
    fn late_recoveries_are_counted_within_a_window_of_generations_and_four_are_kept() {
        let noted =
            [3, 5, 9, 12, 13].iter().fold(LateRecoveries::default(), |all, g| all.noting(*g));
        assert_eq!(noted.iter().collect::<Vec<_>>(), [13, 12, 9, 5]);
        assert_eq!(noted.last(), Some(13));
        assert_eq!((noted.within(13, 8), noted.within(17, 8), noted.within(21, 8)), (3, 2, 0));
        assert_eq!(LateRecoveries::from_kept(noted.iter()), noted);
    }

    #[test]
    fn every_reason_is_read_back_by_its_name() {
        for (reason, name) in RevocationReason::NAMES {
            assert_eq!(reason.as_str(), name);
            assert_eq!(RevocationReason::from_name(name), Some(reason));
        }
        assert_eq!(RevocationReason::from_name(""), None);
    }
}
