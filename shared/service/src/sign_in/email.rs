//! Signing in with a message: its link or its code becomes a session.

use std::net::IpAddr;

use ratchet_core::{
    amr::Amr,
    challenge::Purpose,
    device_token::DeviceId,
    dpop::{Possession, ProofError, Thumbprint},
    email::EmailAddress,
    entropy::random,
    key_ring::KeyRing,
    letter::Notice,
    second_factor::{EncodedChallenge, SignInChallenge, Stage},
    session::Origin,
    time::UnixMillis,
};
use ratchet_store::users::{EmailProof, RightProof};

use super::{
    SignIn,
    second_factor::challenge,
    start::{Drawn, NewSession, kept_until, session_id},
};
use crate::{
    Fault,
    accounts::{
        Evidence,
        proof::{EvidenceCounter, EvidenceError},
        request_message,
    },
    clock,
    events::{SecurityEvent, record},
    fault::from_faults,
    throttle::{AttemptError, Throttled},
    tokens::TokenPair,
};

/// How often a proof is judged again because its challenge has changed meanwhile.
const TRIES: usize = 3;

/// What a client signs in with.
///
/// # Security
/// Cannot be printed.
#[expect(missing_debug_implementations, reason = "it contains a token or a code")]
pub struct EmailSignInRequest<'a> {
    /// The token, or the address and the code.
    pub evidence: Evidence<'a>,
    /// What the user calls the device.
    pub device_label: Option<String>,
    /// The client's address, if the gateway knows it.
    pub source_ip: Option<IpAddr>,
    /// The client's network and user agent.
    pub origin: Origin,
    /// What the request proves about a key to bind the session to.
    pub possession: Possession,
}

/// Why nobody was signed in with a message.
#[derive(Debug, thiserror::Error)]
pub enum EmailSignInError {
    /// The token or the code is wrong or expired, or from before all sessions were ended, or its user
    /// may not sign in.
    ///
    /// # Security
    /// Deliberately one variant, so that clients cannot learn which.
    #[error("the proof is wrong or expired")]
    InvalidProof,
    /// The message has led to a session, or to a challenge.
    #[error("the proof was used before")]
    Spent,
    /// The proof was right, but the user has to present, or set up, a second factor.
    #[error("a second factor is required")]
    SecondFactorRequired {
        /// What the user has to do.
        stage: Stage,
        /// What the client completes the sign-in with.
        challenge: EncodedChallenge,
    },
    /// The proof of possession is wrong, or is required and missing. Nothing else was checked.
    #[error(transparent)]
    Unproven(#[from] ProofError),
    /// There were too many requests before.
    #[error(transparent)]
    Throttled(Throttled),
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(EmailSignInError);

impl From<EvidenceError> for EmailSignInError {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Invalid => Self::InvalidProof,
            EvidenceError::Throttled(throttled) => Self::Throttled(throttled),
            EvidenceError::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// What a right proof led to.
enum Led {
    To(TokenPair),
    ToChallenge(Stage, EncodedChallenge),
    /// The challenge has changed meanwhile: the proof has to be judged again.
    Nowhere,
}

/// A sign-in of which everything but the proof was checked.
struct Attempt<'a> {
    request: &'a EmailSignInRequest<'a>,
    jkt: Option<Thumbprint>,
    ring: &'a KeyRing,
    now: UnixMillis,
}

impl SignIn {
    /// Requests a message that signs in.
    ///
    /// # Security
    /// Writes the same letter whether or not the address is known. The mailer finds out whether
    /// there is anything to send.
    ///
    /// # Errors
    /// [`AttemptError`].
    pub async fn request_email(
        &self,
        email: EmailAddress,
        source_ip: Option<IpAddr>,
    ) -> Result<(), AttemptError> {
        let notice = Notice::SignInAsked { email };
        request_message(&self.limiter, &self.outbox, notice, source_ip).await
    }

    /// Signs a user in with a message.
    ///
    /// # Security
    /// The message is used up in the transaction that writes the session, or the challenge of the
    /// second step. So it leads to one of them, whatever is lost, repeated or sent in parallel. If the
    /// answer is lost, the same request says that it is spent.
    ///
    /// # Errors
    /// [`EmailSignInError`].
    pub async fn sign_in_by_email(
        &self,
        request: EmailSignInRequest<'_>,
    ) -> Result<TokenPair, EmailSignInError> {
        let now = clock::now();
        let jkt = self.starter.key_to_bind(request.possession)?;
        let ring = &*self.key_ring.current(now).await?;
        let Self { users, challenges, limiter, .. } = self;
        let counter = EvidenceCounter { users, challenges, limiter };
        let (evidence, purposes) = (&request.evidence, [Purpose::EmailSignIn]);
        let counted = counter.count(evidence, ring, &purposes, request.source_ip, now).await?;
        let attempt = Attempt { request: &request, jkt, ring, now };
        for _ in 0..TRIES {
            let (id, proof) = (counted.user_id, &counted.proof);
            let right = match users.judge_email_sign_in(id, proof, now).await? {
                EmailProof::Right(right) => right,
                EmailProof::Before => return Err(EmailSignInError::Spent),
                EmailProof::Wrong(user) => {
                    record(SecurityEvent::LoginFailed { reason: "wrong_message" }, user, None);
                    return Err(EmailSignInError::InvalidProof);
                }
            };
            let led = match self.second_stage(right.user()) {
                None => self.start_by_email(&attempt, &right).await?,
                Some(stage) => self.challenge_by_email(&attempt, &right, stage).await?,
            };
            match led {
                Led::To(pair) => {
                    limiter.take_back(&counted.request).await;
                    return Ok(pair);
                }
                Led::ToChallenge(stage, challenge) => {
                    limiter.take_back(&counted.request).await;
                    return Err(EmailSignInError::SecondFactorRequired { stage, challenge });
                }
                Led::Nowhere => {}
            }
        }
        Err(EmailSignInError::Fault(Fault::Contended))
    }

    async fn start_by_email(
        &self,
        attempt: &Attempt<'_>,
        right: &RightProof,
    ) -> Result<Led, EmailSignInError> {
        let Attempt { request, jkt, ring, now } = *attempt;
        let user = right.user();
        let new = NewSession {
            id: session_id(now)?,
            cut_seen: user.cut_seen(),
            amr: Amr::EMAIL,
            device_label: request.device_label.clone(),
            source_ip: request.source_ip,
            origin: request.origin.clone(),
            jkt,
        };
        let Drawn { session, pair } = self.starter.draw(new, user, ring, now)?;
        if !self.users.use_proof_and_start(right, &self.starter.sessions, &session).await? {
            return Ok(Led::Nowhere);
        }
        self.starter.make_room(user.id, &session, now).await?;
        Ok(Led::To(pair))
    }

    async fn challenge_by_email(
        &self,
        attempt: &Attempt<'_>,
        right: &RightProof,
        stage: Stage,
    ) -> Result<Led, EmailSignInError> {
        let Attempt { request, jkt, ring, now } = *attempt;
        let (user, typed) = (right.user(), right.email().as_str());
        let device_id = DeviceId::from_bytes(random()?);
        let ids = (session_id(now)?, now);
        let waiting = SignInChallenge::new(stage, user, typed, device_id, jkt, ids).after_email();
        let waiting = challenge(&waiting.labelled(request.device_label.clone()), ring, now)?;
        let (hash, until) = (waiting.hash(), kept_until(now));
        let kept = self.users.use_proof_and_keep_challenge(right, hash, until).await?;
        Ok(if kept { Led::ToChallenge(stage, waiting) } else { Led::Nowhere })
    }
}
