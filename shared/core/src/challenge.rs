//! Challenges: proof that somebody can read the mail sent to an address.
//!
//! A message carries a token (in a link) and a code of six digits (to be typed). A [`Challenge`]
//! keeps only their hashes: the SHA-256 of the token's secret, and an HMAC of the code, because a
//! million codes could be tried against a plain hash. The first use of either uses up the
//! challenge.
//!
//! ```text
//! rm1_ base64url( purpose (1) ‖ user id (16) ‖ secret (32) ‖ tag (16) )
//! ```
//!
//! As in a refresh token, the tag lets garbage be rejected without a database call.

mod secrets;
mod state;

use std::{fmt, time::Duration};

pub use self::{
    secrets::{Hashes, LetterSecrets},
    state::{Addressee, Challenge, Judgement, MAX_MESSAGES, Message, MessageSecret, Met, Opening},
};

use aws_lc_rs::hmac;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{
    ids::UserId,
    key_ring::TagKey,
    secret::{SecretHash, TokenSecret},
    stored_hash::stored_hash,
    tagged_token::Format,
};

/// The prefix of every mailed token. Secret scanners can search for it.
pub const PREFIX: &str = "rm1_";

/// How many codes may be tried for one address and purpose in a day.
///
/// # Security
/// Ten tries a day among a million codes, however many messages were requested, give an attacker
/// who guesses for a year a chance below 1 in 250. The link keeps working.
pub const CODE_TRIES_PER_DAY: usize = 10;

const FORMAT: Format = Format::new(PREFIX, 1 + 16 + 32);

/// What a challenge is for. Tokens and codes are valid for one purpose only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Confirms the address that a user registered with.
    ConfirmEmail,
    /// Confirms the address that a user changes to.
    ChangeEmail,
    /// Lets the reader of the user's mail choose a new password.
    ResetPassword,
    /// Signs in the reader of the user's mail.
    EmailSignIn,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 4] =
        [Self::ConfirmEmail, Self::ChangeEmail, Self::ResetPassword, Self::EmailSignIn];

    /// The name in item keys and links.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfirmEmail => "confirm-email",
            Self::ChangeEmail => "change-email",
            Self::ResetPassword => "reset-password",
            Self::EmailSignIn => "email-sign-in",
        }
    }

    /// How long a message is valid.
    #[must_use]
    pub const fn life(self) -> Duration {
        match self {
            Self::ConfirmEmail | Self::ChangeEmail => Duration::from_hours(24),
            Self::ResetPassword => Duration::from_mins(30),
            Self::EmailSignIn => Duration::from_mins(10),
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::ConfirmEmail => 1,
            Self::ChangeEmail => 2,
            Self::ResetPassword => 3,
            Self::EmailSignIn => 4,
        }
    }
}

/// A token from a message, with a valid tag.
#[derive(Debug)]
pub struct MailToken {
    /// What it is for.
    pub purpose: Purpose,
    /// The user whose challenge it meets.
    pub user_id: UserId,
    /// What proves possession.
    pub secret: TokenSecret,
}

/// The text is not a token from a message of this service.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a token from a message of this service")]
pub struct InvalidMailToken;

impl MailToken {
    /// The token as it appears in messages.
    #[must_use]
    pub fn encode(&self, key: &TagKey) -> Zeroizing<String> {
        let purpose = [self.purpose.byte()];
        let fields = [&purpose, self.user_id.as_bytes().as_slice(), self.secret.expose()];
        FORMAT.encode(&fields, &[], key.hmac())
    }

    /// Reads a token that somebody presented and checks its tag with each of `keys`.
    ///
    /// # Errors
    /// [`InvalidMailToken`], without looking anything up.
    pub fn parse<'k>(
        text: &str,
        keys: impl IntoIterator<Item = &'k TagKey>,
    ) -> Result<Self, InvalidMailToken> {
        let keys = keys.into_iter().map(TagKey::hmac);
        let mut fields = FORMAT.decode(text, &[], keys).map_err(|_| InvalidMailToken)?;
        let mut read = || {
            let [purpose] = fields.take()?;
            Some(Self {
                purpose: Purpose::ALL.into_iter().find(|known| known.byte() == purpose)?,
                user_id: UserId::from_bytes(fields.take()?),
                secret: TokenSecret::new(fields.take()?),
            })
        };
        read().ok_or(InvalidMailToken)
    }
}

/// Six digits that a message contains beside the token.
///
/// # Security
/// Prints as a placeholder and is wiped when dropped.
#[derive(ZeroizeOnDrop)]
pub struct MailCode(String);

/// The text is not a code.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a code has {} digits", MailCode::DIGITS)]
pub struct InvalidMailCode;

impl MailCode {
    /// How many digits a code has (NIST SP 800-63B-4 §3.1.3.2: at least six).
    pub const DIGITS: usize = 6;

    /// A code from eight random bytes. All codes are about equally likely.
    #[must_use]
    pub fn new(random: [u8; 8]) -> Self {
        Self(format!("{:06}", u64::from_be_bytes(random) % 1_000_000))
    }

