//! The list of users, and the caller's own sessions.

#[cfg(feature = "contract")]
pub mod contract;
mod routes;

use axum::{
    Router,
    extract::FromRef,
    routing::{delete, get},
};
use ratchet_core::config::Config;
use ratchet_http::{dpop, edge};
use ratchet_service::{
    access::AccessTokenVerifier, own_sessions::OwnSessions, user_list::UserList,
};
use ratchet_store::Stores;

/// What the routes need.
#[derive(Debug, Clone, FromRef)]
pub struct State {
    verifier: AccessTokenVerifier,
    user_list: UserList,
    own_sessions: OwnSessions,
}

impl State {
    /// The state of an execution environment with these stores.
    #[must_use]
    pub fn new(stores: &Stores<'_>) -> Self {
        let policy = &stores.config().access_token;
        Self {
            verifier: AccessTokenVerifier::new(stores.key_ring(), policy.clone()),
            user_list: UserList::new(stores),
            own_sessions: OwnSessions::new(stores),
        }
    }
}

/// The routes of this function.
pub fn router(state: State, config: &Config) -> Router {
    let routes = Router::new()
        .route("/users", get(routes::users::list))
        .route("/users/me/sessions", get(routes::sessions::list).delete(routes::sessions::end_all))
        .route("/users/me/sessions/{id}", delete(routes::sessions::end));
    let verifier = state.verifier.clone();
    edge::around(dpop::around(routes.with_state(state), verifier), &config.cors)
}
