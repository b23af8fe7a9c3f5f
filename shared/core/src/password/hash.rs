//! How the hash of a password is made and checked.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, PasswordHash, Salt},
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use super::{Password, stored::Stored};
use crate::entropy::{RandomUnavailable, random};

#[cfg(test)]
mod tests;

const HASH_LEN: usize = 32;
const SALT_LEN: usize = 16;

/// The cost of Argon2id (RFC 9106 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl HashCost {
    /// The default: the least that OWASP recommends for Argon2id.
    pub const DEFAULT: Self = Self { memory_kib: 19_456, iterations: 2, parallelism: 1 };

    /// The most that a stored hash may ask for. A planted hash must not be able to eat the
    /// function's memory or its time.
    pub const CAP: Self = Self { memory_kib: 262_144, iterations: 16, parallelism: 4 };

    pub(super) fn within(self, cap: Self) -> bool {
        self.memory_kib <= cap.memory_kib
            && self.iterations <= cap.iterations
            && self.parallelism <= cap.parallelism
    }

    fn params(self, hash_len: usize) -> Result<Params, HashError> {
        Params::new(self.memory_kib, self.iterations, self.parallelism, Some(hash_len))
            .map_err(|_| HashError::Unusable)
    }
}

/// A password hash as the users table holds it: a PHC string, or a modular-crypt string of bcrypt.
///
/// # Security
/// Prints as a placeholder: a hash is material for guessing.
#[derive(Clone, PartialEq, Eq)]
pub struct PhcHash(String);

impl PhcHash {
    /// A stored hash. It is checked when a password is verified against it.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// A hash that another system made: Argon2id, bcrypt, scrypt or PBKDF2, within the caps.
    ///
    /// # Errors
    /// [`HashError::Unusable`] if no password could ever be verified against it.
    pub fn import(text: &str) -> Result<Self, HashError> {
        text.parse::<Stored>()?;
        Ok(Self(text.to_owned()))
    }

    /// The PHC string, for the store.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PhcHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhcHash(..)")
    }
}

/// A password could not be hashed or verified at all.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The memory for the hash could not be had; another try may succeed.
    #[error("no memory for the password hash")]
    OutOfMemory,
    /// The stored hash is of no known kind, or asks for more than it may ([`HashCost::CAP`]).
    #[error("the stored password hash cannot be used")]
    Unusable,
    /// No salt could be drawn.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

/// The outcome of verifying a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is not the password.
    Wrong,
    /// It is, and the hash is as expensive as the configuration asks.
    Right,
    /// It is, but the hash is cheaper than configured, or of another kind: hash the password again.
    RightButCheap,
}

/// Hashes and verifies passwords with memory that is allocated once and used again.
pub struct PasswordHasher {
    cost: HashCost,
    idle_memory: Mutex<Vec<Vec<Block>>>,
    /// How much memory is kept, in hashes.
    kept: usize,
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl PasswordHasher {
    /// A hasher at `cost`. Allocates its memory now, not in the first request.
    ///
    /// # Errors
    /// [`HashError`] if the cost is out of Argon2's bounds or the memory cannot be allocated.
    pub fn new(cost: HashCost) -> Result<Self, HashError> {
        let memory = allocate(cost.params(HASH_LEN)?.block_count())?;
        Ok(Self { cost, idle_memory: Mutex::new(vec![memory]), kept: 1 })
    }

    /// The same for several hashes at once. Memory that was needed once is kept for each of them.
    #[must_use]
    pub fn keeping(self, hashes: usize) -> Self {
        Self { kept: hashes.max(1), ..self }
    }

    /// Hashes a new password with a fresh salt.
    ///
    /// # Errors
    /// [`HashError`].
    pub fn hash(&self, password: &Password) -> Result<PhcHash, HashError> {
        let salt: [u8; SALT_LEN] = random()?;
        let params = self.cost.params(HASH_LEN)?;
        let text = password.text.as_bytes();
        let hash = self.derive(Version::V0x13, params.clone(), text, &salt)?;
        let phc = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: (&params).try_into().map_err(|_| HashError::Unusable)?,
            salt: Some(Salt::new(&salt).map_err(|_| HashError::Unusable)?),
            hash: Some(Output::new(&hash).map_err(|_| HashError::Unusable)?),
        };
        Ok(PhcHash(phc.to_string()))
    }

