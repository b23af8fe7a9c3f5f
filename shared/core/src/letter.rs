//! Letters: what users are notified of by e-mail, and how often.
//!
//! A letter is written in the same transaction as the change that it announces and sent afterwards.
//! It holds no secret: tokens and codes follow from its id when it is sent.

use std::time::Duration;

use crate::{
    email::EmailAddress,
    ids::{LetterId, UserId},
    time::UnixMillis,
    user::NameKey,
};

/// The most messages per hour to one address, for each kind that anybody can request.
pub const MAILS_PER_HOUR: usize = 6;

/// The most messages per hour that notify a user of attempts to register with their address.
pub const NOTICES_PER_HOUR: usize = 1;

/// The most messages per hour, of all kinds together, to an unconfirmed address.
///
/// # Security
/// Strangers can enter any address, so each of these messages may be unwanted.
pub const UNCONFIRMED_PER_HOUR: usize = 6;

/// A notice that is sent by e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its id, generated when it was written.
    pub id: LetterId,
    /// When it was written.
    pub written_at: UnixMillis,
    /// What it says, and to whom.
    pub notice: Notice,
    /// If the letter has several messages: the users whose message has been sent, in any order.
    pub sent: Vec<UserId>,
}

impl Letter {
    /// A letter that was not sent within this time is removed.
    pub const LIFE: Duration = Duration::from_hours(7 * 24);

    /// A letter written at `now`, from ten random bytes.
    #[must_use]
    pub const fn new(notice: Notice, now: UnixMillis, random: &[u8; 10]) -> Self {
        let id = LetterId::generate(now, random);
        Self { id, written_at: now, notice, sent: Vec::new() }
    }

    /// Whether the message about this user still has to be sent. A message about no user is the only
    /// one of its letter, so it always has to be.
    #[must_use]
    pub fn owes(&self, user_id: Option<UserId>) -> bool {
        user_id.is_none_or(|user_id| !self.sent.contains(&user_id))
    }
}

/// What a letter says.
///
/// For requests without proof of identity, the letter contains only an address and the mailer looks
/// up the user, so that the request takes no longer for a known address. Notices to unconfirmed
/// addresses leave out the name, because a stranger may have chosen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A user registered: the address is to be confirmed.
    Registered {
        /// The user.
        user_id: UserId,
    },
    /// Somebody tried to register with an address that a user has.
    AddressTaken {
        /// The address.
        email: EmailAddress,
    },
    /// Somebody tried to register a name that another user has.
    NameTaken {
        /// The address they gave.
        email: EmailAddress,
        /// The name they gave.
        name: String,
    },
    /// Somebody requested another message to confirm an address.
    ConfirmationAsked {
        /// The address they gave.
        email: EmailAddress,
        /// The user name they gave, if only this registration is to be confirmed.
        name: Option<NameKey>,
    },
    /// Somebody requested a new password.
    ResetAsked {
        /// The address they gave.
        email: EmailAddress,
    },
    /// Somebody requested a message that signs in.
    SignInAsked {
        /// The address they gave.
        email: EmailAddress,
    },
    /// A user's password was changed.
    PasswordChanged {
        /// The user.
        user_id: UserId,
    },
    /// A user switched a second factor on.
    SecondFactorEnabled {
        /// The user.
        user_id: UserId,
    },
    /// A user switched the second factor off.
    SecondFactorDisabled {
        /// The user.
        user_id: UserId,
    },
    /// An operator removed a user's second factor.
    SecondFactorReset {
        /// The user.
        user_id: UserId,
    },
    /// Somebody signed in with a recovery code.
    RecoveryCodeUsed {
        /// The user.
        user_id: UserId,
    },
    /// A user replaced the recovery codes.
    RecoveryCodesReplaced {
        /// The user.
        user_id: UserId,
    },
    /// A user added a passkey.
    PasskeyAdded {
        /// The user.
        user_id: UserId,
    },
    /// A user removed a passkey.
    PasskeyRemoved {
        /// The user.
        user_id: UserId,
    },
    /// An operator removed a user's passkeys.
    PasskeysReset {
        /// The user.
        user_id: UserId,
    },
    /// A user wants another address: the new one is to be confirmed.
    EmailChangeAsked {
        /// The user.
        user_id: UserId,
    },
    /// The same, for the user's current address.
    EmailChangeTold {
        /// The address that may be replaced.
        email: EmailAddress,
        /// The user's name, if the address is confirmed.
        name: Option<String>,
    },
    /// A user's address was replaced: for the former one.
    EmailChanged {
        /// The address that was replaced.
        email: EmailAddress,
        /// The user's name, if the address is confirmed.
        name: Option<String>,
    },
    /// A user was deleted.
    Deleted {
        /// The user.
        user_id: UserId,
        /// The address of the user.
        email: EmailAddress,
        /// The user's name, if the address is confirmed.
        name: Option<String>,
    },
}

