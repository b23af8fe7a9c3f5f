//! The second step of a sign-in: a challenge and a code become a session.

use std::net::IpAddr;

use ratchet_core::{
    amr::Amr,
    dpop::{Possession, ProofError},
    key_ring::KeyRing,
    letter::Notice,
    second_factor::{
        ChallengeHash, EncodedChallenge, Factor, Presented, SecondFactorPolicy, SignInChallenge,
        Spent, Stage,
    },
    session::{Origin, RevocationReason},
    time::UnixMillis,
    user::User,
};
use ratchet_store::users::{Enabling, KeptChallenge, Spending, Start};

use super::{
    SignIn,
    start::{Drawn, NewSession},
};
use crate::{
    Fault,
    accounts::letter,
    clock,
    events::{AccountChange, SecurityEvent, record, record_change},
    fault::from_faults,
    second_factor::{Enrollment, SecondFactors},
    throttle::{AttemptError, Throttled},
    tokens::TokenPair,
};

/// What a client completes a sign-in with.
///
/// # Security
/// Cannot be printed.
#[expect(missing_debug_implementations, reason = "it contains a challenge and a code")]
pub struct SecondFactorRequest<'a> {
    /// The challenge, not yet parsed.
    pub challenge: &'a str,
    /// The code.
    pub presented: Presented,
    /// The client's address, if the gateway knows it.
    pub source_ip: Option<IpAddr>,
    /// The client's network and user agent.
    pub origin: Origin,
    /// What the request proves about the key of the challenge.
    pub possession: Possession,
}

