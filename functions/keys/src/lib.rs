//! What others need to verify our access tokens: the public keys and the metadata.
//!
//! Reads the key ring and nothing else, and shows only its public keys.

#[cfg(feature = "contract")]
pub mod contract;
mod routes;

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::FromRef, routing::get};
use ratchet_core::config::{Config, Dpop};
use ratchet_http::edge;
use ratchet_store::{KeyRingCache, Stores};

/// What the routes need.
#[derive(Debug, Clone, FromRef)]
pub struct State {
    key_ring: Arc<KeyRingCache>,
    public: Arc<Public>,
}

/// The public part of the configuration.
#[derive(Debug)]
pub(crate) struct Public {
    issuer: String,
    /// Whether sessions are bound to keys.
    dpop: Dpop,
    /// How long others may cache the keys.
    max_age: Duration,
}

impl State {
    /// The state of an execution environment with these stores. Opens no table.
    #[must_use]
    pub fn new(stores: &Stores<'_>) -> Self {
        let config = stores.config();
        let issuer = config.access_token.issuer.clone();
        let public = Public { issuer, dpop: config.dpop, max_age: config.keys.jwks_max_age };
        Self { key_ring: stores.key_ring(), public: Arc::new(public) }
    }
}

/// The routes of this function.
pub fn router(state: State, config: &Config) -> Router {
    let routes = Router::new()
        .route("/.well-known/jwks.json", get(routes::jwks::keys))
        .route("/.well-known/oauth-authorization-server", get(routes::metadata::metadata))
        .route("/.well-known/openid-configuration", get(routes::metadata::metadata));
    edge::around(routes.with_state(state), &config.cors)
}
