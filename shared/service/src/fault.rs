//! Faults: something that a use case depends on failed. The request itself was fine.

use ratchet_core::{
    access_token::IssueError, entropy::RandomUnavailable, password::HashError, seal::SealError,
    second_factor::UnsealError,
};
use ratchet_store::{LoadError, StoreError};

/// A failure that is not a refusal. The layer that reports it logs it, once, with its causes.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// DynamoDB or Secrets Manager failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no usable key ring.
    #[error(transparent)]
    KeyRing(#[from] LoadError),
    /// The key ring has no key that may tag tokens now.
    #[error("no key of the key ring may tag tokens now")]
    NoTagKey,
    /// The key ring has no key that seals secrets.
    #[error("no key of the key ring may seal secrets; rotate the key ring")]
    NoSealingKey,
    /// A second factor cannot be opened.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// No access token can be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The system's random source failed.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
    /// A password could not be hashed now.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// Hashing panicked, or the process is shutting down.
    #[error("the password hash was not finished")]
    HashAborted,
    /// A sealed successor is damaged.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A stored passkey, or the state of a ceremony with a genuine tag, cannot be read.
    #[error("a stored passkey cannot be read")]
    Passkey(#[source] serde_json::Error),
    /// Concurrent requests kept changing what this one has to write.
    #[error("other requests kept changing the item")]
    Contended,
    /// The condition of the rotation's write and the decision table disagree. Nothing was written.
    #[error("the rotation's condition contradicts the decision table")]
    Contradiction,
}

/// Lets `?` convert the sources of a [`Fault`] into the error enum of a use case.
macro_rules! from_faults {
    ($($error:ty),+ $(,)?) => {$(
        impl<E: Into<$crate::fault::Fault>> From<E> for $error {
            fn from(error: E) -> Self {
                Self::Fault(error.into())
            }
        }
    )+};
}
pub(crate) use from_faults;