/// Why a sign-in was not completed.
#[derive(Debug, thiserror::Error)]
pub enum SecondFactorError {
    /// The challenge is not genuine, too old, or from before all sessions were ended.
    #[error("the challenge is wrong or expired")]
    InvalidChallenge,
    /// The challenge has led to a session.
    #[error("the challenge was used before")]
    ChallengeSpent,
    /// The code is wrong, or was used before.
    #[error("the code is wrong or was used before")]
    InvalidCode,
    /// No secret waits for its first code, or not any more.
    #[error("no second factor waits for its first code")]
    NotPending,
    /// The proof of possession is wrong, or of another key than the challenge's, or missing.
    #[error(transparent)]
    Unproven(#[from] ProofError),
    /// There were too many wrong codes before.
    #[error(transparent)]
    Throttled(Throttled),
    /// So many codes were wrong that somebody has to unlock the second factor.
    #[error("too many wrong codes")]
    Locked,
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(SecondFactorError);

impl From<AttemptError> for SecondFactorError {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Throttled(Throttled::Locked) => Self::Locked,
            AttemptError::Throttled(throttled) => Self::Throttled(throttled),
            AttemptError::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// A sign-in that is about to be completed.
struct Completion<'a> {
    challenge: &'a SignInChallenge,
    hash: ChallengeHash,
    user: &'a User,
    ring: &'a KeyRing,
    source_ip: Option<IpAddr>,
    origin: Origin,
}

impl SignIn {
    /// What the user has to do after the first step, if anything.
    pub(super) fn second_stage(&self, user: &User) -> Option<Stage> {
        match self.second_factors.policy() {
            policy if policy.asks(user.second_factor) => Some(Stage::Verify),
            SecondFactorPolicy::Required => Some(Stage::Enroll),
            SecondFactorPolicy::Optional | SecondFactorPolicy::Disabled => None,
        }
    }

    /// Begins to set up a second factor for a user who needs one to sign in.
    ///
    /// # Errors
    /// [`SecondFactorError`].
    pub async fn enroll(
        &self,
        challenge: &str,
        possession: Possession,
    ) -> Result<Enrollment, SecondFactorError> {
        let now = clock::now();
        let ring = self.key_ring.current(now).await?;
        let hash = ChallengeHash::of(challenge);
        let challenge = parse(challenge, &ring, now)?;
        if challenge.stage != Stage::Enroll {
            return Err(SecondFactorError::InvalidChallenge);
        }
        self.starter.check_key(challenge.jkt, possession)?;
        let (user, kept) =
            tokio::try_join!(self.users.find(challenge.user_id), self.users.find_challenge(hash))?;
        let user = check_kept(kept).and_then(|()| self.check_user(&challenge, user))?;
        let begun = self.second_factors.begin(&user, now).await?;
        begun.ok_or(SecondFactorError::ChallengeSpent)
    }

    /// Completes a sign-in.
    ///
    /// # Security
    /// The code is used up in the same transaction that writes the session, whose id is the
    /// challenge's. So a challenge leads to one session, and a code to one sign-in, whatever is
    /// repeated or lost. If an answer is lost, the same request says that the challenge is spent.
    ///
    /// # Errors
    /// [`SecondFactorError`].
    pub async fn complete(
        &self,
        request: SecondFactorRequest<'_>,
    ) -> Result<TokenPair, SecondFactorError> {
        let SecondFactorRequest { challenge, presented, source_ip, origin, possession } = request;
        let now = clock::now();
        let ring = self.key_ring.current(now).await?;
        let hash = ChallengeHash::of(challenge);
        let challenge = parse(challenge, &ring, now)?;
        self.starter.check_key(challenge.jkt, possession)?;
        let id = challenge.user_id;
        // Counted before anything is compared.
        let attempt = self.second_factors.count(id, now).await?;
        let (user, factor, kept) = tokio::try_join!(
            self.users.find(id),
            self.users.find_factor(id),
            self.users.find_challenge(hash)
        )?;
        let user = match check_kept(kept).and_then(|()| self.check_user(&challenge, user)) {
            Ok(user) => user,
            Err(error) => {
                self.second_factors.not_compared(&attempt).await;
                return Err(error);
            }
        };
        let factor = factor.unwrap_or_default();
        let completion =
            Completion { challenge: &challenge, hash, user: &user, ring: &ring, source_ip, origin };
        let completed = match challenge.stage {
            Stage::Verify => self.verify(completion, &factor, &presented, now).await,
            Stage::Enroll => self.switch_on(completion, &factor, &presented, now).await,
        };
        match &completed {
            Ok(_) => self.second_factors.succeeded(&attempt).await,
            Err(SecondFactorError::InvalidCode) => {
                record(SecurityEvent::LoginFailed { reason: "wrong_code" }, Some(id), None);
            }
            // Nothing was compared.
            Err(SecondFactorError::NotPending | SecondFactorError::InvalidChallenge) => {
                self.second_factors.not_compared(&attempt).await;
            }
            Err(_) => {}
        }
        completed
    }

    /// The user of a challenge, who may complete it.
    fn check_user(
        &self,
        challenge: &SignInChallenge,
        user: Option<User>,
    ) -> Result<User, SecondFactorError> {
        let user = user.ok_or(SecondFactorError::InvalidChallenge)?;
        let may_sign_in = self.starter.admits(&user) && challenge.is_of(&user);
        match (challenge.stage, user.second_factor) {
            // Switching a factor on ends all sessions, and with them the challenge that did it.
            (Stage::Enroll, true) => Err(SecondFactorError::ChallengeSpent),
            // Otherwise a user without a factor needs none.
            (Stage::Enroll, false)
                if self.second_factors.policy() != SecondFactorPolicy::Required =>
            {
                Err(SecondFactorError::InvalidChallenge)
            }
            (Stage::Verify, true) | (Stage::Enroll, false) if may_sign_in => Ok(user),
            _ => Err(SecondFactorError::InvalidChallenge),
        }
    }

    /// Completes a sign-in with a code of the factor that is on.
    async fn verify(
        &self,
        completion: Completion<'_>,
        factor: &Factor,
        presented: &Presented,
        now: UnixMillis,
    ) -> Result<TokenPair, SecondFactorError> {
        let Completion { challenge, user, .. } = completion;
        let enabled = factor.enabled.as_ref();
        // It was switched off a moment ago, and all sessions and challenges were ended.
        let enabled = enabled.ok_or(SecondFactorError::InvalidChallenge)?;
        let secret = self.second_factors.open(user.id, &enabled.secret, now).await?;
        let spend = presented.judge(&secret, now.seconds());
        let spend = spend.ok_or(SecondFactorError::InvalidCode)?;
        let letter = match presented {
            Presented::Code(_) => None,
            Presented::Recovery(_) => {
                Some(letter(Notice::RecoveryCodeUsed { user_id: user.id }, clock::now())?)
            }
        };
        let started = self.draw_completed(&completion, user.cut_seen(), now)?;
        let spent = self
            .users
            .spend_factor_and_start(
                Spending { user, secret: &enabled.secret, spend },
                self.start(&completion, &started),
                letter.as_ref(),
            )
            .await?;
        refuse_unless_written(spent)?;
        if letter.is_some() {
            let change = AccountChange::RecoveryCodeUsed;
            record_change(change, user.id, Some(challenge.session_id));
        }
        self.starter.make_room(user.id, &started.session, now).await?;
        Ok(started.pair)
    }

    /// Switches on the factor that waits for its first code, and completes the sign-in.
    async fn switch_on(
        &self,
        completion: Completion<'_>,
        factor: &Factor,
        presented: &Presented,
        now: UnixMillis,
    ) -> Result<TokenPair, SecondFactorError> {
        let Completion { challenge, user, .. } = completion;
        let Presented::Code(code) = presented else { return Err(SecondFactorError::InvalidCode) };
        let pending = factor.awaited(now.seconds()).ok_or(SecondFactorError::NotPending)?;
        let secret = self.second_factors.open(user.id, &pending.secret, now).await?;
        let step = secret.step_of(code, now.seconds()).ok_or(SecondFactorError::InvalidCode)?;
        let recovery = SecondFactors::draw_recovery_codes(&secret)?;
        let letter = letter(Notice::SecondFactorEnabled { user_id: user.id }, clock::now())?;
        // The change ends all sessions. This one has seen that.
        let cut = user.next_cut(letter.written_at);
        let started = self.draw_completed(&completion, cut, now)?;
        let enabling = Enabling {
            user,
            secret: &pending.secret,
            step,
            recovery: &recovery.hashes,
            spared: None,
            letter: &letter,
        };
        let start = self.start(&completion, &started);
        refuse_unless_written(self.users.enable_factor_and_start(enabling, start).await?)?;
        let change = AccountChange::SecondFactorEnabled;
        record_change(change, user.id, Some(challenge.session_id));
        // The change is done even if this fails; the mailer then revokes the sessions.
        let reason = RevocationReason::EndedEverywhere;
        drop(self.starter.end_sessions.finish(user.id, reason, now).await);
        self.starter.make_room(user.id, &started.session, now).await?;
        Ok(TokenPair { recovery_codes: Some(recovery.codes), ..started.pair })
    }

    /// The session that a challenge leads to, with everything that the answer needs, so that nothing
    /// is missing once it is written.
    fn draw_completed(
        &self,
        completion: &Completion<'_>,
        cut_seen: UnixMillis,
        now: UnixMillis,
    ) -> Result<Drawn, Fault> {
        let Completion { challenge, user, ring, .. } = completion;
        let tag_key = ring.tagger(now.seconds()).ok_or(Fault::NoTagKey)?;
        let device_token = challenge.device_token(cut_seen, now.seconds(), tag_key);
        let Drawn { session, pair } =
            self.starter.draw(completion.session(cut_seen), user, ring, now)?;
        Ok(Drawn { session, pair: TokenPair { device_token, ..pair } })
    }

    const fn start<'a>(&'a self, completion: &Completion<'_>, drawn: &'a Drawn) -> Start<'a> {
        Start {
            sessions: &self.starter.sessions,
            session: &drawn.session,
            challenge: completion.hash,
        }
    }
}

