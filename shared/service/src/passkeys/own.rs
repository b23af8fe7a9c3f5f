//! Users add, rename and remove their passkeys. To add or remove one, an access token alone is not
//! enough.

use ratchet_core::{
    authentication::Requirement,
    letter::Notice,
    passkey::{Added, Ceremony, InvalidCeremony, Passkey, PasskeyId, PasskeyName, Purpose},
    second_factor::ChallengeHash,
};
use ratchet_store::users::{AddedPasskey, PasskeysChange};
use ratchet_webauthn::{Refusal, RegistrationAnswer};

use super::{PasskeyOptions, Passkeys, TRIES, log_refusal, options};
use crate::{
    Fault,
    accounts::{OwnAccount, OwnAccountError, letter},
    clock,
    confirm::Proof,
    events::{AccountChange, record_change},
    fault::from_faults,
    throttle::Throttled,
};

/// Why a user's passkeys were not changed.
#[derive(Debug, thiserror::Error)]
pub enum OwnPasskeyError {
    /// The password is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// There is no password, and the access token is of no step-up that is enough.
    #[error("the authentication of the access token is not enough")]
    Insufficient(Requirement),
    /// The ceremony is not genuine, too old, of another session, or has added another passkey.
    #[error("the ceremony is wrong, expired or used")]
    InvalidCeremony,
    /// The authenticator's answer is refused.
    #[error("the authenticator's answer is refused")]
    Refused,
    /// The user has this passkey already.
    #[error("the user has this passkey")]
    Exists,
    /// The user has none.
    #[error("the user has no passkey")]
    NoPasskey,
    /// The session has ended meanwhile.
    #[error("the session has ended")]
    SessionEnded,
    /// The user has too many.
    #[error("the user has too many passkeys")]
    TooMany,
    /// The user has no such passkey.
    #[error("the user has no such passkey")]
    NoSuchPasskey,
    /// The account was changed meanwhile.
    #[error("the account was changed meanwhile")]
    ChangedMeanwhile,
    /// There were too many wrong passwords before.
    #[error(transparent)]
    Throttled(Throttled),
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(OwnPasskeyError);

impl From<OwnAccountError> for OwnPasskeyError {
    fn from(error: OwnAccountError) -> Self {
        match error {
            OwnAccountError::WrongPassword => Self::WrongPassword,
            OwnAccountError::Insufficient(required) => Self::Insufficient(required),
            OwnAccountError::PasswordRefused(_) | OwnAccountError::ChangedMeanwhile => {
                Self::ChangedMeanwhile
            }
            OwnAccountError::Throttled(throttled) => Self::Throttled(throttled),
            OwnAccountError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl From<InvalidCeremony> for OwnPasskeyError {
    fn from(_: InvalidCeremony) -> Self {
        Self::InvalidCeremony
    }
}

impl From<Refusal> for OwnPasskeyError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Wrong(_) | Refusal::Cloned | Refusal::Framed | Refusal::TooLong => {
                Self::Refused
            }
            Refusal::Unreadable(error) => Self::Fault(Fault::Passkey(error)),
        }
    }
}

impl Passkeys {
    /// Begins to add a passkey.
    ///
    /// # Security
    /// A passkey outlasts the session, and signs in without anything else. So a user with a second
    /// factor needs the password and a code, or another passkey: a step-up with these. The ceremony
    /// is stored, so that the keys of the ring alone add none.
    ///
    /// # Errors
    /// [`OwnPasskeyError`].
    pub async fn begin_adding(
        &self,
        own: &OwnAccount,
        proof: Proof<'_>,
    ) -> Result<PasskeyOptions, OwnPasskeyError> {
        let (user, required) = (&own.account.user, Requirement::FRESH_BESIDE_CODE);
        let needs_code = self.second_factor.asks(user.second_factor);
        if needs_code && matches!(proof, Proof::Password(_)) {
            return Err(OwnPasskeyError::Insufficient(required));
        }
        self.accounts.confirm_it_is_the_user(own, proof, required).await?;
        let now = clock::now();
        let ring = self.key_ring.current(now).await?;
        let known = self.users.find_passkeys(user.id).await?;
        let credentials = known.all.iter().map(|passkey| passkey.credential.as_str());
        let begun = self.party.begin_registration(user.id, &user.name, credentials)?;
        let purpose = Purpose::Registration {
            user_id: user.id,
            session_id: own.claims.sid,
            cut_seen: user.cut_seen(),
        };
        let begun = options(begun, purpose, &ring, now)?;
        self.keep(&begun, now).await?;
        Ok(begun)
    }

