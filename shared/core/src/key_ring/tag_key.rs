//! A key that tags refresh tokens.

use std::fmt;

use aws_lc_rs::{
    hkdf::{HKDF_SHA256, Prk},
    hmac,
};
use zeroize::Zeroizing;

use super::{KeyError, KeyLife, jwk::Jwk, thumbprint::of as thumbprint};
use crate::{
    encoding::{sha256, to_base64url},
    time::UnixSeconds,
};

/// The block of SHA-256, in bytes: HMAC hashes a longer key first (RFC 2104 §2).
const BLOCK: usize = 64;

/// A key that tags refresh tokens. Keys for device tokens, clients' secrets and mailed codes are
/// derived from it.
pub struct TagKey {
    id: String,
    life: KeyLife,
    hmac: hmac::Key,
    prk: Prk,
}

impl TagKey {
    /// A tag key without end.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        let id = thumbprint(vec![("k", to_base64url(secret)), ("kty", "oct".to_owned())]);
        Self::from_secret(secret, id, KeyLife::from(UnixSeconds::new(0)))
    }

    /// Its id: `kid`, or else the thumbprint.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it tags and when its tags count.
    #[must_use]
    pub const fn life(&self) -> KeyLife {
        self.life
    }

    pub(crate) const fn hmac(&self) -> &hmac::Key {
        &self.hmac
    }

    /// A key for another purpose, by HKDF-Expand (RFC 5869 §2.3).
    #[expect(clippy::expect_used, reason = "HKDF fails only for more than 255 blocks")]
    pub(crate) fn derive(&self, info: &[u8]) -> hmac::Key {
        let info = [info];
        let derived = self.prk.expand(&info, hmac::HMAC_SHA256).expect("one block");
        hmac::Key::from(derived)
    }

    /// 32 bytes for another purpose, in the same way.
    pub(super) fn derive_bytes(&self, info: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        let info = [info];
        let derived = self.prk.expand(&info, hmac::HMAC_SHA256);
        let filled = derived.and_then(|derived| derived.fill(bytes.as_mut_slice()));
        filled.map(|()| bytes).map_err(|_| KeyError::Malformed)
    }

    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        jwk.algorithm()?;
        Ok(Self::from_secret(&jwk.strong_hmac_secret()?, jwk.id()?, jwk.life()))
    }

    fn from_secret(secret: &[u8], id: String, life: KeyLife) -> Self {
        let hashed = Zeroizing::new(sha256(secret));
        let block = if secret.len() > BLOCK { hashed.as_slice() } else { secret };
        Self {
            id,
            life,
            hmac: hmac::Key::new(hmac::HMAC_SHA256, secret),
            prk: Prk::new_less_safe(HKDF_SHA256, block),
        }
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        device_token::{DeviceId, DeviceToken},
        ids::UserId,
        key_ring::TAG_USE,
        time::UnixMillis,
    };

    #[test]
    fn keys_are_derived_from_a_secret_longer_than_a_block_too() {
        // Computed with another HMAC; see tests/wire_format.rs.
        const TOKEN: &str = "dt1_AQEBAQEBAQEBAQEBAQEBAQICAgICAgICAgICAgICAgIAAAAAahilAAAAAZwcOKQAeYvY6KDb3DfEnvlVENZZKg";
        let secret: Vec<u8> = (1..=80).collect();
        let jwk = json!({"kty": "oct", "use": TAG_USE, "k": to_base64url(&secret)});
        let key = TagKey::from_jwk(&serde_json::from_value(jwk).unwrap()).unwrap();
        let token = DeviceToken {
            user_id: UserId::from_bytes([1; 16]),
            device_id: DeviceId::from_bytes([2; 16]),
            issued_at: UnixSeconds::new(1_780_000_000),
            cut_seen: UnixMillis::new(1_770_000_000_000),
        };
        assert_eq!(token.encode("ada", &key).expose(), TOKEN);
    }
}
