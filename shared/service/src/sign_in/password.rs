//! The check of a password, with the same work whether or not the user exists.

use ratchet_core::{
    error_chain::ErrorChain,
    password::{HashError, Password, PasswordHasher, PhcHash, Verdict},
};
use ratchet_store::Credentials;

use crate::{Fault, hashing::Hashing};

/// The result of a check.
pub(super) enum PasswordCheck {
    Wrong,
    Right {
        /// The password's new hash, if the stored one is weaker than the configured cost.
        rehashed: Option<PhcHash>,
    },
}

/// Checks the password and returns the credentials again.
///
/// # Security
/// Without credentials, or with a damaged hash, computes a dummy hash of the same cost, so that the
/// response time does not reveal whether the user exists.
pub(super) async fn check_password(
    credentials: Option<Credentials>,
    hashing: &Hashing,
    password: Password,
) -> Result<(Option<Credentials>, PasswordCheck), Fault> {
    let work = move |hasher: &PasswordHasher| {
        let check = match &credentials {
            None => hash_for_nobody(hasher, &password),
            Some(credentials) => check_stored(hasher, credentials, &password),
        };
        check.map(|check| (credentials, check))
    };
    Ok(hashing.run(work).await??)
}

fn check_stored(
    hasher: &PasswordHasher,
    credentials: &Credentials,
    password: &Password,
) -> Result<PasswordCheck, HashError> {
    match hasher.verify(password, &credentials.password_hash) {
        Ok(Verdict::Wrong) => Ok(PasswordCheck::Wrong),
        Ok(Verdict::RightButCheap) if credentials.may_sign_in() => {
            hasher.hash(password).map(|hash| PasswordCheck::Right { rehashed: Some(hash) })
        }
        Ok(Verdict::Right | Verdict::RightButCheap) => Ok(PasswordCheck::Right { rehashed: None }),
        Err(error @ HashError::Unusable) => {
            let error = tracing::field::display(ErrorChain(&error));
            tracing::error!(error, user_id = %credentials.user.id, "a stored hash is unusable");
            hash_for_nobody(hasher, password)
        }
        Err(error) => Err(error),
    }
}

fn hash_for_nobody(
    hasher: &PasswordHasher,
    password: &Password,
) -> Result<PasswordCheck, HashError> {
    hasher.verify_nobody(password).map(|()| PasswordCheck::Wrong)
}
