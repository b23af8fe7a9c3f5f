//! Signing in with a passkey: without a name, or in place of a code after a password.

use std::net::IpAddr;

use ratchet_core::{
    amr::Amr,
    device_token::EncodedDeviceToken,
    dpop::{Possession, ProofError, Thumbprint},
    ids::{SessionId, UserId},
    key_ring::KeyRing,
    passkey::{Ceremony, InvalidCeremony, Purpose},
    second_factor::{ChallengeHash, SignInChallenge, Stage},
    session::Origin,
    time::UnixMillis,
    user::{User, UserStatus},
};
use ratchet_store::users::{KeptChallenge, PasskeyStart, PasskeysChange, Started};
use ratchet_webauthn::{AuthenticationAnswer, Refusal};

use super::{Judged, PasskeyOptions, Passkeys, TRIES, options};
use crate::{
    Fault, clock,
    events::{SecurityEvent, record},
    fault::from_faults,
    sign_in::start::{Drawn, NewSession, session_id},
    tokens::TokenPair,
};

/// What a client begins to sign in with.
///
/// # Security
/// Cannot be printed.
#[expect(missing_debug_implementations, reason = "it contains a challenge")]
pub struct PasskeyBeginning<'a> {
    /// The challenge of a sign-in whose first step was right, not yet parsed. Without one, any passkey
    /// will do.
    pub challenge: Option<&'a str>,
    /// What the request proves about the key of the challenge.
    pub possession: Possession,
}

/// What a client signs in with.
///
/// # Security
/// Cannot be printed.
#[expect(missing_debug_implementations, reason = "it contains a ceremony and a challenge")]
pub struct PasskeySignIn<'a> {
    /// The ceremony of the options, not yet parsed.
    pub ceremony: &'a str,
    /// The authenticator's answer.
    pub answer: &'a AuthenticationAnswer,
    /// The challenge that the options were requested with.
    pub challenge: Option<&'a str>,
    /// What the user calls the device.
    pub device_label: Option<String>,
    /// The client's address, if the gateway knows it.
    pub source_ip: Option<IpAddr>,
    /// The client's network and user agent.
    pub origin: Origin,
    /// What the request proves about a key to bind the session to.
    pub possession: Possession,
}

/// Why nobody was signed in with a passkey.
#[derive(Debug, thiserror::Error)]
pub enum PasskeySignInError {
    /// The ceremony or the challenge is not genuine, too old, or from before all sessions were ended.
    #[error("the ceremony or the challenge is wrong or expired")]
    InvalidChallenge,
    /// The ceremony or the challenge has led to a session.
    #[error("the ceremony or the challenge was used before")]
    Spent,
    /// The answer is not genuine, the passkey is unknown, or its user may not sign in.
    ///
    /// # Security
    /// Deliberately one variant, so that clients cannot learn which.
    #[error("the passkey is refused")]
    Refused,
    /// The passkey is right, but the user has to confirm the e-mail address first.
    #[error("the e-mail address has not been confirmed")]
    EmailNotConfirmed,
    /// The user whose password was right has no passkey.
    #[error("the user has no passkey")]
    NoPasskey,
    /// The proof of possession is wrong, of another key than the challenge's, or missing.
    #[error(transparent)]
    Unproven(#[from] ProofError),
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(PasskeySignInError);

impl From<InvalidCeremony> for PasskeySignInError {
    fn from(_: InvalidCeremony) -> Self {
        Self::InvalidChallenge
    }
}

impl From<Refusal> for PasskeySignInError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unreadable(error) => Self::Fault(Fault::Passkey(error)),
            _ => Self::Refused,
        }
    }
}

/// A sign-in of which everything but the passkey was checked.
struct Candidate {
    user: User,
    challenge: Option<(SignInChallenge, ChallengeHash)>,
    /// The session that it leads to.
    session_id: SessionId,
    /// The key to bind that session to.
    jkt: Option<Thumbprint>,
}

