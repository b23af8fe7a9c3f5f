//! The rules for new passwords (NIST SP 800-63B-4 §3.1.1.2): long, and not among the first guesses.
//! There are no other rules unless an operator sets them.

use std::fmt;

use super::{PASSWORD_CHARS, Password, blocklist, opaque};

/// A word must have this many characters before a password is searched for it: a shorter one is in
/// many good passwords by chance.
const WORD_CHARS: usize = 4;

/// A password must have this many characters besides a common or a known word.
const OWN_CHARS: usize = 8;

/// The rules for new passwords. They do not apply to passwords in use, so a stricter rule locks
/// nobody out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// The minimum length in characters, after normalisation.
    pub min_chars: usize,
    /// Whether there must be an upper-case letter.
    pub require_uppercase: bool,
    /// Whether there must be a digit.
    pub require_digit: bool,
    /// What users call the service. Attackers guess it first.
    pub service_name: String,
}

impl PasswordPolicy {
    /// The default for [`min_chars`](Self::min_chars): a password is the only factor.
    pub const DEFAULT_MIN_CHARS: usize = 15;

    /// The minimum for [`min_chars`](Self::min_chars).
    pub const LEAST_MIN_CHARS: usize = 8;

    /// The maximum for [`min_chars`](Self::min_chars).
    pub const MOST_MIN_CHARS: usize = 64;
}

/// What is known about the user of a new password, and so would be guessed.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// The user name.
    pub name: &'a str,
    /// The e-mail address.
    pub email: &'a str,
}

/// A rule that a password violates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PasswordRule {
    /// It has too few characters.
    TooShort {
        /// The minimum.
        min_chars: usize,
    },
    /// It has more than [`PASSWORD_CHARS`] characters.
    TooLong,
    /// It has characters that cannot be typed or compared reliably (RFC 8265 §4.2).
    InvalidCharacters,
    /// Many others have chosen it, or it is a common one with a few characters around it.
    Common,
    /// It repeats one short text, or counts.
    Predictable,
    /// It is hardly more than the user name.
    ContainsName,
    /// It is hardly more than the e-mail address.
    ContainsEmail,
    /// It is hardly more than the name of the service.
    ContainsServiceName,
    /// It has no upper-case letter.
    NeedsUppercase,
    /// It has no digit.
    NeedsDigit,
}

impl PasswordRule {
    /// The stable name, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too_short",
            Self::TooLong => "too_long",
            Self::InvalidCharacters => "invalid_characters",
            Self::Common => "common",
            Self::Predictable => "predictable",
            Self::ContainsName => "contains_name",
            Self::ContainsEmail => "contains_email",
            Self::ContainsServiceName => "contains_service_name",
            Self::NeedsUppercase => "needs_uppercase",
            Self::NeedsDigit => "needs_digit",
        }
    }
}

/// The text for people.
impl fmt::Display for PasswordRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { min_chars } => {
                write!(f, "It must have at least {min_chars} characters.")
            }
            Self::TooLong => write!(f, "It must have at most {PASSWORD_CHARS} characters."),
            Self::InvalidCharacters => f.write_str("It must not have control characters."),
            Self::Common => f.write_str("It is one of those that are guessed first."),
            Self::Predictable => f.write_str("It repeats itself or counts."),
            Self::ContainsName => f.write_str("It is hardly more than the user name."),
            Self::ContainsEmail => f.write_str("It is hardly more than the e-mail address."),
            Self::ContainsServiceName => {
                f.write_str("It is hardly more than the name of this service.")
            }
            Self::NeedsUppercase => f.write_str("It must have an upper-case letter."),
            Self::NeedsDigit => f.write_str("It must have a digit."),
        }
    }
}

