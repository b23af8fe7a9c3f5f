//! E-mail addresses, as far as mail can be sent to them.

use std::fmt;

use crate::{encoding::sha256, ids::UserId};

/// The longest address, in bytes (RFC 5321 §4.5.3.1.3, without the angle brackets).
pub const ADDRESS_BYTES: usize = 254;

/// The longest part before the `@`, in bytes (RFC 5321 §4.5.3.1.1).
const LOCAL_BYTES: usize = 64;

/// An e-mail address in the form by which addresses are compared: lower case.
///
/// RFC 5321 §2.4 leaves the case of the local part to the receiving host. No host is known that
/// delivers `Ada` and `ada` to different people, and people type both.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(String);

/// The text is not an address that mail can be sent to.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an e-mail address is name@domain, in ASCII (a domain in its xn-- form)")]
pub struct InvalidEmailAddress;

impl EmailAddress {
    /// Reads an address: a dot-atom, `@`, and a domain of at least two labels (RFC 5322 §3.4.1).
    /// Ignores white space around it, which some keyboards add.
    ///
    /// # Errors
    /// [`InvalidEmailAddress`]. Quoted local parts, comments and address literals are refused: they
    /// are valid, but people who register do not have them.
    pub fn parse(text: &str) -> Result<Self, InvalidEmailAddress> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmailAddress)?;
        let dot_atom =
            local.len() <= LOCAL_BYTES && local.split('.').all(|atom| all(atom, is_atom_text));
        let labels = domain.split('.').count() >= 2 && domain.split('.').all(is_label);
        if text.len() <= ADDRESS_BYTES && dot_atom && labels {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidEmailAddress)
        }
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A user id that no user has, always the same one for this address.
    ///
    /// # Security
    /// Requests about an unknown address read the items of this user. They make the same calls as
    /// requests about a known address, and contend for the same items in the same way.
    #[must_use]
    pub fn stand_in(&self) -> UserId {
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(sha256(self.0.as_bytes())) {
            *to = from;
        }
        UserId::from_bytes(id)
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EmailAddress {
    /// Hides the address: personal data must not get into a log by accident.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(..)")
    }
}

fn all(text: &str, allowed: fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(allowed)
}

/// `atext` of RFC 5322 §3.2.3.
const fn is_atom_text(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'/'
                | b'='
                | b'?'
                | b'^'
                | b'_'
                | b'`'
                | b'{'
                | b'|'
                | b'}'
                | b'~'
        )
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    label.len() <= 63 && all(label, inner) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_in_lower_case() {
        let ada = EmailAddress::parse("Ada+Tokens@Example.COM").unwrap();
        assert_eq!(ada, EmailAddress::parse("ada+tokens@example.com").unwrap());
        assert_eq!(ada.as_str(), "ada+tokens@example.com");
    }

    #[test]
    fn white_space_around_an_address_does_not_count() {
        let ada = EmailAddress::parse("ada@example.com").unwrap();
        for typed in [" ada@example.com", "ada@example.com ", "\u{a0}Ada@example.com\r\n"] {
            assert_eq!(EmailAddress::parse(typed).as_ref(), Ok(&ada), "{typed:?}");
        }
    }

    #[test]
    fn a_stored_address_reads_back() {
        for byte in 0..=u8::MAX {
            let text = format!("a{0}@b{0}a.example", char::from(byte));
            let Ok(address) = EmailAddress::parse(&text) else { continue };
            assert_eq!(EmailAddress::parse(address.as_str()), Ok(address), "{text}");
        }
    }

    #[test]
    fn what_mail_cannot_be_sent_to_is_refused() {
        let long = format!("{}@example.com", "a".repeat(LOCAL_BYTES + 1));
        let longer = format!("a@{}.com", ["a".repeat(60).as_str(); 5].join("."));
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@example.com",
            "a@example",
            "a@.com",
            "a@example.",
            "a b@example.com",
            "a@exam ple.com",
            "a@b@example.com",
            ".a@example.com",
            "a..b@example.com",
            "a@-example.com",
            "a@example\n.com",
            "a\r\nBcc: b@example.com@example.com",
            "\"a\"@example.com",
            "a@[192.0.2.1]",
            "\u{e4}@example.com",
            "a@ex\u{e4}mple.com",
            "<a@example.com>",
            "a@example.com,b@example.com",
            &long,
            &longer,
        ] {
            assert_eq!(EmailAddress::parse(text), Err(InvalidEmailAddress), "{text:.40}");
        }
    }

    #[test]
    fn an_address_has_one_stand_in_whatever_its_spelling() {
        let stand_in = |text| EmailAddress::parse(text).unwrap().stand_in();
        assert_eq!(stand_in("ada@example.com"), stand_in("ADA@example.com"));
        assert_ne!(stand_in("ada@example.com"), stand_in("eda@example.com"));
    }

    #[test]
    fn nothing_prints_an_address_by_accident() {
        assert!(!format!("{:?}", EmailAddress::parse("ada@example.com").unwrap()).contains("ada"));
    }
}
