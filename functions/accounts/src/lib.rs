//! Accounts: registration, addresses, passwords, deletion, and what administrators change.
//!
//! A function of its own because it hashes, and because it may do to users what the others may not.
//! It sends no mail: it leaves letters in the outbox, each in the same transaction as the change
//! that it announces.

mod network;
mod own;
mod proof;
mod routes;

use std::{error::Error, sync::Arc};

use axum::{
    Extension, Router,
    routing::{delete, get, post},
};
use ratchet_http::{App, hashing::Hashing};

use routes::{admin, confirm_email, me, password, password_reset, register};

/// Adds what the routes read to the API's description.
#[cfg(feature = "contract")]
pub fn requests(generator: &mut schemars::SchemaGenerator) {
    generator.subschema_for::<register::Request>();
    generator.subschema_for::<confirm_email::Request>();
    generator.subschema_for::<routes::Address>();
    generator.subschema_for::<password_reset::Confirm>();
    generator.subschema_for::<password::Request>();
    generator.subschema_for::<me::Change>();
    generator.subschema_for::<me::Delete>();
    generator.subschema_for::<admin::Change>();
}

/// Adds what the routes answer to the API's description.
#[cfg(feature = "contract")]
pub fn answers(generator: &mut schemars::SchemaGenerator) {
    generator.subschema_for::<routes::Accepted>();
    generator.subschema_for::<me::Profile>();
}

/// The routes of this function. The memory for the hash is allocated here, before the first
/// request.
///
/// # Errors
/// If the memory can not be had.
pub fn routes(app: &App) -> Result<Router<Arc<App>>, Box<dyn Error + Send + Sync>> {
    let hashing = Hashing::new(app.config.hash_cost)?;
    Ok(Router::new()
        .route("/users", post(register::handle))
        .route("/users/confirm-email", post(confirm_email::handle))
        .route("/users/confirm-email/resend", post(confirm_email::resend))
        .route("/users/password-reset", post(password_reset::ask))
        .route("/users/password-reset/confirm", post(password_reset::confirm))
        .route("/users/me", get(me::show).patch(me::change).delete(me::delete))
        .route("/users/me/password", post(password::change))
        .route("/users/{id}", get(admin::show).patch(admin::change).delete(admin::delete))
        .route("/users/{id}/sessions", delete(admin::end_sessions))
        .layer(Extension(hashing)))
}