impl PasswordPolicy {
    /// Takes a typed text as a new password.
    ///
    /// # Errors
    /// All rules that it violates. If it is too long, the others are not checked.
    pub fn check(&self, typed: &str, about: About<'_>) -> Result<Password, Vec<PasswordRule>> {
        // Longer texts are refused before any work, as in `Password::parse`.
        if typed.len() > PASSWORD_CHARS * 4 || typed.chars().count() > PASSWORD_CHARS {
            return Err(vec![PasswordRule::TooLong]);
        }
        let password = Password::parse(typed);
        let mut missed =
            self.missed(password.as_ref().map_or(typed, |password| &password.text), about);
        if password.is_err() && !typed.is_empty() {
            missed.insert(0, PasswordRule::InvalidCharacters);
        }
        password.ok().filter(|_| missed.is_empty()).ok_or(missed)
    }

    fn missed(&self, text: &str, about: About<'_>) -> Vec<PasswordRule> {
        let lower = text.to_lowercase();
        let local_part = about.email.rsplit_once('@').map_or(about.email, |(local, _)| local);
        let missed = [
            (text.chars().count() < self.min_chars)
                .then_some(PasswordRule::TooShort { min_chars: self.min_chars }),
            is_common(&lower).then_some(PasswordRule::Common),
            is_predictable(&lower).then_some(PasswordRule::Predictable),
            is_hardly_more_than(&lower, about.name).then_some(PasswordRule::ContainsName),
            (is_hardly_more_than(&lower, local_part) || is_hardly_more_than(&lower, about.email))
                .then_some(PasswordRule::ContainsEmail),
            is_hardly_more_than(&lower, &self.service_name)
                .then_some(PasswordRule::ContainsServiceName),
            (self.require_uppercase && !text.chars().any(char::is_uppercase))
                .then_some(PasswordRule::NeedsUppercase),
            (self.require_digit && !text.chars().any(char::is_numeric))
                .then_some(PasswordRule::NeedsDigit),
        ];
        missed.into_iter().flatten().collect()
    }
}

/// A common password, also with digits or signs around it that add little: 'password2024!!!!!'.
fn is_common(lower: &str) -> bool {
    if blocklist::contains(lower) {
        return true;
    }
    let stem = lower.trim_matches(|c: char| !c.is_alphabetic());
    let around = lower.replacen(stem, "", 1);
    !stem.is_empty()
        && !around.is_empty()
        && blocklist::contains(stem)
        && (around.chars().count() < OWN_CHARS
            || is_predictable(&around)
            || blocklist::contains(&around))
}

/// One text of a third of the length or less over and over, a common one twice, or a sequence of
/// neighbours ('abcdefghijklmno', '987654321987').
fn is_predictable(lower: &str) -> bool {
    let chars: Vec<char> = lower.chars().collect();
    let unit = period(&chars);
    let repeated = unit < chars.len()
        && (unit * 3 <= chars.len()
            || blocklist::contains(&chars.iter().take(unit).collect::<String>()));
    repeated || counts(&chars)
}

/// The length of the shortest text that `chars` repeats, the last time perhaps cut short.
fn period(chars: &[char]) -> usize {
    let repeats = |unit: &usize| chars.iter().zip(chars.iter().skip(*unit)).all(|(a, b)| a == b);
    (1..chars.len()).find(repeats).unwrap_or(chars.len())
}

/// Whether nearly every character is the one after, before or the same as the one before it.
fn counts(chars: &[char]) -> bool {
    let step = |(a, b): (&char, &char)| i64::from(u32::from(*b)) - i64::from(u32::from(*a));
    let steps = chars.iter().zip(chars.iter().skip(1)).map(step);
    let breaks = steps.filter(|step| step.abs() > 1).count();
    // '1234567890' breaks once at its end, and once more when it starts again.
    chars.len() >= 4 && breaks * 5 <= chars.len()
}

