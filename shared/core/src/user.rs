//! The part of a user that decides about sessions, and user names.

use std::{fmt, time::Duration};

use aws_lc_rs::digest;
use precis_core::profile::PrecisFastInvocation as _;
use precis_profiles::UsernameCaseMapped;
use serde::{Deserialize, Serialize};

use crate::{
    custom_claims::CustomClaims,
    ids::{SessionId, UserId},
    session::Session,
    time::UnixMillis,
};

/// The maximum length of a user name, in characters after normalisation.
pub const NAME_CHARS: usize = 64;

/// How long an unconfirmed registration reserves its name and address. Three days cover a weekend,
/// and are three times the life of a link.
pub const UNCONFIRMED_LIFE: Duration = Duration::from_hours(72);

/// How much longer the item of an address waits than its newest registration. A request that began
/// earlier may be the last one to write the item. It is longer than any request takes.
pub const ADDRESS_OUTLIVES: Duration = Duration::from_mins(1);

/// A user name in the form in which names are compared: PRECIS `UsernameCaseMapped`
/// (RFC 8265 §3.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameKey(String);

/// The text is not a valid user name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a user name has 1 to {NAME_CHARS} letters, digits and signs, and no spaces (RFC 8265 §3.3)"
)]
pub struct InvalidName;

impl NameKey {
    /// Normalises a name for comparison. Ignores white space around it, which some keyboards add.
    ///
    /// # Errors
    /// [`InvalidName`] if the profile forbids the name, if it is too long, or if normalising it
    /// twice gives another result: the profile's tables and its case mapping follow different
    /// versions of Unicode, so the mapping yields letters that the tables forbid (U+AB70 for
    /// U+13A0).
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        let name = name.trim();
        let name = name.trim();
        // The cap comes first, because normalising a long text is expensive.
        if name.len() > NAME_CHARS * 4 {
            return Err(InvalidName);
        }
        let key = UsernameCaseMapped::enforce(name).map_err(|_| InvalidName)?;
        let again = UsernameCaseMapped::enforce(&*key).map_err(|_| InvalidName)?;
        if key.chars().count() > NAME_CHARS || again != key {
            return Err(InvalidName);
        }
        Ok(Self(key.into_owned()))
    }

    /// A key as read from an item, unchecked. The rules for names may have changed since it was
    /// written, which must not make the user's item unreadable.
    #[must_use]
    pub const fn stored(key: String) -> Self {
        Self(key)
    }

    /// The normalised text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part of a user that decides about sessions and goes into access tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's permanent id.
    pub id: UserId,
    /// The name as the user writes it.
    pub name: String,
    /// Whether the user may have sessions.
    pub status: UserStatus,
    /// Whether the e-mail address has been confirmed.
    pub email_confirmed: bool,
    /// Whether a second factor is on.
    pub second_factor: bool,
    /// Whether there are passkeys.
    pub has_passkeys: bool,
    /// Roles for access tokens.
    pub roles: Vec<String>,
    /// Custom claims for access tokens.
    pub claims: CustomClaims,
    /// The latest 'log out everywhere', if there was one.
    pub cut: Option<SessionsCut>,
}

/// Whether a user may sign in and refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// The user may.
    Active,
    /// The user may not; existing sessions end at their next refresh.
    Disabled,
}

/// A 'log out everywhere': one attribute of the user, so that it takes effect in one write.
///
/// # Security
/// Cuts are numbered, and each session records the number current when its password was checked. A
/// sign-in that started before a cut therefore ends with it, whatever the clocks say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionsCut {
    /// The cut's number: its time, or one millisecond more than the previous cut if that is later.
    pub valid_after: UnixMillis,
    /// The one session that the cut spares, if the user ended all others.
    pub spared: Option<SessionId>,
}

impl SessionsCut {
    /// Whether the cut ends a session: its sign-in did not see the cut.
    #[must_use]
    pub fn ends(&self, session: &Session) -> bool {
        self.spared != Some(session.session_id) && session.cut_seen < self.valid_after
    }

    /// This cut, numbered after `previous`, even if the clock is behind.
    #[must_use]
    pub fn following(self, previous: UnixMillis) -> Self {
        let next = previous.plus(Duration::from_millis(1));
        Self { valid_after: self.valid_after.max(next), ..self }
    }
}

/// Whether these are valid roles: at most 16 names of a-z, 0-9, _ and -, of at most 32 characters
/// each. That bounds the size of a token, and lets the names be joined by spaces.
#[must_use]
pub fn are_roles(roles: &[String]) -> bool {
    let sign = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
    };
    let is_role = |role: &String| (1..=32).contains(&role.len()) && role.bytes().all(sign);
    roles.len() <= 16 && roles.iter().all(is_role)
}

impl User {
    /// Whether this user may continue `session`.
    #[must_use]
    pub fn allows(&self, session: &Session) -> bool {
        self.status == UserStatus::Active && !self.cut.is_some_and(|cut| cut.ends(session))
    }

    /// The number of the latest cut, which a new session stores as [`Session::cut_seen`].
    #[must_use]
    pub fn cut_seen(&self) -> UnixMillis {
        self.cut.map_or(UnixMillis::new(0), |cut| cut.valid_after)
    }

    /// The number of a cut that follows this one at `now`, as the store numbers cuts that are part of
    /// another change.
    #[must_use]
    pub fn next_cut(&self, now: UnixMillis) -> UnixMillis {
        self.cut.map_or(now, |cut| cut.valid_after).plus(Duration::from_millis(1))
    }
}

