//! Which sessions ended before their access tokens did: for those who verify tokens and want to know
//! within seconds.
//!
//! Reads the key ring, to sign, and the index of ended sessions; no session and no user.

mod routes;

use std::{error::Error, sync::Arc};

use axum::{Extension, Router, routing::get};
use ratchet_http::App;
use ratchet_store::EndsCache;

/// The routes of this function.
///
/// # Errors
/// None; there is nothing that could fail before the first request.
pub fn routes(app: &App) -> Result<Router<Arc<App>>, Box<dyn Error + Send + Sync>> {
    let reach = app.config.published_for();
    let ends = reach.map(|reach| Arc::new(EndsCache::new(app.sessions.clone(), reach)));
    Ok(Router::new()
        .route("/.well-known/revocations", get(routes::revocations::list))
        .layer(Extension(ends)))
}
