//! The list of sessions that ended before their access tokens expired, for verifiers that must know
//! within seconds.
//!
//! Reads the key ring, to sign, and the index of ended sessions; no session and no user.

#[cfg(feature = "contract")]
pub mod contract;
mod routes;

use std::sync::Arc;

use axum::{Router, extract::FromRef, routing::get};
use ratchet_core::config::Config;
use ratchet_http::edge;
use ratchet_store::{EndsCache, KeyRingCache, Stores};

/// What the route needs.
#[derive(Debug, Clone, FromRef)]
pub struct State {
    key_ring: Arc<KeyRingCache>,
    /// `None` unless the configuration enables the list.
    ends: Option<Arc<EndsCache>>,
    issuer: Arc<str>,
}

impl State {
    /// The state of an execution environment with these stores.
    #[must_use]
    pub fn new(stores: &Stores<'_>) -> Self {
        let config = stores.config();
        let cache = |reach| Arc::new(EndsCache::new(stores.sessions(), reach));
        Self {
            key_ring: stores.key_ring(),
            ends: config.published_for().map(cache),
            issuer: config.access_token.issuer.as_str().into(),
        }
    }
}

/// The route of this function.
pub fn router(state: State, config: &Config) -> Router {
    let routes = Router::new().route("/.well-known/revocations", get(routes::revocations::list));
    edge::around(routes.with_state(state), &config.cors)
}
