//! The HTTP layer of Ratchet: from requests to use cases, and from their results to responses.
//!
//! It does not know Lambda. The server of a router inserts an [`Invocation`] into each request.
//!
//! * [`Problem`] – every refusal, as RFC 9457 problem details, and the mapping of use case errors
//! * [`body`], [`private`], [`optional`](mod@optional), [`path`] – contents of requests
//! * [`access`], [`dpop`], [`signed_in`], [`client_auth`], [`caller`] – who sends a request, and from where
//! * [`cookie`] – refresh tokens of browser applications
//! * [`json`], [`tokens`], [`enrollment`], [`cacheable`] – responses
//! * [`edge`] – deadline, headers and CORS around every route

pub mod accepted;
pub mod access;
pub mod body;
pub mod cacheable;
pub mod caller;
pub mod client_auth;
#[cfg(feature = "contract")]
pub mod contract;
pub mod cookie;
mod cors;
pub mod dpop;
pub mod edge;
pub mod enrollment;
pub mod invocation;
pub mod json;
pub mod optional;
pub mod path;
pub mod private;
pub mod problem;
pub mod sign_in;
pub mod signed_in;
pub mod tokens;

pub use invocation::Invocation;
pub use optional::optional;
pub use private::Private;
pub use problem::Problem;
