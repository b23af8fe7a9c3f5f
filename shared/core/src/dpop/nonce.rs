//! The nonce of a proof (RFC 9449 §8): a time with a tag that only the service can make.
//!
//! ```text
//! dn1_ base64url( issued at (8, seconds, big endian) ‖ tag (16) )
//! ```
//!
//! Every function that has the key ring can issue and check nonces; nothing is stored.

use std::time::Duration;

use aws_lc_rs::hmac;

use crate::{key_ring::TagKey, tagged_token::Format, time::UnixSeconds};

/// How long a nonce is valid.
pub const NONCE_LIFE: Duration = Duration::from_secs(60);

const FORMAT: Format = Format::new("dn1_", 8);

/// A nonce. It is not secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce {
    issued_at: UnixSeconds,
}

impl Nonce {
    /// A nonce issued at `now`.
    #[must_use]
    pub const fn new(now: UnixSeconds) -> Self {
        Self { issued_at: now }
    }

    /// The text for the header `DPoP-Nonce`.
    #[must_use]
    pub fn encode(self, key: &TagKey) -> String {
        let issued_at = self.issued_at.get().to_be_bytes();
        FORMAT.encode(&[&issued_at], &[], &derived(key)).as_str().to_owned()
    }

    /// Whether `text` is a nonce tagged with one of these keys and valid at `now`. The clocks of
    /// two functions may differ by up to [`NONCE_LIFE`].
    #[must_use]
    pub fn is_fresh<'k>(
        text: &str,
        keys: impl IntoIterator<Item = &'k TagKey>,
        now: UnixSeconds,
    ) -> bool {
        let keys = keys.into_iter().map(derived);
        let Ok(mut fields) = FORMAT.decode(text, &[], keys) else { return false };
        fields.take().map(u64::from_be_bytes).map(UnixSeconds::new).is_some_and(|issued_at| {
            now <= issued_at.plus(NONCE_LIFE) && issued_at <= now.plus(NONCE_LIFE)
        })
    }
}

fn derived(key: &TagKey) -> hmac::Key {
    key.derive(b"ratchet dpop nonce v1")
}