    /// Verifies a password against the stored hash, at the cost the hash names.
    ///
    /// # Errors
    /// [`HashError`] if the comparison failed; it says nothing about the password.
    pub fn verify(&self, password: &Password, stored: &PhcHash) -> Result<Verdict, HashError> {
        for candidate in password.candidates() {
            let verdict = self.verify_text(candidate, stored)?;
            if verdict != Verdict::Wrong {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Wrong)
    }

    fn verify_text(&self, text: &[u8], stored: &PhcHash) -> Result<Verdict, HashError> {
        match stored.0.parse()? {
            Stored::Argon2id(stored) => {
                let params = stored.cost.params(stored.hash.len())?;
                let salt = stored.salt.as_ref();
                let hash = self.derive(stored.version, params, text, salt)?;
                let current = stored.version == Version::V0x13 && stored.hash.len() == HASH_LEN;
                if verify_slices_are_equal(&hash, stored.hash.as_bytes()).is_err() {
                    Ok(Verdict::Wrong)
                } else if current && self.cost.within(stored.cost) {
                    Ok(Verdict::Right)
                } else {
                    Ok(Verdict::RightButCheap)
                }
            }
            Stored::Foreign(foreign) if foreign.matches(text)? => Ok(Verdict::RightButCheap),
            Stored::Foreign(_) => Ok(Verdict::Wrong),
        }
    }

    /// Does the work of a verification for a user who does not exist.
    ///
    /// # Errors
    /// [`HashError`].
    pub fn verify_nobody(&self, password: &Password) -> Result<(), HashError> {
        for candidate in password.candidates() {
            let params = self.cost.params(HASH_LEN)?;
            let hash = self.derive(Version::V0x13, params, candidate, &[0; SALT_LEN])?;
            std::hint::black_box(hash);
        }
        Ok(())
    }

    fn derive(
        &self,
        version: Version,
        params: Params,
        password: &[u8],
        salt: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, HashError> {
        let blocks = params.block_count();
        let mut memory = self.take_memory(blocks)?;
        let mut hash = Zeroizing::new(vec![0; params.output_len().unwrap_or(HASH_LEN)]);
        let used = memory.get_mut(..blocks).ok_or(HashError::OutOfMemory)?;
        let result = Argon2::new(Algorithm::Argon2id, version, params)
            .hash_password_into_with_memory(password, salt, &mut hash, used);
        self.put_back(memory);
        result.map_err(|_| HashError::Unusable)?;
        Ok(hash)
    }

    fn take_memory(&self, blocks: usize) -> Result<Vec<Block>, HashError> {
        let idle = self.idle_memory.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(memory) if memory.len() >= blocks => Ok(memory),
            Some(memory) => {
                // The stored hash costs more than the configured cost. Keep this memory for the
                // next sign-in, which may not be able to allocate any.
                self.put_back(memory);
                allocate(blocks)
            }
            None => allocate(blocks),
        }
    }

    fn put_back(&self, memory: Vec<Block>) {
        let mut idle = self.idle_memory.lock().unwrap_or_else(PoisonError::into_inner);
        // The memory of a burst of hashes must not stay allocated forever.
        if idle.len() < self.kept {
            idle.push(memory);
        }
    }
}

fn allocate(blocks: usize) -> Result<Vec<Block>, HashError> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(blocks).map_err(|_| HashError::OutOfMemory)?;
    memory.resize(blocks, Block::new());
    Ok(memory)
}
