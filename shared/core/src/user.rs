//! Users, as far as signing in and listing need them.

use std::{fmt, time::Duration};

use precis_core::profile::PrecisFastInvocation as _;
use precis_profiles::UsernameCaseMapped;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{SessionId, UserId},
    session::Session,
    time::UnixMillis,
};

/// The longest user name, in characters after normalisation.
pub const NAME_CHARS: usize = 64;

/// How long name and address are kept for somebody who registered and does not confirm the address.
/// Three days are a week-end, and three times the life of a link.
pub const UNCONFIRMED_LIFE: Duration = Duration::from_hours(72);

/// A user name in the form by which names are compared: PRECIS `UsernameCaseMapped`
/// (RFC 8265 §3.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameKey(String);

/// The text can not be a user name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a user name has 1 to {NAME_CHARS} letters, digits and signs, and no spaces (RFC 8265 §3.3)"
)]
pub struct InvalidName;

impl NameKey {
    /// Normalises a name for comparison.
    ///
    /// # Errors
    /// [`InvalidName`] if the profile forbids it, it is too long, or what the profile makes of it is
    /// not a name in that form itself: the profile's tables are of another Unicode than its lower
    /// case, and forbid letters that it yields (U+AB70 for U+13A0).
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        // The cap comes first: normalisation may only be asked of short texts.
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

    /// A key that was kept, as it is. Which names are allowed may have changed since: that must not
    /// make the user's item unreadable.
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

/// What of a user decides about sessions and goes into access tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who it is, for ever.
    pub id: UserId,
    /// The name as the user writes it.
    pub name: String,
    /// Whether the user may have sessions at all.
    pub status: UserStatus,
    /// Whether the e-mail address has been confirmed.
    pub email_confirmed: bool,
    /// Roles for access tokens.
    pub roles: Vec<String>,
    /// Set by 'log out everywhere'.
    pub cut: Option<SessionsCut>,
}

/// Whether a user may sign in and refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// Yes.
    Active,
    /// No; existing sessions end at their next refresh.
    Disabled,
}

/// A 'log out everywhere': one attribute of the user, so that it takes effect in one write.
///
/// # Security
/// A cut is told from the one before by its number, which only grows, and a session remembers the
/// cut that its sign-in read together with the password. So a sign-in that was under way with the
/// old password when the cut came is ended, one that saw the cut is not, and no clock decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionsCut {
    /// When it was, but always later than the cut before.
    pub valid_after: UnixMillis,
    /// The one session that goes on, if the user ended all others.
    pub spared: Option<SessionId>,
}

impl SessionsCut {
    /// Whether the cut ended a session: whether its sign-in had not seen it.
    #[must_use]
    pub fn ends(&self, session: &Session) -> bool {
        self.spared != Some(session.session_id) && session.cut_seen < self.valid_after
    }

    /// This cut, made after `previous`: a clock that is behind must not hide it.
    #[must_use]
    pub fn following(self, previous: UnixMillis) -> Self {
        let next = previous.plus(Duration::from_millis(1));
        Self { valid_after: self.valid_after.max(next), ..self }
    }
}

/// Whether these may be a user's roles: at most 16 names of a-z, 0-9, _ and -, of at most 32
/// characters each. Then a token with them is as short as it may be, and they can be joined by spaces.
#[must_use]
pub fn are_roles(roles: &[String]) -> bool {
    let sign = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
    };
    let is_role = |role: &String| (1..=32).contains(&role.len()) && role.bytes().all(sign);
    roles.len() <= 16 && roles.iter().all(is_role)
}

impl User {
    /// Whether this user may go on with `session`.
    #[must_use]
    pub fn allows(&self, session: &Session) -> bool {
        self.status == UserStatus::Active && !self.cut.is_some_and(|cut| cut.ends(session))
    }

    /// What a session that is made for this user, as read, keeps as [`Session::cut_seen`].
    #[must_use]
    pub fn cut_seen(&self) -> UnixMillis {
        self.cut.map_or(UnixMillis::new(0), |cut| cut.valid_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
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
    fn the_longest_names_are_names() {
        // Four bytes each, and as many as there may be: both caps are met and not exceeded.
        let longest = "\u{10330}".repeat(NAME_CHARS);
        assert_eq!(longest.len(), NAME_CHARS * 4);
        for longest in [longest, "a".repeat(NAME_CHARS)] {
            let key = NameKey::parse(&longest).unwrap();
            assert_eq!(key.as_str(), longest);
            assert_eq!(key.to_string(), longest);
        }
    }

    #[test]
    fn what_can_not_be_a_name_is_refused() {
        let long = "a".repeat(NAME_CHARS + 1);
        for name in ["", " ", "a b", "a\u{0}", "\u{200b}", &long, &"\u{10330}".repeat(100_000)] {
            assert_eq!(NameKey::parse(name), Err(InvalidName), "{name:.20}");
        }
    }

    #[test]
    fn what_is_made_of_any_letter_is_made_of_itself_again() {
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
    fn roles_are_few_short_words() {
        let are =
            |roles: &[&str]| are_roles(&roles.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(are(&[]) && are(&["admin", "a-b_9"]) && are(&["r"; 16]) && are(&[&"r".repeat(32)]));
        for roles in [&["site admin"][..], &[""], &["Admin"], &["r"; 17], &[&"r".repeat(33)]] {
            assert!(!are(roles), "{roles:?}");
        }
    }

    #[test]
    fn a_cut_ends_what_had_not_seen_it_and_spares_the_one_it_names() {
        let spared = session(5, 0);
        let cut =
            SessionsCut { valid_after: UnixMillis::new(1_000), spared: Some(spared.session_id) };
        assert!(cut.ends(&session(1, 0)), "although its password was proved after the cut");
        assert!(cut.ends(&session(1, 999)));
        assert!(!cut.ends(&session(1, 1_000)));
        assert!(!cut.ends(&session(1, 1_001)));
        assert!(!cut.ends(&spared));
    }

    #[test]
    fn a_cut_is_later_than_the_one_before_whatever_the_clock_says() {
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
            roles: Vec::new(),
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
