//! Passwords: what counts as one, and how its hash is made and checked.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, PasswordHash, Salt},
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use unicode_normalization::{UnicodeNormalization as _, char::is_public_assigned};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::entropy::{RandomUnavailable, random};

mod blocklist;
pub mod policy;
mod stored;

pub use policy::{PasswordPolicy, PasswordRule};
use stored::Stored;

/// The longest password, in characters: beyond it nothing is hashed.
pub const PASSWORD_CHARS: usize = 256;

const HASH_LEN: usize = 32;
const SALT_LEN: usize = 16;

/// A password as it was typed, in PRECIS `OpaqueString` form (RFC 8265 §4.2).
///
/// The form is that of the RFC: spaces of any kind are ASCII spaces, the rest is NFC, and case and
/// width stay. What is taken is more: the RFC's class of characters leaves out those that an emoji
/// is composed with, and its published tables end at Unicode 6.3. Characters that the present
/// version does not assign are refused, because a later one may give them another normal form.
///
/// # Security
/// Prints as a placeholder and is wiped when dropped.
#[derive(ZeroizeOnDrop)]
pub struct Password(String);

/// The text can not be a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a password has 1 to {PASSWORD_CHARS} characters and no control characters (RFC 8265 §4.2)"
)]
pub struct InvalidPassword;

impl Password {
    /// Normalises a typed password.
    ///
    /// # Errors
    /// [`InvalidPassword`] if it is empty, too long or has control characters.
    pub fn parse(typed: &str) -> Result<Self, InvalidPassword> {
        // Four bytes hold any character, so longer texts are refused before any work.
        if typed.len() > PASSWORD_CHARS * 4 || typed.chars().count() > PASSWORD_CHARS {
            return Err(InvalidPassword);
        }
        if typed.is_empty() || typed.chars().any(|c| c.is_control() || !is_public_assigned(c)) {
            return Err(InvalidPassword);
        }
        Ok(Self(opaque(typed)))
    }
}

/// The mapping and the normalisation of `OpaqueString` (RFC 8265 §4.2.2).
fn opaque(text: &str) -> String {
    text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).nfc().collect()
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

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
    /// The least that is accepted, and the default: OWASP's minimum for Argon2id.
    pub const DEFAULT: Self = Self { memory_kib: 19_456, iterations: 2, parallelism: 1 };

    /// The most that a stored hash may ask for. A planted hash must not be able to eat the
    /// function's memory or its time.
    pub const CAP: Self = Self { memory_kib: 262_144, iterations: 16, parallelism: 4 };

    fn within(self, cap: Self) -> bool {
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
    #[error("the stored password hash can not be used")]
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
    /// It is, but the hash is cheaper than the configuration asks, or of another kind: hash anew.
    RightButCheap,
}

