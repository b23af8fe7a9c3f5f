//! Runs functions on Lambda: start-up, invocations, log lines and metrics.
//!
//! This is the only crate that knows the Lambda runtime.
//!
//! * `http` – functions behind the HTTP API (feature `http`)
//! * [`event`] – functions that other services invoke
//! * [`start`] – what both do before the first invocation

mod emf;
pub mod event;
#[cfg(feature = "http")]
pub mod http;
pub mod start;
mod telemetry;

/// Why a function cannot start, or why an invocation failed.
pub type Failure = lambda_runtime::Error;
