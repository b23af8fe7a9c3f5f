//! Passwords: what counts as one, and how its hash is made and checked.

use std::fmt;

use unicode_normalization::{UnicodeNormalization as _, char::is_public_assigned};
use zeroize::ZeroizeOnDrop;

mod blocklist;
mod hash;
pub mod policy;
mod stored;

pub use hash::{HashCost, HashError, PasswordHasher, PhcHash, Verdict};
pub use policy::{PasswordPolicy, PasswordRule};

/// The longest password, in characters: beyond it nothing is hashed.
pub const PASSWORD_CHARS: usize = 256;

/// A password as it was typed, in PRECIS `OpaqueString` form (RFC 8265 §4.2).
///
/// The form is that of the RFC: spaces of any kind are ASCII spaces, the rest is NFC, and case and
/// width stay. What is taken is more: the RFC's class of characters leaves out those that an emoji
/// is composed with, and its published tables end at Unicode 6.3. Characters that the present
/// version does not assign are refused, because a later one may give them another normal form.
///
/// # Security
/// Prints as a placeholder and is wiped when dropped.
#[derive(ZeroizeOnDrop)]
pub struct Password {
    text: String,
    /// As it was typed, if that is another text.
    raw: Option<String>,
}

/// The text cannot be a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a password has 1 to {PASSWORD_CHARS} characters and no control characters (RFC 8265 §4.2)"
)]
pub struct InvalidPassword;

impl Password {
    /// Normalises a typed password.
    ///
    /// # Errors
    /// [`InvalidPassword`] if it is empty, too long or has control characters.
    pub fn parse(typed: &str) -> Result<Self, InvalidPassword> {
        // Four bytes hold any character, so longer texts are refused before any work.
        if typed.len() > PASSWORD_CHARS * 4 || typed.chars().count() > PASSWORD_CHARS {
            return Err(InvalidPassword);
        }
        if typed.is_empty() || typed.chars().any(|c| c.is_control() || !is_public_assigned(c)) {
            return Err(InvalidPassword);
        }
        Ok(Self { text: opaque(typed), raw: None })
    }

    /// A password that is compared with a stored hash, and never stored itself.
    ///
    /// Another system may have hashed it as it was typed, or allowed characters that a new password
    /// must not have. So it is compared in `OpaqueString` form and then, if that is another text,
    /// as it was typed.
    ///
    /// # Errors
    /// [`InvalidPassword`] if it is empty, too long, or has control characters that nobody can type:
    /// all but the tab.
    pub fn typed(typed: &str) -> Result<Self, InvalidPassword> {
        if typed.is_empty()
            || typed.len() > PASSWORD_CHARS * 4
            || typed.chars().count() > PASSWORD_CHARS
            || typed.chars().any(|c| c.is_control() && c != '\t')
        {
            return Err(InvalidPassword);
        }
        let text =
            Self::parse(typed).map_or_else(|_| typed.to_owned(), |parsed| parsed.text.clone());
        let raw = (text != typed).then(|| typed.to_owned());
        Ok(Self { text, raw })
    }

    /// The texts that it is compared as.
    fn candidates(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.text).chain(&self.raw).map(String::as_bytes)
    }
}

/// The mapping and the normalisation of `OpaqueString` (RFC 8265 §4.2.2).
fn opaque(text: &str) -> String {
    text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).nfc().collect()
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use precis_core::profile::PrecisFastInvocation as _;
    use precis_profiles::OpaqueString;

    use super::*;

    fn password(typed: &str) -> Password {
        Password::parse(typed).unwrap()
    }

    #[test]
    fn spellings_of_one_password_are_one_password() {
        assert_eq!(password("a\u{30a} \u{a0}").text, password("\u{e5}  ").text);
        assert_ne!(password("A").text, password("a").text);
    }

    proptest::proptest! {
        #[test]
        fn what_the_precis_profile_takes_is_taken_in_the_same_form(typed in "\\PC{1,40}") {
            if let Ok(enforced) = OpaqueString::enforce(typed.as_str()) {
                proptest::prop_assert_eq!(&password(&typed).text, &enforced);
            }
        }
    }

    #[test]
    fn emoji_and_characters_younger_than_the_profile_are_taken() {
        for typed in ["\u{1f980}", "\u{2764}\u{fe0f}", "\u{1f468}\u{200d}\u{1f469}", "\u{1e900}"] {
            assert_eq!(password(typed).text, typed);
        }
        for typed in ["\u{378}", "\u{fffe}", "\u{e000}", "\u{85}"] {
            assert!(Password::parse(typed).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_password_is_refused_before_any_hashing() {
        assert!(Password::parse(&"\u{10330}".repeat(PASSWORD_CHARS)).is_ok());
        for typed in [String::new(), "a\u{7}".to_owned(), "a".repeat(PASSWORD_CHARS + 1)] {
            assert!(Password::parse(&typed).is_err());
        }
    }

    #[test]
    fn a_password_is_compared_as_it_was_typed_too() {
        let candidates = |typed: &str| -> Vec<Vec<u8>> {
            Password::typed(typed).unwrap().candidates().map(<[u8]>::to_vec).collect()
        };
        assert_eq!(candidates("plain"), [b"plain"]);
        let decomposed = "a\u{30a}\u{a0}b";
        assert_eq!(candidates(decomposed), ["\u{e5} b".as_bytes(), decomposed.as_bytes()]);
        assert_eq!(candidates("tab\tbed"), [b"tab\tbed"], "not allowed in new passwords");
        assert_eq!(candidates("\u{378}"), ["\u{378}".as_bytes()], "unassigned");
        assert!(Password::typed("").is_err());
        assert!(Password::typed("bell\u{7}").is_err());
        assert!(Password::typed(&"a".repeat(PASSWORD_CHARS + 1)).is_err());
    }

    #[test]
    fn nothing_prints_a_password() {
        let canary = "canary-8f1c";
        assert!(!format!("{:?}", password(canary)).contains(canary));
    }
}
