//! Time-based one-time passwords (RFC 6238): SHA-1, six digits, steps of 30 seconds, as every
//! authenticator app knows them.

use std::fmt;

use aws_lc_rs::{aead::NONCE_LEN, hmac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use totp_rs::{Builder, Secret, Totp};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{
    ids::UserId,
    key_ring::{KeyRing, SealingKey},
    seal::SealError,
    time::UnixSeconds,
};

/// The length of a secret, in bytes (RFC 4226 §4, R6).
pub const SECRET_LEN: usize = 20;

/// The secret that a user's authenticator app and the service share.
///
/// # Security
/// Prints as a placeholder and is wiped when dropped.
#[derive(ZeroizeOnDrop)]
pub struct TotpSecret([u8; SECRET_LEN]);

impl TotpSecret {
    /// A secret of random bytes.
    #[must_use]
    pub const fn new(random: [u8; SECRET_LEN]) -> Self {
        Self(random)
    }

    /// The time step whose code this is, if it is one of the step that contains `now` and the two
    /// beside it (RFC 6238 §5.2). The caller makes sure that each step counts once.
    #[must_use]
    pub fn step_of(&self, code: &TotpCode, now: UnixSeconds) -> Option<u64> {
        self.totp().check(&code.0, now.get())
    }

    /// The secret for typing into an app (RFC 4648 §6).
    #[must_use]
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(Secret::new_stack(self.0).to_base32())
    }

    /// The `otpauth` URI that apps read from a QR code. `service` and `account` say in the app what
    /// the code is for.
    #[must_use]
    pub fn to_uri(&self, service: &str, account: &str) -> Zeroizing<String> {
        let (service, account) = (escaped(service), escaped(account));
        let secret = self.to_base32();
        Zeroizing::new(format!(
            "otpauth://totp/{service}:{account}?secret={}&issuer={service}&algorithm=SHA1&digits=6&period=30",
            secret.as_str()
        ))
    }

    /// Seals the secret for `user_id` at rest. `nonce` is random.
    ///
    /// # Errors
    /// [`SealError`] if the cryptographic library refuses.
    pub fn seal(
        &self,
        user_id: UserId,
        key: &SealingKey,
        nonce: [u8; NONCE_LEN],
    ) -> Result<SealedTotpSecret, SealError> {
        let sealed = key.seal(&self.0, &context(user_id), nonce)?;
        Ok(SealedTotpSecret { kid: key.id().to_owned(), sealed })
    }

    /// HMAC-SHA-256 of a recovery code under the secret.
    pub(super) fn hmac(&self, purpose: &[u8], text: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(purpose);
        context.update(text);
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        hash
    }

    fn totp(&self) -> Totp {
        // The defaults are SHA-1, six digits, 30 seconds and one step of skew.
        Builder::new().with_secret(Secret::new_stack(self.0)).build_noncompliant()
    }

    /// The code at `now`, for tests of other crates.
    #[must_use]
    pub fn code_at(&self, now: UnixSeconds) -> String {
        self.totp().generate(now.get()).to_string()
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

/// What the seal is bound to, so that it opens for this user and purpose only.
fn context(user_id: UserId) -> Vec<u8> {
    [b"totp secret v1 ".as_slice(), user_id.as_bytes()].concat()
}

/// All but the unreserved characters (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A part of the URI's path. A colon separates service and account, so it becomes a space.
fn escaped(text: &str) -> String {
    utf8_percent_encode(&text.replace(':', " "), RESERVED).to_string()
}

/// A secret as a user's factor holds it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SealedTotpSecret {
    /// The sealing key's id.
    pub kid: String,
    /// Nonce, ciphertext and authentication tag.
    pub sealed: Vec<u8>,
}

/// A sealed secret cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// The ring does not have its key. It may be newer than the ring at hand.
    #[error("the key ring does not have the key that sealed a second factor")]
    UnknownKey,
    /// It is damaged, or another user's.
    #[error("a sealed second factor is damaged")]
    Damaged,
}

impl SealedTotpSecret {
    /// Opens the secret of `user_id`.
    ///
    /// # Errors
    /// [`UnsealError`].
    pub fn open(&self, user_id: UserId, ring: &KeyRing) -> Result<TotpSecret, UnsealError> {
        let key = ring.sealing_key(&self.kid).ok_or(UnsealError::UnknownKey)?;
        let opened = key.open(&self.sealed, &context(user_id));
        let opened = opened.map_err(|_| UnsealError::Damaged)?;
        let secret = opened.as_slice().try_into().map_err(|_| UnsealError::Damaged)?;
        Ok(TotpSecret::new(secret))
    }
}

