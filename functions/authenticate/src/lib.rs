//! `POST /authenticate` and what follows it: exchanges a password or a message, and perhaps a code, for a
//! token pair.
//!
//! It hashes passwords, so it gets a whole CPU.

#[cfg(feature = "contract")]
pub mod contract;
#[cfg(fuzzing)]
pub mod fuzzing;
mod routes;

use axum::{Router, extract::FromRef, routing::post};
use ratchet_core::{config::Config, password::HashError, second_factor::SecondFactorPolicy};
use ratchet_http::{cookie::CookiePolicy, dpop, edge};
use ratchet_service::{
    access::AccessTokenVerifier,
    end_sessions::{EndSessions, LogOut},
    sign_in::SignIn,
};
use ratchet_store::Stores;

/// What the routes need.
#[derive(Debug, Clone, FromRef)]
pub struct State {
    sign_in: SignIn,
    /// For the session that the browser had before.
    log_out: LogOut,
    cookies: CookiePolicy,
    verifier: AccessTokenVerifier,
}

impl State {
    /// The state of an execution environment with these stores. Allocates the memory for a password
    /// hash.
    ///
    /// # Errors
    /// [`HashError`] if there is not enough memory.
    pub fn new(stores: &Stores<'_>) -> Result<Self, HashError> {
        let Config { access_token, cors, .. } = stores.config();
        let end_sessions = EndSessions::new(stores.users(), stores.sessions());
        Ok(Self {
            log_out: LogOut::new(stores.key_ring(), end_sessions),
            sign_in: SignIn::new(stores)?,
            verifier: AccessTokenVerifier::new(stores.key_ring(), access_token.clone()),
            cookies: CookiePolicy::new(&access_token.issuer, &cors.origins),
        })
    }
}

/// The routes of this function.
pub fn router(state: State, config: &Config) -> Router {
    let mut routes = Router::new().route("/authenticate", post(routes::authenticate::handle));
    if config.second_factor != SecondFactorPolicy::Disabled {
        routes = routes
            .route("/authenticate/second-factor", post(routes::second_factor::handle))
            .route("/authenticate/second-factor/totp", post(routes::second_factor::enroll));
    }
    if config.email_sign_in {
        routes = routes
            .route("/authenticate/email", post(routes::email::request))
            .route("/authenticate/email/confirm", post(routes::email::confirm));
    }
    let verifier = state.verifier.clone();
    edge::around(dpop::around(routes.with_state(state), verifier), &config.cors)
}