/// Hashes and verifies passwords with memory that is allocated once and used again.
pub struct PasswordHasher {
    cost: HashCost,
    idle_memory: Mutex<Vec<Vec<Block>>>,
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl PasswordHasher {
    /// A hasher at `cost`. Its memory is allocated here, not in the first request.
    ///
    /// # Errors
    /// [`HashError`] if the cost is out of Argon2's bounds or the memory can not be had.
    pub fn new(cost: HashCost) -> Result<Self, HashError> {
        let memory = allocate(cost.params(HASH_LEN)?.block_count())?;
        Ok(Self { cost, idle_memory: Mutex::new(vec![memory]) })
    }

    /// Hashes a new password with a fresh salt.
    ///
    /// # Errors
    /// [`HashError`].
    pub fn hash(&self, password: &Password) -> Result<PhcHash, HashError> {
        let salt: [u8; SALT_LEN] = random()?;
        let params = self.cost.params(HASH_LEN)?;
        let hash = self.derive(Version::V0x13, params.clone(), password, &salt)?;
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
    /// [`HashError`]; the password is neither right nor wrong then.
    pub fn verify(&self, password: &Password, stored: &PhcHash) -> Result<Verdict, HashError> {
        match stored.0.parse()? {
            Stored::Argon2id(stored) => {
                let params = stored.cost.params(stored.hash.len())?;
                let salt = stored.salt.as_ref();
                let hash = self.derive(stored.version, params, password, salt)?;
                let current = stored.version == Version::V0x13 && stored.hash.len() == HASH_LEN;
                if verify_slices_are_equal(&hash, stored.hash.as_bytes()).is_err() {
                    Ok(Verdict::Wrong)
                } else if current && self.cost.within(stored.cost) {
                    Ok(Verdict::Right)
                } else {
                    Ok(Verdict::RightButCheap)
                }
            }
            Stored::Foreign(foreign) if foreign.matches(password.0.as_bytes())? => {
                Ok(Verdict::RightButCheap)
            }
            Stored::Foreign(_) => Ok(Verdict::Wrong),
        }
    }

    /// Does the work of a verification for a user who does not exist.
    ///
    /// # Errors
    /// [`HashError`].
    pub fn verify_nobody(&self, password: &Password) -> Result<(), HashError> {
        let params = self.cost.params(HASH_LEN)?;
        let hash = self.derive(Version::V0x13, params, password, &[0; SALT_LEN])?;
        std::hint::black_box(hash);
        Ok(())
    }

    fn derive(
        &self,
        version: Version,
        params: Params,
        password: &Password,
        salt: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, HashError> {
        let blocks = params.block_count();
        let mut memory = self.take_memory(blocks)?;
        let mut hash = Zeroizing::new(vec![0; params.output_len().unwrap_or(HASH_LEN)]);
        let used = memory.get_mut(..blocks).ok_or(HashError::OutOfMemory)?;
        let result = Argon2::new(Algorithm::Argon2id, version, params)
            .hash_password_into_with_memory(password.0.as_bytes(), salt, &mut hash, used);
        self.put_back(memory);
        result.map_err(|_| HashError::Unusable)?;
        Ok(hash)
    }

    fn take_memory(&self, blocks: usize) -> Result<Vec<Block>, HashError> {
        let idle = self.idle_memory.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(memory) if memory.len() >= blocks => Ok(memory),
            Some(memory) => {
                // For a dearer hash than the configured one. The next sign-in needs this again,
                // also when there is no more to be had.
                self.put_back(memory);
                allocate(blocks)
            }
            None => allocate(blocks),
        }
    }

    fn put_back(&self, memory: Vec<Block>) {
        let mut idle = self.idle_memory.lock().unwrap_or_else(PoisonError::into_inner);
        // One spare is enough for an environment that serves one request at a time; a burst of
        // concurrent hashes must not stay allocated for ever.
        if idle.is_empty() {
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

#[cfg(test)]
mod tests {
    use precis_core::profile::PrecisFastInvocation as _;
    use precis_profiles::OpaqueString;

    use super::*;

    const CHEAP: HashCost = HashCost { memory_kib: 64, iterations: 1, parallelism: 1 };

    fn password(typed: &str) -> Password {
        Password::parse(typed).unwrap()
    }

    #[test]
    fn the_right_password_verifies_and_no_other() {
        let hasher = PasswordHasher::new(CHEAP).unwrap();
        let hash = hasher.hash(&password("correct horse")).unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", hash.expose());
        assert_eq!(hasher.verify(&password("correct horse"), &hash).unwrap(), Verdict::Right);
        assert_eq!(hasher.verify(&password("correct horsf"), &hash).unwrap(), Verdict::Wrong);
    }

    #[test]
    fn it_agrees_with_the_reference_implementation() {
        // From the `argon2` command of the reference implementation (phc-winner-argon2):
        // echo -n password | argon2 somesalt -id -t 2 -k 256 -p 2
        let known = PhcHash::new(
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$\
             bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"
                .to_owned(),
        );
        let hasher = PasswordHasher::new(CHEAP).unwrap();
        assert_eq!(hasher.verify(&password("password"), &known).unwrap(), Verdict::Right);
    }

    #[test]
    fn a_hash_cheaper_than_configured_is_told() {
        let hash = PasswordHasher::new(CHEAP).unwrap().hash(&password("x")).unwrap();
        for dearer in [
            HashCost { memory_kib: 65, ..CHEAP },
            HashCost { iterations: 2, ..CHEAP },
            HashCost { parallelism: 2, ..CHEAP },
        ] {
            let hasher = PasswordHasher::new(dearer).unwrap();
            assert_eq!(hasher.verify(&password("x"), &hash).unwrap(), Verdict::RightButCheap);
        }
    }

    #[test]
    fn a_planted_hash_can_not_ask_for_too_much() {
        let hasher = PasswordHasher::new(CHEAP).unwrap();
        for params in ["m=4194304,t=1,p=1", "m=64,t=1000000,p=1", "m=64,t=1,p=5"] {
            let planted = format!(
                "$argon2id$v=19${params}$c29tZXNhbHRzb21lc2FsdA$\
                 CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
            );
            let error = hasher.verify(&password("x"), &PhcHash::new(planted)).unwrap_err();
            assert!(matches!(error, HashError::Unusable), "{params}");
        }
    }

    #[test]
    fn other_hashes_and_garbage_are_errors_and_not_wrong_passwords() {
        let hasher = PasswordHasher::new(CHEAP).unwrap();
        for stored in [
            "",
            "x",
            "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
        ] {
            assert!(hasher.verify(&password("x"), &PhcHash::new(stored.to_owned())).is_err());
        }
    }

    #[test]
    fn concurrent_hashes_agree() {
        let hasher = PasswordHasher::new(CHEAP).unwrap();
        let hash = hasher.hash(&password("x")).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    assert_eq!(hasher.verify(&password("x"), &hash).unwrap(), Verdict::Right);
                });
            }
        });
    }

    #[test]
    fn spellings_of_one_password_are_one_password() {
        assert_eq!(password("a\u{30a} \u{a0}").0, password("\u{e5}  ").0);
        assert_ne!(password("A").0, password("a").0);
    }

    proptest::proptest! {
        #[test]
        fn what_the_precis_profile_takes_is_taken_in_the_same_form(typed in "\\PC{1,40}") {
            if let Ok(enforced) = OpaqueString::enforce(typed.as_str()) {
                proptest::prop_assert_eq!(&password(&typed).0, &enforced);
            }
        }
    }

    #[test]
    fn emoji_and_characters_younger_than_the_profile_are_taken() {
        for typed in ["\u{1f980}", "\u{2764}\u{fe0f}", "\u{1f468}\u{200d}\u{1f469}", "\u{1e900}"] {
            assert_eq!(password(typed).0, typed);
        }
        for typed in ["\u{378}", "\u{fffe}", "\u{e000}", "\u{85}"] {
            assert!(Password::parse(typed).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn what_can_not_be_a_password_is_refused_before_any_hashing() {
        assert!(Password::parse(&"\u{10330}".repeat(PASSWORD_CHARS)).is_ok());
        for typed in [String::new(), "a\u{7}".to_owned(), "a".repeat(PASSWORD_CHARS + 1)] {
            assert!(Password::parse(&typed).is_err());
        }
    }

    #[test]
    fn nothing_prints_a_password_or_its_hash() {
        let canary = "canary-8f1c";
        assert!(!format!("{:?}", password(canary)).contains(canary));
        assert!(!format!("{:?}", PhcHash::new(canary.to_owned())).contains(canary));
    }
}
