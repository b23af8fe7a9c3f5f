//! The token and code of a message. Both are derived from the letter's id, so a letter that is sent
//! again contains the same ones.

use aws_lc_rs::hmac;

use super::{CodeHash, MailCode, MailToken, Purpose};
use crate::{
    ids::{LetterId, UserId},
    key_ring::TagKey,
    secret::{SecretHash, TokenSecret},
};

/// The token and the code of one letter.
#[derive(Debug)]
pub struct LetterSecrets {
    /// The token, for a link.
    pub token: MailToken,
    /// The code, to be typed.
    pub code: MailCode,
}

/// What a challenge keeps of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashes {
    /// Of the token's secret.
    pub token: SecretHash,
    /// Of the code.
    pub code: CodeHash,
}

impl LetterSecrets {
    /// Derives a letter's secrets from a tag key: HMAC-SHA-256 over the letter's id, under keys
    /// that are derived from the tag key for this purpose only.
    ///
    /// # Security
    /// Letter ids appear in tables and logs. Without the key ring they reveal nothing.
    #[must_use]
    pub fn derive(key: &TagKey, letter: LetterId, purpose: Purpose, user_id: UserId) -> Self {
        let derived = |info: &[u8]| {
            let mut context = hmac::Context::with_key(&key.derive(info));
            context.update(&[purpose.byte()]);
            context.update(user_id.as_bytes());
            context.update(letter.as_bytes());
            context.sign()
        };
        let token = first(derived(b"ratchet mailed token v1").as_ref());
        let code = first(derived(b"ratchet mailed digits v1").as_ref());
        Self {
            token: MailToken { purpose, user_id, secret: TokenSecret::new(token) },
            code: MailCode::new(code),
        }
    }

    /// The hashes for the challenge, with the code hashed under `key`.
    #[must_use]
    pub fn hashes(&self, key: &TagKey) -> Hashes {
        let MailToken { purpose, user_id, secret } = &self.token;
        Hashes { token: secret.hash(), code: self.code.hash(*purpose, *user_id, key) }
    }
}

/// The first `N` bytes of a longer tag.
fn first<const N: usize>(tag: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(tag) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(key: u8, letter: u8, purpose: Purpose, user: u8) -> Hashes {
        let key = TagKey::new(&[key; 32]);
        let (letter, user) = (LetterId::from_bytes([letter; 16]), UserId::from_bytes([user; 16]));
        LetterSecrets::derive(&key, letter, purpose, user).hashes(&key)
    }

    #[test]
    fn a_letter_that_is_sent_again_carries_the_same_token_and_code() {
        let once = secrets(7, 1, Purpose::ResetPassword, 3);
        assert_eq!(secrets(7, 1, Purpose::ResetPassword, 3), once);
    }

    #[test]
    fn key_letter_purpose_and_user_each_make_other_secrets() {
        let once = secrets(7, 1, Purpose::ResetPassword, 3);
        for other in [
            secrets(8, 1, Purpose::ResetPassword, 3),
            secrets(7, 2, Purpose::ResetPassword, 3),
            secrets(7, 1, Purpose::ConfirmEmail, 3),
            secrets(7, 1, Purpose::ResetPassword, 4),
        ] {
            assert_ne!(other.token, once.token);
            assert_ne!(other.code, once.code);
        }
    }

    #[test]
    fn token_and_code_do_not_follow_from_each_other() {
        let key = TagKey::new(&[7; 32]);
        let letter = LetterId::from_bytes([1; 16]);
        let user = UserId::from_bytes([3; 16]);
        let secrets = LetterSecrets::derive(&key, letter, Purpose::ResetPassword, user);
        let (start, _) = secrets.token.secret.expose().split_first_chunk().unwrap();
        assert_ne!(MailCode::new(*start).expose(), secrets.code.expose());
    }

    #[test]
    fn nothing_prints_the_secrets() {
        let key = TagKey::new(&[7; 32]);
        let (letter, user) = (LetterId::from_bytes([1; 16]), UserId::from_bytes([3; 16]));
        let secrets = LetterSecrets::derive(&key, letter, Purpose::ConfirmEmail, user);
        let printed = format!("{secrets:?}");
        assert!(!printed.contains(secrets.code.expose()), "{printed}");
        assert!(printed.contains("TokenSecret(..)"), "{printed}");
    }
}
