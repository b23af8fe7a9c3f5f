//! `POST /refresh`, its OAuth equivalent, log-out and introspection: the hot path. Waits for DynamoDB
//! and does little else.

#[cfg(feature = "contract")]
pub mod contract;
#[cfg(fuzzing)]
pub mod fuzzing;
mod routes;

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use ratchet_core::config::Config;
use ratchet_http::{cookie::CookiePolicy, dpop, edge};
use ratchet_service::{
    access::AccessTokenVerifier,
    end_sessions::{EndSessions, LogOut},
    introspect::Introspect,
    refresh::Refresh,
};
use ratchet_store::{KeyRingCache, Stores};

/// What the routes need.
#[derive(Debug, Clone, FromRef)]
pub struct State {
    refresh: Refresh,
    log_out: LogOut,
    introspect: Introspect,
    verifier: AccessTokenVerifier,
    cookies: CookiePolicy,
    key_ring: Arc<KeyRingCache>,
}

impl State {
    /// The state of an execution environment with these stores.
    #[must_use]
    pub fn new(stores: &Stores<'_>) -> Self {
        let Config { access_token, cors, .. } = stores.config();
        let key_ring = stores.key_ring();
        let end_sessions = EndSessions::new(stores.users(), stores.sessions());
        Self {
            refresh: Refresh::new(stores),
            log_out: LogOut::new(Arc::clone(&key_ring), end_sessions),
            introspect: Introspect::new(stores),
            verifier: AccessTokenVerifier::new(Arc::clone(&key_ring), access_token.clone()),
            cookies: CookiePolicy::new(&access_token.issuer, &cors.origins),
            key_ring,
        }
    }
}

/// The routes of this function.
pub fn router(state: State, config: &Config) -> Router {
    let routes = Router::new()
        .route("/refresh", post(routes::refresh::handle))
        .route("/health", get(routes::health::handle))
        .route("/logout", post(routes::logout::handle))
        .route("/oauth2/token", post(routes::oauth2_token::handle))
        .route("/oauth2/revoke", post(routes::oauth2_revoke::handle))
        .route("/oauth2/introspect", post(routes::oauth2_introspect::handle));
    let verifier = state.verifier.clone();
    edge::around(dpop::around(routes.with_state(state), verifier), &config.cors)
}
