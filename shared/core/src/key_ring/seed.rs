//! The first keys of a ring, derived from its seed.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

/// The shortest `seed`, in characters: 256 bits, drawn from letters and digits.
pub const MIN_SEED_CHARS: usize = 43;

/// The secrets of a ring's first keys.
pub(super) struct FirstKeys {
    pub(super) signing: Zeroizing<[u8; 32]>,
    pub(super) tag: Zeroizing<[u8; 32]>,
}

impl FirstKeys {
    /// `None` if the seed is too short to derive anything from.
    pub(super) fn derive(seed: &str) -> Option<Self> {
        if seed.chars().count() < MIN_SEED_CHARS {
            return None;
        }
        Some(Self {
            signing: derive(seed, b"access token HS256")?,
            tag: derive(seed, b"refresh token tag")?,
        })
    }
}

fn derive(seed: &str, purpose: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    struct Len32;
    impl KeyType for Len32 {
        fn len(&self) -> usize {
            32
        }
    }
    let extracted = Salt::new(HKDF_SHA256, b"ratchet key ring v1").extract(seed.as_bytes());
    let mut key = Zeroizing::new([0; 32]);
    extracted.expand(&[purpose], Len32).ok()?.fill(key.as_mut_slice()).ok()?;
    Some(key)
}
