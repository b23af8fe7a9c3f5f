//! `POST /refresh` and its kin: the hot path. Waits for DynamoDB and does little else.

mod rotate;
mod routes;

use std::{error::Error, sync::Arc};

use axum::{Router, routing::post};
use ratchet_http::App;

/// The routes of this function.
///
/// # Errors
/// None; there is nothing to prepare.
pub fn routes(_: &App) -> Result<Router<Arc<App>>, Box<dyn Error + Send + Sync>> {
    Ok(Router::new()
        .route("/refresh", post(routes::refresh::handle))
        .route("/logout", post(routes::logout::handle))
        .route("/oauth2/token", post(routes::oauth2_token::handle))
        .route("/oauth2/revoke", post(routes::oauth2_revoke::handle)))
}
