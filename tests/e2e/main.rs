//! End-to-end tests over HTTP: the real functions under the emulator of `cargo lambda`, DynamoDB
//! Local and moto, started once for all tests of this program.
//!
//! One module per route or concern. A call to AWS that a function's role in the template does not
//! allow is refused and fails the test. After every test, all logs are searched for secrets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::type_complexity,
    clippy::large_futures,
    reason = "a failed precondition should end the test"
)]

mod support;

mod accounts;
mod algorithms;
mod attacks;
mod authenticate;
mod authorizer;
mod cli;
mod clocks;
mod conditions;
mod convergence;
mod cookie;
mod cost;
mod dpop;
mod edge;
mod email_sign_in;
mod events;
mod faults;
mod guessing;
mod health;
mod histories;
mod introspection;
mod keys;
mod killed;
mod late;
mod logout;
mod mailer;
mod metrics;
mod oauth2;
mod parallel;
mod passkeys;
mod policies;
mod profile;
mod publisher;
mod refresh;
mod revocations;
mod rollout;
mod rotation;
mod second_factor;
mod sessions;
mod soak;
mod step_up;
mod users;
mod versions;