impl Notice {
    /// The name in items, logs and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "registered",
            Self::AddressTaken { .. } => "address_taken",
            Self::NameTaken { .. } => "name_taken",
            Self::ConfirmationAsked { .. } => "confirmation_asked",
            Self::ResetAsked { .. } => "reset_asked",
            Self::SignInAsked { .. } => "sign_in_asked",
            Self::PasswordChanged { .. } => "password_changed",
            Self::SecondFactorEnabled { .. } => "second_factor_enabled",
            Self::SecondFactorDisabled { .. } => "second_factor_disabled",
            Self::SecondFactorReset { .. } => "second_factor_reset",
            Self::RecoveryCodeUsed { .. } => "recovery_code_used",
            Self::RecoveryCodesReplaced { .. } => "recovery_codes_replaced",
            Self::PasskeyAdded { .. } => "passkey_added",
            Self::PasskeyRemoved { .. } => "passkey_removed",
            Self::PasskeysReset { .. } => "passkeys_reset",
            Self::EmailChangeAsked { .. } => "email_change_asked",
            Self::EmailChangeTold { .. } => "email_change_told",
            Self::EmailChanged { .. } => "email_changed",
            Self::Deleted { .. } => "deleted",
        }
    }
}

/// The longest name that is shown in full to an unconfirmed address, in characters.
const SHOWN_CHARS: usize = 32;

/// A name as shown in messages to an unconfirmed address.
///
/// # Security
/// A stranger may have chosen both name and address, so the name is text that they can put into the
/// message. It is shortened and shown in its normalised form. Letters, digits, `-` and `_` are
/// kept, each full stop becomes a middle dot so that mail clients do not make links of it, and any
/// other ASCII character becomes an asterisk.
#[must_use]
pub fn shown_to_unconfirmed(name: &NameKey) -> String {
    let shown = |c: char| match c {
        '.' => '\u{b7}',
        '-' | '_' => c,
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => '*',
        // Letters and digits, also of other scripts, and their marks (RFC 8264 §9.1).
        c => c,
    };
    let mut short: String = name.as_str().chars().take(SHOWN_CHARS).map(shown).collect();
    if name.as_str().chars().count() > SHOWN_CHARS {
        short.push('\u{2026}');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str) -> String {
        shown_to_unconfirmed(&NameKey::parse(name).unwrap())
    }

    #[test]
    fn a_letter_owes_each_user_one_message() {
        let [ada, bob] = [1, 2].map(|byte| UserId::from_bytes([byte; 16]));
        let email = EmailAddress::parse("ada@example.com").unwrap();
        let mut letter = Letter::new(Notice::ResetAsked { email }, UnixMillis::new(0), &[0; 10]);
        assert!(letter.owes(Some(ada)) && letter.owes(Some(bob)) && letter.owes(None));
        letter.sent.push(ada);
        assert!(!letter.owes(Some(ada)) && letter.owes(Some(bob)) && letter.owes(None));
    }

    #[test]
    fn a_name_that_is_shown_is_no_link_and_no_message() {
        for (name, expected) in [
            ("Ada-Lovelace_1815", "ada-lovelace_1815"),
            ("J\u{e9}r\u{f4}me", "j\u{e9}r\u{f4}me"),
            ("www.evil.example", "www\u{b7}evil\u{b7}example"),
            ("\u{ff37}ww\u{ff0e}evil", "www\u{b7}evil"),
            ("http://evil", "http***evil"),
            ("a@b", "a*b"),
            ("call+1-555", "call*1-555"),
            ("won=money!", "won*money*"),
        ] {
            assert_eq!(shown(name), expected);
        }
        assert_eq!(shown(&"a".repeat(32)), "a".repeat(32));
        assert_eq!(shown(&"a".repeat(33)), "a".repeat(32) + "\u{2026}");
    }
}