impl Passkeys {
    /// Begins to sign in.
    ///
    /// # Security
    /// Without a challenge, nothing is read and nothing is written: anybody may request options.
    ///
    /// # Errors
    /// [`PasskeySignInError`].
    pub async fn begin_sign_in(
        &self,
        request: PasskeyBeginning<'_>,
    ) -> Result<PasskeyOptions, PasskeySignInError> {
        let now = clock::now();
        let ring = self.key_ring.current(now).await?;
        let Some(challenge) = request.challenge else {
            let begun = self.party.begin_authentication([])?;
            let purpose = Purpose::SignIn { session_id: session_id(now)? };
            return Ok(options(begun, purpose, &ring, now)?);
        };
        let (user, _, hash) = self.challenged(challenge, request.possession, &ring, now).await?;
        let passkeys = self.users.find_passkeys(user.id).await?;
        if passkeys.all.is_empty() {
            return Err(PasskeySignInError::NoPasskey);
        }
        let credentials = passkeys.all.iter().map(|passkey| passkey.credential.as_str());
        let begun = self.party.begin_authentication(credentials)?;
        let purpose = Purpose::SecondFactor { user_id: user.id, challenge: hash };
        Ok(options(begun, purpose, &ring, now)?)
    }

    /// Signs a user in with a passkey.
    ///
    /// # Security
    /// The passkey is written in the same transaction that writes the session, whose id is the
    /// ceremony's or the challenge's. So each leads to one session, and a passkey that was removed
    /// meanwhile to none. If an answer is lost, the same request says that it is spent.
    ///
    /// # Errors
    /// [`PasskeySignInError`].
    pub async fn sign_in(
        &self,
        request: PasskeySignIn<'_>,
    ) -> Result<TokenPair, PasskeySignInError> {
        let now = clock::now();
        let ring = self.key_ring.current(now).await?;
        let ceremony = Ceremony::parse(request.ceremony, ring.tag_keys(now.seconds()), now)?;
        let candidate = self.candidate(&ceremony, &request, &ring, now).await?;
        let user_id = candidate.user.id;
        for _ in 0..TRIES {
            let before = self.users.find_passkeys(user_id).await?;
            let after = match self.judge(request.answer, &ceremony, &before, user_id, now)? {
                Judged::Right(after) => after,
                Judged::Unknown => return Err(refused("unknown_passkey", Some(user_id))),
                Judged::Wrong => return Err(refused("wrong_passkey", Some(user_id))),
                // The same answer again has the counter of the first time.
                Judged::Cloned if self.has_led_to(user_id, candidate.session_id).await? => {
                    return Err(PasskeySignInError::Spent);
                }
                Judged::Cloned => {
                    record(SecurityEvent::PasskeyCloned, Some(user_id), None);
                    return Err(refused("passkey_cloned", Some(user_id)));
                }
            };
            if self.starter.has_to_confirm(&candidate.user) {
                refused("email_not_confirmed", Some(user_id));
                return Err(PasskeySignInError::EmailNotConfirmed);
            }
            let new = candidate.session(&request);
            let Drawn { session, pair } = self.starter.draw(new, &candidate.user, &ring, now)?;
            let device_token = candidate.device_token(&ring, now)?;
            let start = PasskeyStart {
                sessions: &self.starter.sessions,
                session: &session,
                challenge: candidate.challenge.as_ref().map(|(_, hash)| *hash),
            };
            let change = PasskeysChange { before: &before, after: &after };
            match self.users.use_passkey_and_start(user_id, change, start).await? {
                Started::Written => {
                    self.starter.make_room(user_id, &session, now).await?;
                    return Ok(TokenPair { device_token, ..pair });
                }
                Started::Before => return Err(PasskeySignInError::Spent),
                Started::ChangedMeanwhile => {}
            }
        }
        Err(PasskeySignInError::Fault(Fault::Contended))
    }

    /// Whether the session of a ceremony or a challenge exists.
    async fn has_led_to(&self, user_id: UserId, session_id: SessionId) -> Result<bool, Fault> {
        Ok(self.starter.sessions.find(user_id, session_id).await?.is_some())
    }

