//! Hashing beside the event loop: it takes milliseconds of CPU.

use std::sync::Arc;

use ratchet::{
    attempts::AttemptKey,
    ids::SessionId,
    password::{Password, PasswordHasher, PhcHash, Verdict},
};
use ratchet_http::{App, Problem, attempts::admit, clock};

/// Hashes a new password.
pub(crate) async fn hash(
    hasher: &Arc<PasswordHasher>,
    password: Password,
) -> Result<PhcHash, Problem> {
    let hasher = Arc::clone(hasher);
    let hashing = tokio::task::spawn_blocking(move || hasher.hash(&password));
    let Ok(hash) = hashing.await else { return Err(Problem::Internal) };
    Ok(hash?)
}

/// Asks for the password again, where an access token alone must not be enough. Attempts are
/// counted for the session, before anything is hashed.
///
/// # Errors
/// [`Problem::WrongPassword`], or that there were too many.
pub(crate) async fn prove(
    app: &App,
    hasher: &Arc<PasswordHasher>,
    session: SessionId,
    typed: &str,
    stored: &PhcHash,
) -> Result<(), Problem> {
    // What can not be a password is nobody's.
    let Ok(password) = Password::parse(typed) else { return Err(Problem::WrongPassword) };
    let counter = AttemptKey::session(session);
    admit(app, &counter, &app.config.attempts.account, "session", clock::now()).await?;
    let (hasher, stored) = (Arc::clone(hasher), stored.clone());
    let hashing = tokio::task::spawn_blocking(move || hasher.verify(&password, &stored));
    let Ok(verdict) = hashing.await else { return Err(Problem::Internal) };
    match verdict? {
        Verdict::Wrong => Err(Problem::WrongPassword),
        Verdict::Right | Verdict::RightButCheap => Ok(app.attempts.reset(&counter).await?),
    }
}
