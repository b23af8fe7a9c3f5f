//! Recovery codes, for users who have lost their authenticator app.

use std::fmt;

use zeroize::ZeroizeOnDrop;

use super::{InvalidCode, TotpSecret};
use crate::stored_hash::stored_hash;

/// How many recovery codes a user gets.
pub const RECOVERY_CODES: usize = 10;

/// Base 32 in lower case without `i`, `l`, `o` and `u`, which people confuse with others.
const ALPHABET: [u8; 32] = *b"0123456789abcdefghjkmnpqrstvwxyz";

/// How many signs a code has, in two halves: 50 bits.
const SIGNS: usize = 10;

/// A code that stands in for one of the authenticator app, once.
///
/// # Security
/// Prints as a placeholder and is wiped when dropped.
#[derive(ZeroizeOnDrop)]
pub struct RecoveryCode(String);

impl RecoveryCode {
    /// A code from random bytes.
    #[must_use]
    pub fn new(random: [u8; SIGNS]) -> Self {
        let sign = |byte: u8| ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or_default();
        Self(random.into_iter().map(sign).map(char::from).collect())
    }

    /// Reads a typed code, in either case and with or without spaces and hyphens.
    ///
    /// # Errors
    /// [`InvalidCode`].
    pub fn parse(typed: &str) -> Result<Self, InvalidCode> {
        let signs = typed.chars().filter(|sign| !matches!(sign, ' ' | '-')).take(64);
        let meant = |sign: char| match sign.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            sign => sign,
        };
        let code = Self(signs.map(meant).collect());
        let right = code.0.len() == SIGNS && code.0.bytes().all(|sign| ALPHABET.contains(&sign));
        if right { Ok(code) } else { Err(InvalidCode) }
    }

    /// The code as users get it: `xxxxx-xxxxx`. Only for the line that sends it.
    #[must_use]
    pub fn expose(&self) -> String {
        let (first, second) = self.0.split_at_checked(SIGNS / 2).unwrap_or_default();
        format!("{first}-{second}")
    }

    /// What the user's factor keeps of the code.
    ///
    /// # Security
    /// HMAC-SHA-256 under the authenticator's secret, which is sealed at rest. So a dump of the table
    /// alone does not yield the code, and a rotation of keys changes nothing.
    #[must_use]
    pub fn hash(&self, secret: &TotpSecret) -> RecoveryHash {
        RecoveryHash(secret.hmac(b"ratchet recovery code v1", self.0.as_bytes()))
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(..)")
    }
}

stored_hash! {
    /// The hash of a [`RecoveryCode`].
    ///
    /// # Security
    /// Equality takes the same time wherever the difference is.
    RecoveryHash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = RecoveryCode::new([0, 1, 2, 33, 31, 10, 20, 21, 22, 255]);
        assert_eq!(code.expose(), "0121z-amnpz");
        for typed in ["0121z-amnpz", "0121ZAMNPZ", " O12I Z amn pz", "o1-2l-zamnpz"] {
            assert_eq!(RecoveryCode::parse(typed).unwrap().0, code.0, "{typed}");
        }
        for typed in ["", "0121z-amnp", "0121z-amnpzz", "0121z-amnpu", "0121z_amnpz", "\u{e9}121z"]
        {
            assert_eq!(RecoveryCode::parse(typed).unwrap_err(), InvalidCode, "{typed}");
        }
    }

    #[test]
    fn a_hash_belongs_to_its_code_and_secret() {
        let [one, other] = [1, 2].map(|byte| TotpSecret::new([byte; 20]));
        let code = RecoveryCode::new([3; SIGNS]);
        assert_eq!(code.hash(&one), code.hash(&one));
        assert_ne!(code.hash(&one), code.hash(&other));
        assert_ne!(code.hash(&one), RecoveryCode::new([4; SIGNS]).hash(&one));
    }

    #[test]
    fn nothing_prints_a_code() {
        assert_eq!(format!("{:?}", RecoveryCode::new([0; SIGNS])), "RecoveryCode(..)");
    }
}