impl Completion<'_> {
    /// The session that the challenge leads to.
    fn session(&self, cut_seen: UnixMillis) -> NewSession {
        NewSession {
            id: self.challenge.session_id,
            cut_seen,
            amr: self.challenge.first.amr().and(Amr::CODE),
            device_label: self.challenge.device_label.clone(),
            source_ip: self.source_ip,
            origin: self.origin.clone(),
            jkt: self.challenge.jkt,
        }
    }
}

/// A challenge, with the id of the session that it leads to.
pub(super) fn challenge(
    challenge: &SignInChallenge,
    ring: &KeyRing,
    now: UnixMillis,
) -> Result<EncodedChallenge, Fault> {
    Ok(challenge.encode(ring.tagger(now.seconds()).ok_or(Fault::NoTagKey)?))
}

/// Refuses a challenge that nobody's right first step has led to, and one that was spent.
const fn check_kept(kept: Option<KeptChallenge>) -> Result<(), SecondFactorError> {
    match kept {
        Some(KeptChallenge::Waiting) => Ok(()),
        Some(KeptChallenge::Spent) => Err(SecondFactorError::ChallengeSpent),
        None => Err(SecondFactorError::InvalidChallenge),
    }
}

fn parse(
    text: &str,
    ring: &KeyRing,
    now: UnixMillis,
) -> Result<SignInChallenge, SecondFactorError> {
    let parsed = SignInChallenge::parse(text, ring.tag_keys(now.seconds()), now);
    parsed.map_err(|_| SecondFactorError::InvalidChallenge)
}

const fn refuse_unless_written(spent: Spent) -> Result<(), SecondFactorError> {
    match spent {
        Spent::Written => Ok(()),
        Spent::ChallengeBefore => Err(SecondFactorError::ChallengeSpent),
        Spent::CodeRefused => Err(SecondFactorError::InvalidCode),
    }
}
