//! The first keys of a ring, derived from its seed.
//!
//! The ring of a new deployment has a seed and no key, so `CloudFormation` can generate it. The
//! configured algorithm may change before the first rotation, instance by instance. So the ring
//! contains a key of each algorithm whose keys can be derived. All of them verify and are
//! published, and the one of the configured algorithm signs.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use super::NewKey;
use crate::jws::SignatureAlgorithm;

/// The shortest `seed`, in characters: 256 bits, drawn from letters and digits.
pub const MIN_SEED_CHARS: usize = 43;

/// The keys that a ring with this seed begins with. The last one for access tokens signs: that of
/// `algorithm`, or of ES256 if `algorithm` is RS256, whose keys cannot be derived.
///
/// `None` if the seed is too short.
pub(super) fn first_keys(seed: &str, algorithm: SignatureAlgorithm) -> Option<Vec<NewKey>> {
    if seed.chars().count() < MIN_SEED_CHARS {
        return None;
    }
    let mut keys = vec![
        (SignatureAlgorithm::Hs256, NewKey::hs256(&*derive(seed, &[b"access token HS256"])?)),
        (SignatureAlgorithm::EdDsa, NewKey::ed25519(&*derive(seed, &[b"access token EdDSA"])?)?),
        (SignatureAlgorithm::Es256, es256(seed)?),
    ];
    keys.sort_by_key(|(derived, _)| *derived == algorithm);
    let tag = NewKey::tag_of(&*derive(seed, &[b"refresh token tag"])?);
    Some(keys.into_iter().map(|(_, key)| key).chain([tag]).collect())
}

/// By rejection sampling (FIPS 186-5 A.2.2): one of 2³² numbers of 256 bits is not a private key.
fn es256(seed: &str) -> Option<NewKey> {
    (0..8).find_map(|count| NewKey::p256(&*derive(seed, &[b"access token ES256", &[count]])?))
}

fn derive(seed: &str, purpose: &[&[u8]]) -> Option<Zeroizing<[u8; 32]>> {
    struct Len32;
    impl KeyType for Len32 {
        fn len(&self) -> usize {
            32
        }
    }
    let extracted = Salt::new(HKDF_SHA256, b"ratchet key ring v1").extract(seed.as_bytes());
    let mut key = Zeroizing::new([0; 32]);
    extracted.expand(purpose, Len32).ok()?.fill(key.as_mut_slice()).ok()?;
    Some(key)
}
