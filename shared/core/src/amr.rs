//! How a user was authenticated: the claim `amr`.

use std::fmt;

/// The methods that authenticated a user in a session (RFC 8176 §2). Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Amr(u8);

/// Every method, with its bit and the name that `amr` has for it.
const METHODS: [(Amr, &str); 4] =
    [(Amr::PASSWORD, "pwd"), (Amr::CODE, "otp"), (Amr::PASSKEY, "hwk"), (Amr::EMAIL, "email")];

impl Amr {
    /// A password.
    pub const PASSWORD: Self = Self(1);
    /// A code of an authenticator app, or a recovery code.
    pub const CODE: Self = Self(1 << 1);
    /// A passkey, with user verification.
    pub const PASSKEY: Self = Self(1 << 2);
    /// A code or a link from a message to the user's address. RFC 8176 has no name for it.
    pub const EMAIL: Self = Self(1 << 3);

    /// The methods of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all methods of `other` are among these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether a password alone authenticated the user.
    #[must_use]
    pub const fn is_password_alone(self) -> bool {
        self.0 == Self::PASSWORD.0
    }

    /// As a session keeps them.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From what a session keeps. `None` if that is no method, or one that this release does not know.
    #[must_use]
    pub fn from_bits(bits: u64) -> Option<Self> {
        let known = METHODS.iter().fold(0, |known, (method, _)| known | method.0);
        let bits = u8::try_from(bits).ok()?;
        (bits != 0 && bits & !known == 0).then_some(Self(bits))
    }

    /// The method of this name, if this release knows it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        METHODS.iter().find(|(_, known)| *known == name).map(|(method, _)| *method)
    }

    /// The names, as access tokens have them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        METHODS.into_iter().filter(move |(method, _)| self.has(*method)).map(|(_, name)| name)
    }
}

/// The names, separated by spaces.
impl fmt::Display for Amr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_methods_are_read_back() {
        for bits in 0..=u64::from(u8::MAX) + 1 {
            let read = Amr::from_bits(bits).map(|amr| u64::from(amr.bits()));
            assert_eq!(read, (1..16).contains(&bits).then_some(bits));
        }
    }

    #[test]
    fn the_names_are_those_of_rfc_8176_where_it_has_one() {
        let names = |amr: Amr| amr.names().collect::<Vec<_>>();
        assert_eq!(names(Amr::PASSWORD), ["pwd"]);
        assert_eq!(names(Amr::CODE.and(Amr::PASSWORD)), ["pwd", "otp"]);
        assert_eq!(names(Amr::PASSWORD.and(Amr::PASSKEY)), ["pwd", "hwk"]);
        assert_eq!(names(Amr::EMAIL), ["email"]);
        for (method, name) in METHODS {
            assert_eq!(Amr::from_name(name), Some(method));
        }
        assert_eq!(Amr::from_name("mfa"), None);
        assert_eq!(Amr::PASSWORD.and(Amr::CODE).to_string(), "pwd otp");
    }

    #[test]
    fn a_password_with_anything_else_is_not_alone() {
        assert!(Amr::PASSWORD.is_password_alone());
        for other in [Amr::CODE, Amr::PASSKEY, Amr::EMAIL] {
            assert!(!other.is_password_alone());
            assert!(!Amr::PASSWORD.and(other).is_password_alone());
        }
    }
}
