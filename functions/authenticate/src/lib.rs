//! `POST /authenticate`: a password in, a token pair out.
//!
//! The one function that hashes, and so the one that gets a whole CPU.

#[cfg(fuzzing)]
pub mod fuzzing;
mod guard;
mod routes;

use std::{error::Error, sync::Arc};

use axum::{Extension, Router, routing::post};
use ratchet_http::{App, hashing::Hashing};

/// Adds what the route takes to the API's description.
#[cfg(feature = "contract")]
pub fn requests(generator: &mut schemars::SchemaGenerator) {
    generator.subschema_for::<routes::authenticate::Request>();
}

/// The routes of this function. The memory for the hash is allocated here, before the first
/// request.
///
/// # Errors
/// If the memory can not be had.
pub fn routes(app: &App) -> Result<Router<Arc<App>>, Box<dyn Error + Send + Sync>> {
    let hashing = Hashing::new(app.config.hash_cost)?;
    Ok(Router::new()
        .route("/authenticate", post(routes::authenticate::handle))
        .layer(Extension(hashing)))
}
