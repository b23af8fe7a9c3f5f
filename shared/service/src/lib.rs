//! The use cases of Ratchet, without HTTP: the functions and the command line call the same ones.
//!
//! A use case reads the clock, draws random bytes, asks the core what to do and lets the stores do
//! it. Its error enum lists what can go wrong; `ratchet-http` maps it to statuses and texts.
//!
//! * [`sign_in`] – exchanges a name and a password for a token pair
//! * [`second_factor`] – setting up second factors, and judging their codes
//! * `passkeys`, with the feature of that name – adding passkeys, and signing in with them
//! * [`refresh`] – exchanges a refresh token for the next token pair
//! * [`introspect`] – tells clients whether a token is live
//! * [`end_sessions`] – ending sessions, for every reason
//! * [`own_sessions`] – users list and end their own sessions
//! * [`accounts`] – registration, confirmation, passwords, addresses, deletion, administration
//! * [`confirm`] – whether it is the user who asks for a change
//! * [`user_list`] – the list of users
//! * [`access`] – access tokens of callers, and whether their sessions are live
//! * [`throttle`] – limits on guessing
//! * [`hashing`] – password hashing off the event loop
//! * [`tokens`] – issuing token pairs
//! * [`events`] and [`metrics`] – what operators can observe
//! * [`fault`] – failures that are not refusals
//! * [`clock`] – the clock

pub mod access;
pub mod accounts;
pub mod clock;
pub mod confirm;
pub mod end_sessions;
pub mod events;
pub mod fault;
pub mod hashing;
pub mod introspect;
pub mod metrics;
pub mod own_sessions;
#[cfg(feature = "passkeys")]
pub mod passkeys;
pub mod refresh;
pub mod second_factor;
pub mod sign_in;
pub mod throttle;
pub mod tokens;
pub mod user_list;

pub use fault::Fault;