/// Hashes a name as typed. All spellings of a name have the same hash; text that is not a valid
/// name is hashed as it is.
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
mod tests {
    use super::*;
    use crate::{
        amr::Amr,
        secret::SecretHash,
        session::{LateRecoveries, Origin, REGISTER_SLOTS},
        time::UnixSeconds,
    };

    #[test]
    fn names_are_compared_without_case_and_width() {
        let ada = NameKey::parse("Ada").unwrap();
        for same in ["ada", "ADA", "\u{ff21}da"] {
            assert_eq!(NameKey::parse(same).unwrap(), ada, "{same}");
        }
        assert_eq!(NameKey::parse("A\u{30a}").unwrap(), NameKey::parse("\u{e5}").unwrap());
    }

    #[test]
    fn names_of_the_maximum_length_are_accepted() {
        // Characters of four bytes each: both caps are reached exactly.
        let longest = "\u{10330}".repeat(NAME_CHARS);
        assert_eq!(longest.len(), NAME_CHARS * 4);
        for longest in [longest, "a".repeat(NAME_CHARS)] {
            let key = NameKey::parse(&longest).unwrap();
            assert_eq!(key.as_str(), longest);
            assert_eq!(key.to_string(), longest);
        }
    }

    #[test]
    fn invalid_names_are_refused() {
        let long = "a".repeat(NAME_CHARS + 1);
        for name in ["", " ", "a b", "a\u{0}", "\u{200b}", &long, &"\u{10330}".repeat(100_000)] {
            assert_eq!(NameKey::parse(name), Err(InvalidName), "{name:.20}");
        }
    }

    #[test]
    fn normalising_a_normalised_name_changes_nothing() {
        for letter in (0..=0x10_ffff).filter_map(char::from_u32) {
            for name in [letter.to_string(), format!("a{letter}")] {
                let Ok(key) = NameKey::parse(&name) else { continue };
                assert_eq!(NameKey::parse(key.as_str()), Ok(key), "{name:?}");
            }
        }
        assert_eq!(NameKey::parse("\u{13a0}"), Err(InvalidName), "its lower case is not allowed");
    }

    fn session(number: u64, cut_seen: u64) -> Session {
        Session {
            user_id: UserId::from_bytes([1; 16]),
            session_id: SessionId::generate(UnixMillis::new(number), &[0; 10]),
            generation: 0,
            token_hash: SecretHash::from_bytes([0; 32]),
            superseded: [None; REGISTER_SLOTS],
            recovered: LateRecoveries::default(),
            jkt: None,
            amr: Amr::PASSWORD,
            stepped_up: None,
            auth_time: UnixMillis::new(5_000),
            cut_seen: UnixMillis::new(cut_seen),
            absolute_expires_at: UnixSeconds::new(1_000),
            expires_at: UnixSeconds::new(1_000),
            origin: Origin { network: String::new(), user_agent: String::new() },
            source_ip: String::new(),
            device: None,
            revoked: None,
        }
    }

    #[test]
    fn roles_are_limited_in_number_and_length() {
        let are =
            |roles: &[&str]| are_roles(&roles.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(are(&[]) && are(&["admin", "a-b_9"]) && are(&["r"; 16]) && are(&[&"r".repeat(32)]));
        for roles in [&["site admin"][..], &[""], &["Admin"], &["r"; 17], &[&"r".repeat(33)]] {
            assert!(!are(roles), "{roles:?}");
        }
    }

    #[test]
    fn a_cut_ends_sessions_that_did_not_see_it_and_spares_the_named_one() {
        let spared = session(5, 0);
        let cut =
            SessionsCut { valid_after: UnixMillis::new(1_000), spared: Some(spared.session_id) };
        assert!(cut.ends(&session(1, 0)), "although its password was checked after the cut");
        assert!(cut.ends(&session(1, 999)));
        assert!(!cut.ends(&session(1, 1_000)));
        assert!(!cut.ends(&session(1, 1_001)));
        assert!(!cut.ends(&spared));
    }

    #[test]
    fn a_cut_follows_the_previous_one_whatever_the_clock_says() {
        let cut = SessionsCut { valid_after: UnixMillis::new(1_000), spared: None };
        let after = |previous| cut.following(UnixMillis::new(previous)).valid_after.get();
        assert_eq!(
            [after(0), after(999), after(1_000), after(7_000)],
            [1_000, 1_000, 1_001, 7_001]
        );
    }

    #[test]
    fn a_disabled_user_and_a_session_from_before_the_cut_are_not_allowed() {
        let user = |status, cut| User {
            id: UserId::from_bytes([1; 16]),
            name: String::new(),
            status,
            email_confirmed: true,
            second_factor: false,
            has_passkeys: false,
            roles: Vec::new(),
            claims: CustomClaims::default(),
            cut,
        };
        let cut = SessionsCut { valid_after: UnixMillis::new(1_000), spared: None };
        let active = user(UserStatus::Active, Some(cut));
        assert_eq!(active.cut_seen(), UnixMillis::new(1_000));
        assert!(active.allows(&session(1, 1_000)));
        assert!(!active.allows(&session(1, 999)));
        assert!(user(UserStatus::Active, None).allows(&session(1, 0)));
        assert_eq!(user(UserStatus::Active, None).cut_seen(), UnixMillis::new(0));
        assert!(!user(UserStatus::Disabled, None).allows(&session(1, 1_000)));
    }
}
