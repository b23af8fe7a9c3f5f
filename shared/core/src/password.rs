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
pub struct Password(String);

/// The text can not be a password.
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
        Ok(Self(opaque(typed)))
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
        assert_eq!(password("a\u{30a} \u{a0}").0, password("\u{e5}  ").0);
        assert_ne!(password("A").0, password("a").0);
    }

    proptest::proptest! {
        #[test]
        fn what_the_precis_profile_takes_is_taken_in_the_same_form(typed in "\\PC{1,40}") {
            if let Ok(enforced) = OpaqueString::enforce(typed.as_str()) {
                proptest::prop_assert_eq!(&password(&typed).0, &enforced);
            }
        }
    }

    #[test]
    fn emoji_and_characters_younger_than_the_profile_are_taken() {
        for typed in ["\u{1f980}", "\u{2764}\u{fe0f}", "\u{1f468}\u{200d}\u{1f469}", "\u{1e900}"] {
            assert_eq!(password(typed).0, typed);
        }
        for typed in ["\u{378}", "\u{fffe}", "\u{e000}", "\u{85}"] {
            assert!(Password::parse(typed).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn what_can_not_be_a_password_is_refused_before_any_hashing() {
        assert!(Password::parse(&"\u{10330}".repeat(PASSWORD_CHARS)).is_ok());
        for typed in [String::new(), "a\u{7}".to_owned(), "a".repeat(PASSWORD_CHARS + 1)] {
            assert!(Password::parse(&typed).is_err());
        }
    }

    #[test]
    fn nothing_prints_a_password() {
        let canary = "canary-8f1c";
        assert!(!format!("{:?}", password(canary)).contains(canary));
    }
}
