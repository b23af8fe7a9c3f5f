//! What an access token opens: the list of users, and the caller's own sessions.

mod routes;

use std::{error::Error, sync::Arc};

use axum::{
    Router,
    routing::{delete, get},
};
use ratchet_http::App;

/// Adds what the routes answer to the API's description.
#[cfg(feature = "contract")]
pub fn answers(generator: &mut schemars::SchemaGenerator) {
    generator.subschema_for::<routes::users::Body>();
    generator.subschema_for::<routes::sessions::Body>();
}

/// The query of the list of users, and of the end of all sessions.
#[cfg(feature = "contract")]
#[must_use]
pub fn queries() -> [schemars::Schema; 2] {
    [schemars::schema_for!(routes::users::Page), schemars::schema_for!(routes::sessions::Scope)]
}

/// The routes of this function.
///
/// # Errors
/// None; there is nothing to prepare.
pub fn routes(_: &App) -> Result<Router<Arc<App>>, Box<dyn Error + Send + Sync>> {
    Ok(Router::new()
        .route("/users", get(routes::users::list))
        .route("/users/me/sessions", get(routes::sessions::list).delete(routes::sessions::end_all))
        .route("/users/me/sessions/{id}", delete(routes::sessions::end)))
}
