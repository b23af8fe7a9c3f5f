//! What verifiers ask and answer, against an issuer that counts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what a test can not go on with ends it"
)]

mod documents;
mod ended;
mod issuer;
mod keys;
