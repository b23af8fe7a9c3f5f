//! Passkeys: users add and remove them, and sign in with them.

mod own;
mod sign_in;
mod step_up;

use std::sync::Arc;

use ratchet_core::{
    config::RelyingPartyConfig,
    error_chain::ErrorChain,
    ids::UserId,
    key_ring::KeyRing,
    passkey::{CEREMONY_LIFE, Ceremony, EncodedCeremony, PasskeyId, Passkeys as OfUser, Purpose},
    password::HashError,
    second_factor::SecondFactorPolicy,
    time::UnixMillis,
};
use ratchet_store::{KeyRingCache, Stores, Users};
use ratchet_webauthn::{
    AuthenticationAnswer, Begun, InvalidRelyingParty, Refusal, RelyingParty, Verified,
};
use serde_json::Value;

pub use self::{
    own::OwnPasskeyError,
    sign_in::{PasskeyBeginning, PasskeySignIn, PasskeySignInError},
};
use crate::{
    Fault,
    accounts::Accounts,
    sign_in::start::{Starter, kept_until},
};

/// How often a change is tried if the passkeys are being changed concurrently.
const TRIES: u32 = 4;

/// The passkeys of all users.
#[derive(Debug, Clone)]
pub struct Passkeys {
    party: Arc<RelyingParty>,
    key_ring: Arc<KeyRingCache>,
    users: Users,
    accounts: Accounts,
    starter: Starter,
    second_factor: SecondFactorPolicy,
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

/// Why the passkey use cases could not be set up.
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
            second_factor: stores.config().second_factor,
        })
    }

    /// The account use cases, for the password of a caller.
    #[must_use]
    pub const fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Stores the hash of a ceremony that only somebody who proved who they are may begin.
    async fn keep(&self, options: &PasskeyOptions, now: UnixMillis) -> Result<(), Fault> {
        let hash = options.ceremony.hash();
        Ok(self.users.keep_challenge(hash, kept_until(now)).await?)
    }

    /// Judges an answer by the passkey that it names.
    fn judge(
        &self,
        answer: &AuthenticationAnswer,
        ceremony: &Ceremony,
        passkeys: &OfUser,
        user_id: UserId,
        now: UnixMillis,
    ) -> Result<Judged, Fault> {
        let id = PasskeyId::of(&answer.claimed().credential_id);
        let Some(passkey) = passkeys.find(id) else { return Ok(Judged::Unknown) };
        let verified =
            self.party.finish_authentication(answer, &ceremony.state, &passkey.credential);
        let Verified { credential, backed_up } = match verified {
            Ok(verified) => verified,
            Err(Refusal::Cloned) => return Ok(Judged::Cloned),
            Err(Refusal::Unreadable(error)) => return Err(Fault::Passkey(error)),
            Err(refusal) => {
                log_refusal(&refusal, user_id);
                return Ok(Judged::Wrong);
            }
        };
        let used = passkeys.used(id, credential.as_deref(), backed_up, now);
        Ok(used.map_or(Judged::Unknown, Judged::Right))
    }
}

/// Options with their ceremony.
fn options(
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

/// An answer of an authenticator, judged.
enum Judged {
    /// It is right. These are the passkeys after it.
    Right(OfUser),
    /// The user has no such passkey.
    Unknown,
    /// It is not genuine, of another ceremony or origin, or its user was not verified.
    Wrong,
    /// The counter went back: there may be a copy of the key, or the same answer came before.
    Cloned,
}

/// Logs why an authenticator's answer was refused. Clients do not get the reason.
fn log_refusal(refusal: &Refusal, user_id: UserId) {
    let reason = tracing::field::display(ErrorChain(refusal));
    tracing::info!(reason, %user_id, "the answer of an authenticator was refused");
}