impl fmt::Debug for SealedTotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedTotpSecret").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Six digits of an authenticator app, as typed.
///
/// # Security
/// Prints as a placeholder and is wiped when dropped.
#[derive(ZeroizeOnDrop)]
pub struct TotpCode(String);

/// The text is not a code of the form that is expected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a code")]
pub struct InvalidCode;

impl TotpCode {
    /// How many digits a code has.
    pub const DIGITS: usize = 6;

    /// Reads a typed code. Ignores spaces, with which apps group digits.
    ///
    /// # Errors
    /// [`InvalidCode`].
    pub fn parse(typed: &str) -> Result<Self, InvalidCode> {
        let digits = Self(typed.chars().filter(|typed| *typed != ' ').take(64).collect());
        let right = digits.0.len() == Self::DIGITS && digits.0.bytes().all(|b| b.is_ascii_digit());
        if right { Ok(digits) } else { Err(InvalidCode) }
    }
}

impl fmt::Debug for TotpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::key_ring::MIN_SEED_CHARS;

    /// The secret of RFC 6238 appendix B.
    const RFC: TotpSecret = TotpSecret::new(*b"12345678901234567890");

    fn ring(letter: &str) -> KeyRing {
        let ring = json!({"keys": [], "seed": letter.repeat(MIN_SEED_CHARS)});
        KeyRing::parse(&ring.to_string(), UnixSeconds::new(1_780_000_000)).unwrap()
    }

    #[test]
    fn codes_are_the_last_six_digits_of_rfc_6238() {
        for (now, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let now = UnixSeconds::new(now);
            assert_eq!(RFC.code_at(now), &code[2..]);
            let code = TotpCode::parse(&code[2..]).unwrap();
            assert_eq!(RFC.step_of(&code, now), Some(now.get() / 30));
        }
    }

    #[test]
    fn a_code_counts_one_step_early_and_one_step_late() {
        let code = TotpCode::parse(&RFC.code_at(UnixSeconds::new(3_000))).unwrap();
        for (now, step) in
            [(2_969, None), (2_970, Some(100)), (3_059, Some(100)), (3_060, None), (0, None)]
        {
            assert_eq!(RFC.step_of(&code, UnixSeconds::new(now)), step, "{now}");
        }
    }

    #[test]
    fn a_code_may_be_typed_in_groups() {
        for typed in ["123456", "123 456", " 12 34 56 "] {
            assert_eq!(TotpCode::parse(typed).unwrap().0, "123456");
        }
        for typed in ["", "12345", "1234567", "12345a", "+12345", "\u{661}23456", "12\u{a0}3456"] {
            assert_eq!(TotpCode::parse(typed).unwrap_err(), InvalidCode, "{typed}");
        }
    }

    #[test]
    fn a_uri_names_service_and_account() {
        let uri = RFC.to_uri("A: Service", "ad\u{e4}@b:c&d");
        assert_eq!(
            uri.as_str(),
            "otpauth://totp/A%20%20Service:ad%C3%A4%40b%20c%26d?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=A%20%20Service&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn a_sealed_secret_opens_for_its_user_with_its_ring_only() {
        let (ada, bob) = (UserId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let ours = ring("a");
        let key = ours.sealer(UnixSeconds::new(1_780_000_000)).unwrap();
        let sealed = RFC.seal(ada, key, [7; 12]).unwrap();
        assert_eq!(sealed.open(ada, &ours).unwrap().0, RFC.0);
        assert_eq!(sealed.open(bob, &ours).unwrap_err(), UnsealError::Damaged);
        assert_eq!(sealed.open(ada, &ring("b")).unwrap_err(), UnsealError::UnknownKey);
        assert!(!sealed.sealed.windows(4).any(|part| RFC.0.windows(4).any(|own| own == part)));
    }

    #[test]
    fn nothing_prints_a_secret_or_a_code() {
        assert_eq!(format!("{RFC:?}"), "TotpSecret(..)");
        assert_eq!(format!("{:?}", TotpCode::parse("123456").unwrap()), "TotpCode(..)");
        let sealed = SealedTotpSecret { kid: "k".to_owned(), sealed: vec![9] };
        assert_eq!(format!("{sealed:?}"), "SealedTotpSecret { kid: \"k\", .. }");
    }
}
