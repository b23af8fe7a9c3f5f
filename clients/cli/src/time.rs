//! The clock of this program.

pub(crate) use ratchet_service::clock::now;
