//! What verifiers ask and answer, against an issuer that counts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure ends the test")]

mod documents;
mod ended;
mod issuer;
mod keys;
mod requirements;
