//! Passkeys: users add and remove them, and sign in with them.

mod own;
mod sign_in;

use std::sync::Arc;

use ratchet_core::{
    config::RelyingPartyConfig,
    ids::UserId,
    key_ring::KeyRing,
    passkey::{CEREMONY_LIFE, Ceremony, EncodedCeremony, Purpose},
    password::HashError,
    time::UnixMillis,
};
use ratchet_store::{KeyRingCache, Stores, Users};
use ratchet_webauthn::{Begun, InvalidRelyingParty, Refusal, RelyingParty};
use serde_json::Value;

pub use self::{
    own::OwnPasskeyError,
    sign_in::{PasskeyBeginning, PasskeySignIn, PasskeySignInError},
};
use crate::{Fault, accounts::Accounts, sign_in::start::Starter};

/// How often a change of passkeys is tried that others change at the same time.
const TRIES: u32 = 4;

/// The passkeys of all users.
#[derive(Debug, Clone)]
pub struct Passkeys {
    party: Arc<RelyingParty>,
    key_ring: Arc<KeyRingCache>,
    users: Users,
    accounts: Accounts,
    starter: Starter,
}

/// Options for an authenticator, on their way to the client.
#[derive(Debug)]
pub struct PasskeyOptions {
    /// What the client sends back with the authenticator's answer.
    pub ceremony: EncodedCeremony,
    /// What the browser takes.
    pub options: Value,
    /// How long the authenticator has to answer, in seconds.
    pub expires_in: u64,
}

/// There are no passkeys in this environment.
#[derive(Debug, thiserror::Error)]
pub enum PasskeysError {
    /// The settings do not make a relying party.
    #[error("RATCHET_PASSKEY_RP_ID and RATCHET_PASSKEY_ORIGINS: {0}")]
    RelyingParty(#[from] InvalidRelyingParty),
    /// There is not enough memory for a password hash.
    #[error(transparent)]
    Hash(#[from] HashError),
}

impl Passkeys {
    /// The passkeys in these stores, for this relying party. Allocates the memory for a password hash.
    ///
    /// # Errors
    /// [`PasskeysError`].
    pub fn new(stores: &Stores<'_>, party: &RelyingPartyConfig) -> Result<Self, PasskeysError> {
        let name = &stores.config().password_policy.service_name;
        Ok(Self {
            party: Arc::new(RelyingParty::new(&party.id, name, &party.origins)?),
            key_ring: stores.key_ring(),
            users: stores.users(),
            accounts: Accounts::new(stores)?,
            starter: Starter::new(stores),
        })
    }

    /// The account use cases, for the password of a caller.
    #[must_use]
    pub const fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn options(
        &self,
        begun: Begun,
        purpose: Purpose,
        ring: &KeyRing,
        now: UnixMillis,
    ) -> Result<PasskeyOptions, Fault> {
        let Begun { options, state } = begun;
        let key = ring.tagger(now.seconds()).ok_or(Fault::NoTagKey)?;
        Ok(PasskeyOptions {
            ceremony: Ceremony { purpose, begun: now, state }.encode(key),
            options,
            expires_in: CEREMONY_LIFE.as_secs(),
        })
    }
}

/// What an authenticator's answer was refused for, in the log. It is no secret, and clients do not get
/// it.
fn log_refusal(refusal: &Refusal, user: Option<UserId>) {
    let reason = tracing::field::display(ratchet_core::error_chain::ErrorChain(refusal));
    let user_id = user.map(tracing::field::display);
    tracing::info!(reason, user_id, "the answer of an authenticator was refused");
}