fn is_hardly_more_than(lower: &str, word: &str) -> bool {
    let word = opaque(word).to_lowercase();
    if word.is_empty() {
        return false;
    }
    let is_word = word.chars().count() >= WORD_CHARS;
    let contained = is_word && lower.contains(&word);
    lower == word || contained && lower.replace(&word, "").chars().count() < OWN_CHARS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy() -> PasswordPolicy {
        PasswordPolicy {
            min_chars: PasswordPolicy::DEFAULT_MIN_CHARS,
            require_uppercase: false,
            require_digit: false,
            service_name: "ratchet".to_owned(),
        }
    }

    fn missed(typed: &str) -> Vec<&'static str> {
        let about = About { name: "Ada-Lovelace", email: "countess@example.com" };
        let rules = policy().check(typed, about).err().unwrap_or_default();
        rules.into_iter().map(PasswordRule::code).collect()
    }

    #[test]
    fn long_passwords_of_any_characters_are_taken() {
        for typed in [
            "correct horse battery staple",
            "an admiral finds the first bug",
            "\u{1f980} \u{430}\u{431}\u{432} \u{5d0}\u{5d1}\u{5d2} and more",
            "I own a ratchet screwdriver and Ada-Lovelace does not",
            "dragon 82 kettle 17 roof",
            "kQ3v9!xLp0Zw7$mN",
        ] {
            assert_eq!(missed(typed), [""; 0], "{typed}");
        }
    }

    #[test]
    fn every_rule_is_told_by_its_own_code() {
        for (typed, codes) in [
            ("", &["too_short"][..]),
            ("fourteen chars", &["too_short"]),
            (&"x y".repeat(100), &["too_long"]),
            ("tab\u{7} and a bell here", &["invalid_characters"]),
            ("password1234567!", &["common"]),
            ("1234PASSWORD!!1", &["common"]),
            ("1qaz2wsx3edc4rfv", &["common"]),
            ("xkxkxkxkxkxkxkxk", &["predictable"]),
            ("passwordpassword", &["predictable"]),
            ("abcdefghijklmnopqrst", &["predictable"]),
            ("98765432109876543210", &["predictable"]),
            ("ada-lovelace1815", &["contains_name"]),
            ("countess-countess!", &["contains_email"]),
            ("countess@example.com", &["contains_email"]),
            ("Ratchet-ratchet-1", &["contains_service_name"]),
        ] {
            assert_eq!(missed(typed), codes, "{typed}");
        }
    }

    #[test]
    fn all_missed_rules_are_told_at_once() {
        let strict = PasswordPolicy { require_uppercase: true, require_digit: true, ..policy() };
        let rules = strict.check("password", About::default()).unwrap_err();
        let codes: Vec<_> = rules.iter().map(|rule| rule.code()).collect();
        assert_eq!(codes, ["too_short", "common", "needs_uppercase", "needs_digit"]);
        let rules = strict.check("a bell \u{7}", About::default()).unwrap_err();
        let codes: Vec<_> = rules.iter().map(|rule| rule.code()).collect();
        assert_eq!(codes, ["invalid_characters", "too_short", "needs_uppercase", "needs_digit"]);
        let rules = strict.check("", About::default()).unwrap_err();
        let codes: Vec<_> = rules.iter().map(|rule| rule.code()).collect();
        assert_eq!(codes, ["too_short", "needs_uppercase", "needs_digit"]);
        assert!(strict.check("Correct 1 horse battery", About::default()).is_ok());
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        let short = PasswordPolicy { min_chars: 8, ..policy() };
        assert!(
            short.check("\u{e9}\u{fc}\u{df}\u{f1}\u{e7}\u{f8}\u{e5}", About::default()).is_err()
        );
        assert!(
            short
                .check("\u{e9}\u{fc}\u{df}\u{f1}\u{e7}\u{f8}\u{e5}\u{1f980}", About::default())
                .is_ok()
        );
    }

    #[test]
    fn a_short_name_does_not_spoil_a_password_that_happens_to_contain_it() {
        let about = About { name: "ed", email: "ed@example.com" };
        assert!(policy().check("wedded to the reeds", about).is_ok());
    }

    proptest! {
        #[test]
        fn nobody_may_have_their_own_name_for_a_password(name in "\\PC{0,300}") {
            for about in [About { name: &name, email: "" }, About { name: "", email: &name }] {
                prop_assert!(policy().check(&name, about).is_err());
            }
        }

        #[test]
        fn a_text_over_and_over_is_no_password(unit in "[a-z0-9]{1,9}", times in 3_usize..9) {
            let short = PasswordPolicy { min_chars: 8, ..policy() };
            prop_assert!(short.check(&unit.repeat(times), About::default()).is_err());
        }
    }
}