    /// Finds whom the answer is from, and checks everything that is not the passkey.
    async fn candidate(
        &self,
        ceremony: &Ceremony,
        request: &PasskeySignIn<'_>,
        ring: &KeyRing,
        now: UnixMillis,
    ) -> Result<Candidate, PasskeySignInError> {
        let claimed = request.answer.claimed().user_id;
        match (&ceremony.purpose, request.challenge) {
            (Purpose::SignIn { session_id }, None) => {
                // First, so that its refusal says nothing about the user.
                let jkt = self.starter.key_to_bind(request.possession)?;
                let user_id = claimed.ok_or_else(|| refused("no_user_handle", None))?;
                let user = self.users.find(user_id).await?;
                let user = user.ok_or_else(|| refused("unknown_passkey", None))?;
                if user.status != UserStatus::Active {
                    return Err(refused("disabled", Some(user_id)));
                }
                Ok(Candidate { user, challenge: None, session_id: *session_id, jkt })
            }
            (Purpose::SecondFactor { user_id, challenge: hash }, Some(challenge)) => {
                if ChallengeHash::of(challenge) != *hash {
                    return Err(PasskeySignInError::InvalidChallenge);
                }
                if claimed.is_some_and(|claimed| claimed != *user_id) {
                    return Err(refused("passkey_of_another_user", Some(*user_id)));
                }
                let possession = request.possession;
                let (user, challenge, hash) =
                    self.challenged(challenge, possession, ring, now).await?;
                let SignInChallenge { session_id, jkt, .. } = challenge;
                Ok(Candidate { user, challenge: Some((challenge, hash)), session_id, jkt })
            }
            _ => Err(PasskeySignInError::InvalidChallenge),
        }
    }

    /// The user of a challenge who may complete the sign-in.
    async fn challenged(
        &self,
        text: &str,
        possession: Possession,
        ring: &KeyRing,
        now: UnixMillis,
    ) -> Result<(User, SignInChallenge, ChallengeHash), PasskeySignInError> {
        let invalid = PasskeySignInError::InvalidChallenge;
        let hash = ChallengeHash::of(text);
        let parsed = SignInChallenge::parse(text, ring.tag_keys(now.seconds()), now);
        let challenge = parsed.map_err(|_| PasskeySignInError::InvalidChallenge)?;
        self.starter.check_key(challenge.jkt, possession)?;
        let (user, kept) =
            tokio::try_join!(self.users.find(challenge.user_id), self.users.find_challenge(hash))?;
        match (kept, user) {
            (Some(KeptChallenge::Spent), _) => Err(PasskeySignInError::Spent),
            (Some(KeptChallenge::Waiting), Some(user))
                if challenge.stage == Stage::Verify
                    && user.second_factor
                    && self.starter.admits(&user)
                    && challenge.is_of(&user) =>
            {
                Ok((user, challenge, hash))
            }
            _ => Err(invalid),
        }
    }
}

impl Candidate {
    fn session(&self, request: &PasskeySignIn<'_>) -> NewSession {
        let (amr, device_label) = match &self.challenge {
            None => (Amr::PASSKEY, request.device_label.clone()),
            Some((challenge, _)) => {
                (challenge.first.amr().and(Amr::PASSKEY), challenge.device_label.clone())
            }
        };
        NewSession {
            id: self.session_id,
            cut_seen: self.user.cut_seen(),
            amr,
            device_label,
            source_ip: request.source_ip,
            origin: request.origin.clone(),
            jkt: self.jkt,
        }
    }

    /// The device's next token, after a password.
    fn device_token(
        &self,
        ring: &KeyRing,
        now: UnixMillis,
    ) -> Result<Option<EncodedDeviceToken>, Fault> {
        let Some((challenge, _)) = &self.challenge else { return Ok(None) };
        let key = ring.tagger(now.seconds()).ok_or(Fault::NoTagKey)?;
        Ok(challenge.device_token(self.user.cut_seen(), now.seconds(), key))
    }
}

/// Records a refused sign-in. Only operators see the reason.
fn refused(reason: &'static str, user: Option<UserId>) -> PasskeySignInError {
    record(SecurityEvent::LoginFailed { reason }, user, None);
    PasskeySignInError::Refused
}
