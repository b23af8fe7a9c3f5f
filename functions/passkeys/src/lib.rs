//! Passkeys: users add and remove them, and sign in with them.
//!
//! It is a separate function because it verifies what authenticators sign, which brings many crates.
//! Without a relying party in the configuration it has no routes.

#[cfg(feature = "contract")]
pub mod contract;
mod own;
mod routes;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, patch, post},
};
use ratchet_core::config::Config;
use ratchet_http::{cookie::CookiePolicy, dpop, edge};
use ratchet_service::{
    access::{AccessTokenVerifier, CallerLookup},
    end_sessions::{EndSessions, LogOut},
    passkeys::{Passkeys, PasskeysError},
};
use ratchet_store::Stores;

use routes::{authenticate, passkeys, step_up};

/// What the routes need.
#[derive(Debug, Clone, FromRef)]
pub struct State {
    passkeys: Passkeys,
    /// For the session that the browser had before.
    log_out: LogOut,
    cookies: CookiePolicy,
    verifier: AccessTokenVerifier,
    callers: CallerLookup,
}

impl State {
    /// The state of an execution environment with these stores; `None` if no relying party is
    /// configured. Allocates the memory for a password hash.
    ///
    /// # Errors
    /// [`PasskeysError`].
    pub fn new(stores: &Stores<'_>) -> Result<Option<Self>, PasskeysError> {
        let Config { access_token, cors, passkeys, .. } = stores.config();
        let Some(party) = passkeys else { return Ok(None) };
        let end_sessions = EndSessions::new(stores.users(), stores.sessions());
        Ok(Some(Self {
            passkeys: Passkeys::new(stores, party)?,
            log_out: LogOut::new(stores.key_ring(), end_sessions),
            cookies: CookiePolicy::new(&access_token.issuer, &cors.origins),
            verifier: AccessTokenVerifier::new(stores.key_ring(), access_token.clone()),
            callers: CallerLookup::new(stores),
        }))
    }
}

/// The routes of this function.
pub fn router(state: Option<State>, config: &Config) -> Router {
    let Some(state) = state else { return edge::around(Router::new(), &config.cors) };
    let routes = Router::new()
        .route("/users/me/passkeys", get(passkeys::list).post(passkeys::add))
        .route("/users/me/passkeys/options", post(passkeys::begin))
        .route("/users/me/passkeys/{id}", patch(passkeys::rename).delete(passkeys::remove))
        .route("/users/me/step-up/passkey", post(step_up::handle))
        .route("/users/me/step-up/passkey/options", post(step_up::begin))
        .route("/passkeys/options", post(authenticate::begin))
        .route("/passkeys/authenticate", post(authenticate::handle));
    let verifier = state.verifier.clone();
    edge::around(dpop::around(routes.with_state(state), verifier), &config.cors)
}