    /// Reads a typed code. Ignores spaces, which people use to group digits.
    ///
    /// # Errors
    /// [`InvalidMailCode`].
    pub fn parse(typed: &str) -> Result<Self, InvalidMailCode> {
        let digits = Self(typed.chars().filter(|typed| *typed != ' ').take(64).collect());
        let right = digits.0.len() == Self::DIGITS && digits.0.bytes().all(|b| b.is_ascii_digit());
        if right { Ok(digits) } else { Err(InvalidMailCode) }
    }

    /// The digits. Only for the line that sends them.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What a challenge keeps of the code.
    ///
    /// # Security
    /// The key is derived from the key ring, so a dump of the table alone does not yield the code.
    /// The hash covers purpose and user, so the code works for no other purpose or user.
    #[must_use]
    pub fn hash(&self, purpose: Purpose, user_id: UserId, key: &TagKey) -> CodeHash {
        let mut context = hmac::Context::with_key(&key.derive(b"ratchet mailed code v1"));
        context.update(&[purpose.byte()]);
        context.update(user_id.as_bytes());
        context.update(self.0.as_bytes());
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        CodeHash(hash)
    }
}

impl fmt::Debug for MailCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailCode(..)")
    }
}

stored_hash! {
    /// HMAC-SHA-256 of a [`MailCode`].
    ///
    /// # Security
    /// Equality takes the same time wherever the difference is.
    CodeHash
}

/// What somebody presents to meet a challenge.
#[derive(Debug, Clone)]
pub enum Proof {
    /// A token, by its secret's hash.
    Token(SecretHash),
    /// A code, hashed under every key that may have hashed it.
    Code(Vec<CodeHash>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::{from_base64url, to_base64url};

    fn key() -> TagKey {
        TagKey::new(&[7; 32])
    }

    fn token(purpose: Purpose) -> MailToken {
        MailToken {
            purpose,
            user_id: UserId::from_bytes([3; 16]),
            secret: TokenSecret::new([9; 32]),
        }
    }

    #[test]
    fn a_token_reads_back_as_written() {
        for purpose in Purpose::ALL {
            let text = token(purpose).encode(&key());
            let read = MailToken::parse(&text, [&key()]).unwrap();
            assert_eq!((read.purpose, read.user_id), (purpose, UserId::from_bytes([3; 16])));
            assert_eq!(read.secret.expose(), &[9; 32]);
        }
    }

    #[test]
    fn every_changed_bit_and_every_other_length_is_refused() {
        let text = token(Purpose::ResetPassword).encode(&key());
        let bytes = from_base64url(text.strip_prefix(PREFIX).unwrap()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let forged = format!("{PREFIX}{}", to_base64url(&forged));
            assert_eq!(MailToken::parse(&forged, [&key()]).unwrap_err(), InvalidMailToken, "{bit}");
        }
        for cut in 0..bytes.len() {
            let forged = format!("{PREFIX}{}", to_base64url(&bytes[..cut]));
            assert!(MailToken::parse(&forged, [&key()]).is_err(), "{cut}");
        }
        let longer = format!("{PREFIX}{}", to_base64url(&[bytes.as_slice(), &[0]].concat()));
        for other in ["", PREFIX, "rt1_AAAA", &longer, &format!("{PREFIX}{}", "A".repeat(10_000))] {
            assert!(MailToken::parse(other, [&key()]).is_err(), "{other:.20}");
        }
        assert!(MailToken::parse(&text, [&TagKey::new(&[8; 32])]).is_err(), "of another ring");
        assert!(MailToken::parse(&text, [&TagKey::new(&[8; 32]), &key()]).is_ok());
    }

    #[test]
    fn a_code_is_six_digits_and_may_be_typed_in_groups() {
        assert_eq!(MailCode::new([0; 8]).expose(), "000000");
        assert_eq!(MailCode::new(1_000_042_u64.to_be_bytes()).expose(), "000042");
        assert_eq!(MailCode::parse(" 012 345").unwrap().expose(), "012345");
        for typed in ["", "12345", "1234567", "12345a", "\u{661}23456", "-12345", "1\u{a0}23456"] {
            assert_eq!(MailCode::parse(typed).unwrap_err(), InvalidMailCode, "{typed}");
        }
    }

    #[test]
    fn a_codes_hash_is_bound_to_user_purpose_and_ring() {
        let (code, user) = (MailCode::new([1; 8]), UserId::from_bytes([3; 16]));
        let hash = code.hash(Purpose::ConfirmEmail, user, &key());
        assert_eq!(hash, code.hash(Purpose::ConfirmEmail, user, &key()));
        for other in [
            code.hash(Purpose::ResetPassword, user, &key()),
            code.hash(Purpose::ConfirmEmail, UserId::from_bytes([4; 16]), &key()),
            code.hash(Purpose::ConfirmEmail, user, &TagKey::new(&[8; 32])),
            MailCode::new([2; 8]).hash(Purpose::ConfirmEmail, user, &key()),
        ] {
            assert_ne!(hash, other);
        }
    }

    #[test]
    fn nothing_prints_a_token_or_a_code() {
        assert_eq!(format!("{:?}", MailCode::new([0; 8])), "MailCode(..)");
        let printed = format!("{:?}", token(Purpose::ConfirmEmail));
        assert!(printed.contains("TokenSecret(..)"), "{printed}");
    }
}
