//! The device token, version 1: proves that its bearer has signed in to an account before.
//!
//! ```text
//! user id (16) ‖ device id (16) ‖ issued at (8, seconds, big endian) ‖ cut seen (8) ‖ tag (16)
//! ```
//!
//! The tag is HMAC-SHA-256, truncated to 16 bytes, over the prefix, a hash of the user name and the
//! 48 bytes before it, under a key derived (HKDF) from the ring's tag key. Attempts with a device
//! token are counted separately, so strangers who guess do not lock the owner out. The token grants
//! nothing else: the password is always required.

use std::time::Duration;

use aws_lc_rs::hmac;

use crate::{
    encoded_token::encoded_token,
    ids::UserId,
    key_ring::TagKey,
    tagged_token::Format,
    time::{UnixMillis, UnixSeconds},
    user::{User, name_hash},
};

/// The prefix of every version 1 token.
pub const PREFIX: &str = "dt1_";

/// How long after its last sign-in a device is recognised.
pub const LIFE: Duration = Duration::from_hours(365 * 24);

const FORMAT: Format = Format::new(PREFIX, 16 + 16 + 8 + 8);

/// A device that has signed in: 16 random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceId([u8; 16]);

impl DeviceId {
    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A genuine device token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceToken {
    /// Who signed in. The name alone is not enough: it may belong to another user by now.
    pub user_id: UserId,
    /// The device.
    pub device_id: DeviceId,
    /// When it last signed in.
    pub issued_at: UnixSeconds,
    /// The last cut that this sign-in saw, [`User::cut_seen`].
    pub cut_seen: UnixMillis,
}

impl DeviceToken {
    /// Whether its bearer has signed in as `user` since the user's sessions were last ended all at
    /// once. If not, the bearer may have known only a former password and counts as a stranger. The
    /// number of the cut decides, not a clock.
    #[must_use]
    pub fn knows(&self, user: &User) -> bool {
        self.user_id == user.id && self.cut_seen >= user.cut_seen()
    }

    /// The token as clients get it, for the user called `name`.
    #[must_use]
    pub fn encode(&self, name: &str, key: &TagKey) -> EncodedDeviceToken {
        self.encode_for(&name_hash(name), key)
    }

    /// The same, for the user whose name has this hash.
    pub(crate) fn encode_for(&self, name_hash: &[u8; 16], key: &TagKey) -> EncodedDeviceToken {
        let fields = [
            self.user_id.as_bytes().as_slice(),
            self.device_id.as_bytes(),
            &self.issued_at.get().to_be_bytes(),
            &self.cut_seen.get().to_be_bytes(),
        ];
        EncodedDeviceToken(FORMAT.encode(&fields, name_hash, &derived(key)))
    }

    /// Reads a token that came with `name`. `None` if it is not a token of ours, was issued for
    /// another name, or is too old: its bearer then counts as a stranger, which is not an error.
    ///
    /// `keys` are [`KeyRing::device_tag_keys`](crate::key_ring::KeyRing::device_tag_keys): a token
    /// outlives the key that tagged it.
    #[must_use]
    pub fn parse<'k>(
        text: &str,
        name: &str,
        keys: impl IntoIterator<Item = &'k TagKey>,
        now: UnixSeconds,
    ) -> Option<Self> {
        let keys = keys.into_iter().map(derived);
        let mut fields = FORMAT.decode(text, &name_hash(name), keys).ok()?;
        let token = Self {
            user_id: UserId::from_bytes(fields.take()?),
            device_id: DeviceId::from_bytes(fields.take()?),
            issued_at: UnixSeconds::new(u64::from_be_bytes(fields.take()?)),
            cut_seen: UnixMillis::new(u64::from_be_bytes(fields.take()?)),
        };
        (now < token.issued_at.plus(LIFE)).then_some(token)
    }
}

fn derived(key: &TagKey) -> hmac::Key {
    key.derive(b"ratchet device token v1")
}

encoded_token! {
    /// A device token's text on its way to the client.
    EncodedDeviceToken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custom_claims::CustomClaims;
    use crate::encoding::{from_base64url, to_base64url};
    use crate::user::{SessionsCut, UserStatus};

    const NOW: UnixSeconds = UnixSeconds::new(1_780_000_000);
    const CUT: UnixMillis = UnixMillis::new(1_770_000_000_000);

    fn token() -> DeviceToken {
        DeviceToken {
            user_id: UserId::from_bytes([1; 16]),
            device_id: DeviceId::from_bytes([2; 16]),
            issued_at: NOW,
            cut_seen: CUT,
        }
    }

    fn key(byte: u8) -> TagKey {
        TagKey::new(&[byte; 32])
    }

    #[test]
    fn a_token_is_read_back_with_the_name_and_the_key_that_made_it() {
        let text = token().encode("Ada", &key(1));
        let parse = |name, keys: &[TagKey]| DeviceToken::parse(text.expose(), name, keys, NOW);
        assert_eq!(parse("ada", &[key(2), key(1)]), Some(token()));
        assert_eq!(parse("grace", &[key(1)]), None);
        assert_eq!(parse("ada", &[key(2)]), None);
        assert_eq!(parse("ada", &[]), None);
    }

    #[test]
    fn no_bit_of_it_can_be_changed() {
        let text = token().encode("ada", &key(1));
        let bytes = from_base64url(text.expose().strip_prefix(PREFIX).unwrap()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let changed = [PREFIX, &to_base64url(&changed)].concat();
            assert_eq!(DeviceToken::parse(&changed, "ada", &[key(1)], NOW), None, "bit {bit}");
        }
    }

    #[test]
    fn other_texts_and_old_tokens_make_a_stranger() {
        let text = token().encode("ada", &key(1)).expose().to_owned();
        let end = NOW.plus(LIFE);
        assert_eq!(DeviceToken::parse(&text, "ada", &[key(1)], end), None);
        let refresh = text.replacen(PREFIX, "rt1_", 1);
        for text in ["", "dt1_", &refresh, &text[1..], &format!("{text}A")] {
            assert_eq!(DeviceToken::parse(text, "ada", &[key(1)], NOW), None, "{text}");
        }
    }

    #[test]
    fn a_device_that_has_not_signed_in_since_a_cut_is_a_stranger() {
        let user = |id, cut: Option<u64>| User {
            id: UserId::from_bytes([id; 16]),
            name: "ada".to_owned(),
            email_confirmed: true,
            second_factor: false,
            has_passkeys: false,
            status: UserStatus::Active,
            roles: Vec::new(),
            claims: CustomClaims::default(),
            cut: cut.map(|at| SessionsCut { valid_after: UnixMillis::new(at), spared: None }),
        };
        assert!(token().knows(&user(1, Some(CUT.get()))));
        // The next cut, even if its clock was behind.
        assert!(!token().knows(&user(1, Some(CUT.get() + 1))));
        assert!(token().knows(&user(1, None)), "tables put back to before the cut");
        assert!(!token().knows(&user(2, Some(CUT.get()))));
    }

    #[test]
    fn nothing_prints_a_token() {
        let text = token().encode("ada", &key(1));
        assert!(!format!("{text:?}").contains(PREFIX));
    }
}
