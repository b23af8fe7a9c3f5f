//! The 32 secret bytes of a refresh token or of a client's credential, and their stored hash.

use std::fmt;

use zeroize::ZeroizeOnDrop;

use crate::{encoding::sha256, stored_hash::stored_hash};

/// The secret of one generation of one session, or of a client. Its knowledge proves possession of
/// the token or the credential.
///
/// # Security
/// Has no `Display`, `Serialize` or `Clone`, prints as a placeholder and is wiped when dropped.
#[derive(ZeroizeOnDrop)]
pub struct TokenSecret([u8; 32]);

impl TokenSecret {
    /// Takes 32 random or derived bytes, or those that a client presented.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes: only for the lines that hash, seal or send them.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash that is stored instead of the secret.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash(sha256(&self.0))
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(..)")
    }
}

stored_hash! {
    /// SHA-256 of a [`TokenSecret`]. The secret has 256 bits of entropy, so it needs neither salt nor
    /// stretching.
    ///
    /// # Security
    /// Compared in constant time.
    SecretHash
}

impl std::hash::Hash for SecretHash {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