    /// Adds the passkey that an authenticator has made. If its answer was lost, the same request
    /// returns it again.
    ///
    /// # Errors
    /// [`OwnPasskeyError`].
    pub async fn add(
        &self,
        own: &OwnAccount,
        ceremony: &str,
        answer: &RegistrationAnswer,
        name: PasskeyName,
    ) -> Result<Passkey, OwnPasskeyError> {
        let (user, now) = (&own.account.user, clock::now());
        let ring = self.key_ring.current(now).await?;
        let hash = ChallengeHash::of(ceremony);
        let ceremony = Ceremony::parse(ceremony, ring.tag_keys(now.seconds()), now)?;
        let expected = Purpose::Registration {
            user_id: user.id,
            session_id: own.claims.sid,
            cut_seen: user.cut_seen(),
        };
        if ceremony.purpose != expected {
            return Err(OwnPasskeyError::InvalidCeremony);
        }
        let new = self.party.finish_registration(answer, &ceremony.state);
        let new = new.inspect_err(|refusal| log_refusal(refusal, user.id))?;
        let passkey = Passkey {
            id: PasskeyId::of(&new.id),
            name,
            credential: new.credential,
            backed_up: new.backed_up,
            created_at: now,
            last_used_at: None,
            ceremony: ceremony.id(),
        };
        let letter = letter(Notice::PasskeyAdded { user_id: user.id }, now)?;
        for _ in 0..TRIES {
            let before = self.users.find_passkeys(user.id).await?;
            let after = match before.add(passkey.clone()) {
                Added::Write(after) => after,
                Added::Already(passkey) => return Ok(passkey),
                Added::Exists => return Err(OwnPasskeyError::Exists),
                Added::Spent => return Err(OwnPasskeyError::InvalidCeremony),
                Added::TooMany => return Err(OwnPasskeyError::TooMany),
            };
            let change = PasskeysChange { before: &before, after: &after };
            match self.users.add_passkey(user, change, &hash, &letter).await? {
                AddedPasskey::Written => {
                    let change = AccountChange::PasskeyAdded;
                    record_change(change, user.id, Some(own.claims.sid));
                    return Ok(passkey);
                }
                AddedPasskey::NotKept => return Err(OwnPasskeyError::InvalidCeremony),
                AddedPasskey::ChangedMeanwhile => {}
            }
        }
        Err(OwnPasskeyError::ChangedMeanwhile)
    }

    /// The passkeys of a user, the oldest first.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn of(&self, own: &OwnAccount) -> Result<Vec<Passkey>, Fault> {
        Ok(self.users.find_passkeys(own.claims.sub).await?.all)
    }

    /// Renames a passkey.
    ///
    /// # Errors
    /// [`OwnPasskeyError`].
    pub async fn rename(
        &self,
        own: &OwnAccount,
        id: PasskeyId,
        name: &PasskeyName,
    ) -> Result<Passkey, OwnPasskeyError> {
        for _ in 0..TRIES {
            let before = self.users.find_passkeys(own.claims.sub).await?;
            let renamed = before.rename(id, name).ok_or(OwnPasskeyError::NoSuchPasskey)?;
            let change = PasskeysChange { before: &before, after: &renamed };
            if self.users.rename_passkey(own.claims.sub, change).await? {
                return renamed.find(id).cloned().ok_or(OwnPasskeyError::NoSuchPasskey);
            }
        }
        Err(OwnPasskeyError::ChangedMeanwhile)
    }

    /// Removes a passkey, and ends all other sessions: the device with the passkey may have been
    /// stolen. If there is no such passkey, that is done.
    ///
    /// # Errors
    /// [`OwnPasskeyError`].
    pub async fn remove(
        &self,
        own: &OwnAccount,
        proof: Proof<'_>,
        id: PasskeyId,
    ) -> Result<(), OwnPasskeyError> {
        let required = Requirement::FRESH_BESIDE_CODE;
        self.accounts.confirm_it_is_the_user(own, proof, required).await?;
        let (user, begun) = (&own.account.user, clock::now());
        let letter = letter(Notice::PasskeyRemoved { user_id: user.id }, begun)?;
        for _ in 0..TRIES {
            let before = self.users.find_passkeys(user.id).await?;
            let Some(after) = before.remove(id) else { return Ok(()) };
            let change = PasskeysChange { before: &before, after: &after };
            if self.users.remove_passkey(user, change, own.claims.sid, &letter).await? {
                self.accounts.ended_others(own, AccountChange::PasskeyRemoved, begun).await;
                return Ok(());
            }
        }
        Err(OwnPasskeyError::ChangedMeanwhile)
    }
}
