//! Parsing stored hashes: the algorithm, and whether its cost is within the limits.
//!
//! Ratchet makes Argon2id hashes only. The others are verified so that users of another system can
//! be imported with their passwords; the next sign-in replaces them.

use std::{num::NonZeroU32, str::FromStr};

use argon2::{
    Algorithm, Version,
    password_hash::phc::{Output, PasswordHash, Salt},
};
use aws_lc_rs::{constant_time::verify_slices_are_equal, pbkdf2};
use zeroize::Zeroizing;

use super::{HashCost, HashError};

/// The most rounds of bcrypt, as a power of two: about a second.
const BCRYPT_COST: u32 = 14;

/// The most memory of scrypt, in bytes: as much as [`HashCost::CAP`] allows.
const SCRYPT_BYTES: u64 = 262_144 * 1024;

/// The most work of scrypt, N · r · p: about a second.
const SCRYPT_WORK: u64 = 1 << 21;

/// The most iterations of PBKDF2: about a second.
const PBKDF2_ITERATIONS: u32 = 2_000_000;

/// A stored hash whose cost has been checked.
pub(super) enum Stored {
    /// One of the kind that is made here.
    Argon2id(Argon2id),
    /// One that another system made.
    Foreign(Foreign),
}

/// An Argon2id hash (RFC 9106).
pub(super) struct Argon2id {
    pub(super) version: Version,
    pub(super) cost: HashCost,
    pub(super) salt: Salt,
    pub(super) hash: Output,
}

/// A hash of an algorithm that is only verified.
pub(super) enum Foreign {
    /// The whole string: `$2b$10$…`, also with `2a` or `2y`.
    Bcrypt(String),
    /// RFC 7914.
    Scrypt { params: scrypt::Params, salt: Salt, hash: Output },
    /// RFC 8018 §5.2.
    Pbkdf2 { algorithm: pbkdf2::Algorithm, iterations: NonZeroU32, salt: Salt, hash: Output },
}

impl FromStr for Stored {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            return bcrypt(text).map(Self::Foreign).ok_or(HashError::Unusable);
        }
        let phc = PasswordHash::new(text).map_err(|_| HashError::Unusable)?;
        let stored = match phc.algorithm.as_str() {
            "argon2id" => argon2id(&phc).map(Self::Argon2id),
            "scrypt" => scrypt(&phc).map(Self::Foreign),
            "pbkdf2-sha256" => pbkdf2(&phc, pbkdf2::PBKDF2_HMAC_SHA256).map(Self::Foreign),
            "pbkdf2-sha512" => pbkdf2(&phc, pbkdf2::PBKDF2_HMAC_SHA512).map(Self::Foreign),
            _ => None,
        };
        stored.ok_or(HashError::Unusable)
    }
}

fn argon2id(phc: &PasswordHash) -> Option<Argon2id> {
    let cost = |name| phc.params.get_decimal(name);
    let cost = HashCost { memory_kib: cost("m")?, iterations: cost("t")?, parallelism: cost("p")? };
    // Without `v` it is the first version (PHC string format).
    let version = phc.version.map_or(Some(Version::V0x10), |v| Version::try_from(v).ok())?;
    // A key id or associated data would be part of the hash.
    let plain = phc.params.get_str("keyid").is_none() && phc.params.get_str("data").is_none();
    let usable =
        plain && cost.within(HashCost::CAP) && phc.algorithm == Algorithm::Argon2id.ident();
    usable.then_some(Argon2id { version, cost, salt: phc.salt?, hash: phc.hash? })
}

fn bcrypt(text: &str) -> Option<Foreign> {
    let parts: bcrypt::HashParts = text.parse().ok()?;
    (4..=BCRYPT_COST).contains(&parts.get_cost()).then(|| Foreign::Bcrypt(text.to_owned()))
}

fn scrypt(phc: &PasswordHash) -> Option<Foreign> {
    let param = |name| phc.params.get_decimal(name);
    let (log_n, r, p) = (param("ln")?, param("r")?, param("p")?);
    let blocks = 1_u64.checked_shl(log_n)?.checked_mul(r.into())?;
    let work = blocks.checked_mul(p.into())?;
    // The memory is that of the table (N · r) and of the lanes (r · p).
    let lanes = u64::from(r).checked_mul(p.into())?;
    let bytes = blocks.checked_add(lanes)?.checked_mul(128)?;
    if work > SCRYPT_WORK || bytes > SCRYPT_BYTES {
        return None;
    }
    let params = scrypt::Params::new(u8::try_from(log_n).ok()?, r, p).ok()?;
    Some(Foreign::Scrypt { params, salt: phc.salt?, hash: phc.hash? })
}

fn pbkdf2(phc: &PasswordHash, algorithm: pbkdf2::Algorithm) -> Option<Foreign> {
    let iterations = phc.params.get_decimal("i").and_then(NonZeroU32::new)?;
    (iterations.get() <= PBKDF2_ITERATIONS).then_some(Foreign::Pbkdf2 {
        algorithm,
        iterations,
        salt: phc.salt?,
        hash: phc.hash?,
    })
}

impl Foreign {
    /// Whether it is the hash of `password`.
    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, HashError> {
        match self {
            // Of longer passwords bcrypt reads the first 72 bytes, and so did the system that made
            // this hash.
            Self::Bcrypt(text) => bcrypt::verify(password, text).map_err(|_| HashError::Unusable),
            Self::Scrypt { params, salt, hash } => {
                let mut derived = Zeroizing::new(vec![0; hash.len()]);
                scrypt::scrypt(password, salt.as_ref(), params, &mut derived)
                    .map_err(|_| HashError::Unusable)?;
                Ok(verify_slices_are_equal(&derived, hash.as_bytes()).is_ok())
            }
            Self::Pbkdf2 { algorithm, iterations, salt, hash } => {
                let (salt, hash) = (salt.as_ref(), hash.as_bytes());
                Ok(pbkdf2::verify(*algorithm, *iterations, salt, password, hash).is_ok())
            }
        }
    }
}

#[cfg(test)]
mod tests;
