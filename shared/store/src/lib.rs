//! Ratchet's items in DynamoDB and its key ring in Secrets Manager.
//!
//! One method per atomic operation; `ratchet-core` decides what an operation means. A failed
//! condition is a result, not an error, and every error says whether another try may help. A write
//! is a list of named conditions and changes (`write.rs`, `expression.rs`); `tests/README.md` lists
//! a test for each condition.

pub mod attempts;
pub mod aws;
pub mod challenges;
pub mod clients;
mod conditions;
pub mod ends;
mod error;
mod expression;
mod item;
pub mod key_ring;
mod observer;
pub mod outbox;
pub mod sessions;
mod stores;
pub mod stream;
mod transact;
pub mod users;
mod write;

pub use attempts::Attempts;
pub use challenges::{Challenges, Opened};
pub use clients::Clients;
pub use ends::{EndedSessions, EndsCache};
pub use error::StoreError;
pub use key_ring::{KeyRingCache, LoadError};
pub use observer::{Call, Observer};
pub use outbox::Outbox;
pub use sessions::{LogOutResult, SessionUpdate, Sessions};
pub use stores::Stores;
pub use users::{Account, ConfirmResult, Credentials, NewUser, Registration, ResetResult, Users};
