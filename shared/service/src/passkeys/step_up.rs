//! Step-up with a passkey: users authenticate again within a session (RFC 9470).

use ratchet_core::{
    amr::Amr,
    authentication::Authentication,
    passkey::{Ceremony, Purpose},
    second_factor::ChallengeHash,
};
use ratchet_store::users::{
    KeptChallenge, PasskeyStepUp, PasskeysChange, SteppedUpWith, SteppingUp,
};
use ratchet_webauthn::AuthenticationAnswer;

use super::{Judged, OwnPasskeyError, PasskeyOptions, Passkeys, TRIES, options};
use crate::{
    Fault,
    accounts::OwnAccount,
    clock,
    events::{SecurityEvent, record},
    tokens::FreshAccessToken,
};

impl Passkeys {
    /// Begins a step-up with one of the caller's passkeys.
    ///
    /// # Errors
    /// [`OwnPasskeyError`].
    pub async fn begin_step_up(&self, own: &OwnAccount) -> Result<PasskeyOptions, OwnPasskeyError> {
        let (user_id, now) = (own.claims.sub, clock::now());
        let ring = self.key_ring.current(now).await?;
        let passkeys = self.users.find_passkeys(user_id).await?;
        if passkeys.all.is_empty() {
            return Err(OwnPasskeyError::NoPasskey);
        }
        let credentials = passkeys.all.iter().map(|passkey| passkey.credential.as_str());
        let begun = self.party.begin_authentication(credentials)?;
        let purpose = Purpose::StepUp { user_id, session_id: own.claims.sid };
        let begun = options(begun, purpose, &ring, now)?;
        self.keep(&begun, now).await?;
        Ok(begun)
    }

    /// Authenticates the caller again. From then on, access tokens of the session say when and how.
    ///
    /// # Security
    /// The ceremony is spent in the transaction that notes the step-up, so an answer leads to one
    /// access token that stands in for the password.
    ///
    /// # Errors
    /// [`OwnPasskeyError`].
    pub async fn step_up(
        &self,
        own: &OwnAccount,
        ceremony: &str,
        answer: &AuthenticationAnswer,
    ) -> Result<FreshAccessToken, OwnPasskeyError> {
        let (user, now) = (&own.account.user, clock::now());
        let ring = self.key_ring.current(now).await?;
        let hash = ChallengeHash::of(ceremony);
        let ceremony = Ceremony::parse(ceremony, ring.tag_keys(now.seconds()), now)?;
        if ceremony.purpose != (Purpose::StepUp { user_id: user.id, session_id: own.claims.sid }) {
            return Err(OwnPasskeyError::InvalidCeremony);
        }
        if answer.claimed().user_id.is_some_and(|claimed| claimed != user.id) {
            return Err(OwnPasskeyError::Refused);
        }
        // Made before the write, so that nothing can be missing afterwards.
        let authentication = Authentication { at: now, amr: Amr::PASSKEY };
        let token =
            self.starter.issuer.issue_stepped_up(user, &own.claims, authentication, &ring)?;
        for _ in 0..TRIES {
            let before = self.users.find_passkeys(user.id).await?;
            let after = match self.judge(answer, &ceremony, &before, user.id, now)? {
                Judged::Right(after) => after,
                Judged::Unknown | Judged::Wrong => return Err(OwnPasskeyError::Refused),
                // The same answer again has the counter of the first time.
                Judged::Cloned if !self.waits(hash).await? => {
                    return Err(OwnPasskeyError::InvalidCeremony);
                }
                Judged::Cloned => {
                    record(SecurityEvent::PasskeyCloned, Some(user.id), Some(own.claims.sid));
                    return Err(OwnPasskeyError::Refused);
                }
            };
            let stepping_up = SteppingUp {
                sessions: &self.starter.sessions,
                session_id: own.claims.sid,
                authentication,
            };
            let change = PasskeysChange { before: &before, after: &after };
            let step_up = PasskeyStepUp { ceremony: &hash, change, stepping_up };
            match self.users.use_passkey_and_step_up(user.id, step_up).await? {
                SteppedUpWith::Written => {
                    let event = SecurityEvent::SteppedUp { amr: Amr::PASSKEY };
                    record(event, Some(user.id), Some(own.claims.sid));
                    return Ok(token);
                }
                SteppedUpWith::NotKept => return Err(OwnPasskeyError::InvalidCeremony),
                SteppedUpWith::SessionEnded => return Err(OwnPasskeyError::SessionEnded),
                SteppedUpWith::ChangedMeanwhile => {}
            }
        }
        Err(OwnPasskeyError::ChangedMeanwhile)
    }

    /// Whether a ceremony has not been spent.
    async fn waits(&self, ceremony: ChallengeHash) -> Result<bool, Fault> {
        Ok(self.users.find_challenge(ceremony).await? == Some(KeptChallenge::Waiting))
    }
}
