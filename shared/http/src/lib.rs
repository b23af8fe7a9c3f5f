//! What every function of Ratchet does at its HTTP edge.
//!
//! * [`run`] – start-up: configuration, clients, key ring, then the runtime
//! * [`invoked`] – the same for functions that other services than the API invoke
//! * [`App`] – what the handlers of a function share
//! * [`Problem`] – every refusal, as RFC 9457 problem details
//! * [`body`], [`private`], [`path`], [`bearer`], [`caller`] – what requests carry
//! * [`cookie`] – refresh tokens of browser applications
//! * [`signed_in`] and [`ending`] – callers whose session lives, and the end of sessions
//! * [`tokens`] – the answer that carries a token pair
//! * [`cacheable`] – answers that everybody may keep for a while
//! * [`edge`] – deadline, headers, CORS and the one log line around every route
//! * [`attempts`] – counting who tries passwords
//! * [`hashing`] – hashing them
//! * [`events`] – security events
//! * [`measure`] – metrics

pub mod app;
pub mod attempts;
pub mod bearer;
pub mod body;
pub mod cacheable;
pub mod caller;
pub mod clock;
#[cfg(feature = "contract")]
pub mod contract;
pub mod cookie;
pub mod edge;
pub mod ending;
pub mod events;
pub mod hashing;
pub mod invoked;
pub mod measure;
pub mod path;
pub mod private;
pub mod problem;
pub mod signed_in;
mod start;
mod telemetry;
pub mod tokens;
mod trace;

pub use app::App;
pub use private::Private;
pub use problem::Problem;
pub use start::{StartError, run, run_without_tables};
