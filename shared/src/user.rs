//! Users, as far as signing in and listing need them.

use std::fmt;

use precis_core::profile::PrecisFastInvocation as _;
use precis_profiles::UsernameCaseMapped;

use crate::{
    ids::{SessionId, UserId},
    session::Session,
    time::UnixMillis,
};

/// The longest user name, in characters after normalisation.
pub const NAME_CHARS: usize = 64;

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
    /// [`InvalidName`] if the profile forbids it or it is too long.
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        // The cap comes first: normalisation may only be asked of short texts.
        if name.len() > NAME_CHARS * 4 {
            return Err(InvalidName);
        }
        let key = UsernameCaseMapped::enforce(name).map_err(|_| InvalidName)?;
        if key.chars().count() > NAME_CHARS { Err(InvalidName) } else { Ok(Self(key.into_owned())) }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserStatus {
    /// Yes.
    Active,
    /// No; existing sessions end at their next refresh.
    Disabled,
}

/// A 'log out everywhere': one attribute of the user, so that it takes effect in one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionsCut {
    /// Sessions of passwords proved up to this moment are over.
    pub valid_after: UnixMillis,
    /// The one session that is not, if the user ended all others.
    pub spared: Option<SessionId>,
}

impl SessionsCut {
    /// Whether the cut ended a session. A session made in the very millisecond of the cut counts
    /// as ended: signing in again is the smaller harm.
    #[must_use]
    pub fn ends(&self, session_id: SessionId, auth_time: UnixMillis) -> bool {
        self.spared != Some(session_id) && auth_time <= self.valid_after
    }
}

impl User {
    /// Whether this user may go on with `session`.
    #[must_use]
    pub fn allows(&self, session: &Session) -> bool {
        self.status == UserStatus::Active
            && !self.cut.is_some_and(|cut| cut.ends(session.session_id, session.auth_time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_width() {
        let ada = NameKey::parse("Ada").unwrap();
        for same in ["ada", "ADA", "\u{ff21}da"] {
            assert_eq!(NameKey::parse(same).unwrap(), ada, "{same}");
        }
        assert_eq!(NameKey::parse("A\u{30a}").unwrap(), NameKey::parse("\u{e5}").unwrap());
    }

    #[test]
    fn what_can_not_be_a_name_is_refused() {
        let long = "a".repeat(NAME_CHARS + 1);
        for name in ["", " ", "a b", "a\u{0}", "\u{200b}", &long, &"\u{10330}".repeat(100_000)] {
            assert_eq!(NameKey::parse(name), Err(InvalidName), "{name:.20}");
        }
    }

    #[test]
    fn a_cut_ends_what_was_there_and_spares_the_one_it_names() {
        let id = |millis| SessionId::generate(UnixMillis::new(millis), &[0; 10]);
        let cut = SessionsCut { valid_after: UnixMillis::new(1_000), spared: Some(id(5)) };
        assert!(cut.ends(id(1), UnixMillis::new(999)));
        assert!(cut.ends(id(1), UnixMillis::new(1_000)));
        assert!(!cut.ends(id(1), UnixMillis::new(1_001)));
        assert!(!cut.ends(id(5), UnixMillis::new(999)));
    }
}
