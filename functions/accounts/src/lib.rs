//! Accounts: registration, addresses, passwords, deletion, and what administrators change.
//!
//! It is a separate function because it hashes passwords, and because it needs more permissions on
//! users than the others. It sends no mail, but puts letters into the outbox.

#[cfg(feature = "contract")]
pub mod contract;
mod own;
mod routes;

use axum::{
    Router,
    extract::FromRef,
    routing::{delete, get, post},
};
use ratchet_core::{config::Config, password::HashError, second_factor::SecondFactorPolicy};
use ratchet_http::{dpop, edge};
use ratchet_service::{
    access::{AccessTokenVerifier, CallerLookup},
    accounts::Accounts,
};
use ratchet_store::Stores;

use routes::{admin, confirm_email, me, password, password_reset, register, step_up, totp};

/// What the routes need.
#[derive(Debug, Clone, FromRef)]
pub struct State {
    accounts: Accounts,
    verifier: AccessTokenVerifier,
    callers: CallerLookup,
}

impl State {
    /// The state of an execution environment with these stores. Allocates the memory for a password
    /// hash.
    ///
    /// # Errors
    /// [`HashError`] if there is not enough memory.
    pub fn new(stores: &Stores<'_>) -> Result<Self, HashError> {
        let policy = &stores.config().access_token;
        Ok(Self {
            accounts: Accounts::new(stores)?,
            verifier: AccessTokenVerifier::new(stores.key_ring(), policy.clone()),
            callers: CallerLookup::new(stores),
        })
    }
}

/// The routes of this function.
pub fn router(state: State, config: &Config) -> Router {
    let mut routes = Router::new()
        .route("/users", post(register::handle))
        .route("/users/confirm-email", post(confirm_email::handle))
        .route("/users/confirm-email/resend", post(confirm_email::resend))
        .route("/users/password-reset", post(password_reset::request))
        .route("/users/password-reset/confirm", post(password_reset::confirm))
        .route("/users/me", get(me::show).patch(me::change).delete(me::delete))
        .route("/users/me/password", post(password::change))
        .route("/users/me/step-up", post(step_up::handle))
        .route("/users/{id}", get(admin::show).patch(admin::change).delete(admin::delete))
        .route("/users/{id}/sessions", delete(admin::end_sessions));
    if config.second_factor != SecondFactorPolicy::Disabled {
        routes = routes
            .route("/users/me/totp", post(totp::begin).delete(totp::disable))
            .route("/users/me/totp/confirm", post(totp::confirm))
            .route("/users/me/totp/recovery-codes", post(totp::replace_recovery_codes));
    }
    let verifier = state.verifier.clone();
    edge::around(dpop::around(routes.with_state(state), verifier), &config.cors)
}
