//! What others need to verify our access tokens: the public keys, and where everything is.
//!
//! Reads nothing but the key ring, and gives away nothing but public halves of it.

mod routes;

use std::{error::Error, sync::Arc};

use axum::{Router, routing::get};
use ratchet_http::App;

/// Adds what the routes answer to the API's description.
#[cfg(feature = "contract")]
pub fn answers(generator: &mut schemars::SchemaGenerator) {
    generator.subschema_for::<routes::jwks::JwkSet<'_>>();
    generator.subschema_for::<routes::metadata::Metadata<'_>>();
}

/// The routes of this function.
///
/// # Errors
/// None; there is nothing to prepare.
pub fn routes(_: &App) -> Result<Router<Arc<App>>, Box<dyn Error + Send + Sync>> {
    Ok(Router::new()
        .route("/.well-known/jwks.json", get(routes::jwks::keys))
        .route("/.well-known/oauth-authorization-server", get(routes::metadata::metadata))
        .route("/.well-known/openid-configuration", get(routes::metadata::metadata)))
}
