//! Hashing beside the event loop: it takes milliseconds of CPU.

use std::sync::Arc;

use ratchet::password::{Password, PasswordHasher, PhcHash, Verdict};
use ratchet_http::Problem;

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

/// Asks for the password again, where an access token alone must not be enough.
///
/// # Errors
/// [`Problem::WrongPassword`].
pub(crate) async fn prove(
    hasher: &Arc<PasswordHasher>,
    typed: &str,
    stored: &PhcHash,
) -> Result<(), Problem> {
    // What can not be a password is nobody's.
    let Ok(password) = Password::parse(typed) else { return Err(Problem::WrongPassword) };
    let (hasher, stored) = (Arc::clone(hasher), stored.clone());
    let hashing = tokio::task::spawn_blocking(move || hasher.verify(&password, &stored));
    let Ok(verdict) = hashing.await else { return Err(Problem::Internal) };
    match verdict? {
        Verdict::Wrong => Err(Problem::WrongPassword),
        Verdict::Right | Verdict::RightButCheap => Ok(()),
    }
}
