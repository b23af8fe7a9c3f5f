//! `POST /refresh` and its kin: the hot path. Waits for DynamoDB and does little else.

mod caution;
#[cfg(fuzzing)]
pub mod fuzzing;
mod rotate;
mod routes;

use std::{error::Error, sync::Arc};

use axum::{
    Router,
    routing::{get, post},
};
use ratchet_http::App;

/// Adds what the routes take to the API's description.
#[cfg(feature = "contract")]
pub fn requests(generator: &mut schemars::SchemaGenerator) {
    generator.subschema_for::<routes::refresh::Request>();
    generator.subschema_for::<routes::logout::Request>();
    generator.subschema_for::<routes::oauth2_token::Request>();
    generator.subschema_for::<routes::oauth2_revoke::Request>();
}

/// Adds what the routes answer to the API's description.
#[cfg(feature = "contract")]
pub fn answers(generator: &mut schemars::SchemaGenerator) {
    generator.subschema_for::<routes::oauth2_error::OAuthError>();
    generator.subschema_for::<routes::health::Health>();
}

/// The routes of this function.
///
/// # Errors
/// None; there is nothing to prepare.
pub fn routes(_: &App) -> Result<Router<Arc<App>>, Box<dyn Error + Send + Sync>> {
    Ok(Router::new()
        .route("/refresh", post(routes::refresh::handle))
        .route("/health", get(routes::health::handle))
        .route("/logout", post(routes::logout::handle))
        .route("/oauth2/token", post(routes::oauth2_token::handle))
        .route("/oauth2/revoke", post(routes::oauth2_revoke::handle)))
}
