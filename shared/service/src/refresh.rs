//! Refresh: exchanges a refresh token for the next token pair.
//!
//! One conditional write rotates the session. If its condition does not hold, the decision table
//! says what to do with the presented token.

mod bound;
mod recovery;

use std::sync::Arc;

use ratchet_core::{
    access_token::AccessTokenError,
    config::Convergence,
    dpop::{Possession, ProofError},
    entropy::random,
    key_ring::KeyRing,
    refresh_token::RefreshToken,
    rotation::{Decision, Presented, Refusal, Rotation, SessionPolicy, decide, walk},
    secret::TokenSecret,
    session::{Ended, Origin, RevocationReason, Session},
    time::UnixMillis,
    user::{User, UserStatus},
};
use ratchet_store::{KeyRingCache, SessionUpdate, Sessions, Stores, Users};

use self::bound::Bound;
use crate::{
    Fault,
    access::{AccessError, AccessTokenVerifier},
    clock,
    end_sessions::EndSessions,
    events::{SecurityEvent, record},
    fault::from_faults,
    tokens::{TokenIssuer, TokenPair, read_refresh_token},
};

/// Refreshes sessions.
#[derive(Debug, Clone)]
pub struct Refresh {
    key_ring: Arc<KeyRingCache>,
    users: Users,
    sessions: Sessions,
    verifier: AccessTokenVerifier,
    issuer: TokenIssuer,
    end_sessions: EndSessions,
    policy: SessionPolicy,
    convergence_from_elsewhere: Convergence,
}

/// Why a refresh token was refused.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The refresh token is not genuine.
    #[error("the refresh token is not genuine")]
    Malformed,
    /// The access token beside it is not genuine, or of another user or session.
    #[error("the access token is not of the same session")]
    AccessTokenMismatch,
    /// The session was not refreshed in time.
    #[error("the session was not refreshed in time")]
    ExpiredIdle,
    /// The absolute lifetime of the session is over.
    #[error("the absolute lifetime of the session is over")]
    ExpiredAbsolute,
    /// An old token was presented. The session was ended, now or before.
    #[error("an old refresh token was presented")]
    ReuseDetected,
    /// The session was ended.
    #[error("the session was ended")]
    Revoked,
    /// The user is disabled or deleted.
    #[error("the user is disabled or deleted")]
    UserDisabled,
    /// There is no such session, or it has not reached the token's generation: its table was
    /// restored from a backup.
    #[error("there is no such session")]
    Unknown,
    /// A recently superseded token came from another network or user agent, and the configuration
    /// forbids that.
    #[error("a superseded refresh token came from elsewhere")]
    Elsewhere,
    /// The session is bound to a key, and the request does not prove possession of it. Nothing
    /// changed.
    #[error(transparent)]
    Unproven(ProofError),
    /// Something that is needed failed. The refresh token is still valid.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(RefreshError);

impl Refresh {
    /// Refreshes sessions in these stores.
    #[must_use]
    pub fn new(stores: &Stores<'_>) -> Self {
        let config = stores.config();
        let (key_ring, users, sessions) = (stores.key_ring(), stores.users(), stores.sessions());
        let policy = &config.access_token;
        Self {
            verifier: AccessTokenVerifier::new(Arc::clone(&key_ring), policy.clone()),
            issuer: TokenIssuer::new(policy.clone()),
            end_sessions: EndSessions::new(users.clone(), sessions.clone()),
            policy: config.session,
            convergence_from_elsewhere: config.convergence_from_elsewhere,
            key_ring,
            users,
            sessions,
        }
    }

    /// Exchanges a refresh token for the next token pair, or for the live one if it was superseded
    /// recently. An access token sent with it must be of the same session; it may have expired. A
    /// session that is bound to a key requires possession of it; any other ignores `possession`.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub async fn refresh(
        &self,
        refresh_token: &str,
        access_token: Option<&str>,
        possession: Possession,
        origin: Origin,
    ) -> Result<TokenPair, RefreshError> {
        let now = clock::now();
        let token = read_refresh_token(&self.key_ring, refresh_token, now).await?;
        let token = token.ok_or(RefreshError::Malformed)?;
        let ring = self.key_ring.current(now).await?;
        if let Some(access_token) = access_token {
            self.check_access_token(&token, access_token, now).await?;
        }
        if self.policy.absolute_expires_at(token.session_id) <= now.seconds() {
            return Err(RefreshError::ExpiredAbsolute);
        }
        // Write nothing if the answer cannot be signed.
        ring.signer(now.seconds()).ok_or(ratchet_core::access_token::IssueError::NoSigner)?;
        let tag_key = ring.tagger(now.seconds()).ok_or(Fault::NoTagKey)?;

        let presented = Presented::from(&token).with_key(possession.key());
        let mut request =
            Request { service: self, ring: &ring, presented, possession, token, origin, now };
        let known = match request.refresh_bound(tag_key).await? {
            Bound::Answered(pair) => return Ok(pair),
            Bound::ToNoKey(user) => user,
        };
        let next = TokenSecret::new(random()?);
        let (rotated, user) = request.rotate(&next, known).await?;
        match rotated {
            SessionUpdate::Written(session) => request.answer(&session, next, user.as_ref()).await,
            SessionUpdate::Unmet(session) => request.follow(session.as_ref(), user.as_ref()).await,
        }
    }

    async fn check_access_token(
        &self,
        token: &RefreshToken,
        access_token: &str,
        now: UnixMillis,
    ) -> Result<(), RefreshError> {
        match self.verifier.verify_signature(access_token, now).await {
            Ok(claims) if claims.sub == token.user_id && claims.sid == token.session_id => Ok(()),
            // If its key was removed it proves nothing, so it counts as absent.
            Err(AccessError::Invalid(AccessTokenError::UnknownKey)) => Ok(()),
            Err(AccessError::Fault(fault)) => Err(RefreshError::Fault(fault)),
            Ok(_)
            | Err(
                AccessError::Invalid(_)
                | AccessError::Expired
                | AccessError::Unproven(_)
                | AccessError::SessionEnded
                | AccessError::NotAdministrator,
            ) => Err(RefreshError::AccessTokenMismatch),
        }
    }
}

/// A request with a genuine token.
struct Request<'a> {
    service: &'a Refresh,
    ring: &'a KeyRing,
    token: RefreshToken,
    presented: Presented,
    possession: Possession,
    origin: Origin,
    now: UnixMillis,
}

impl Request<'_> {
    /// Tries to rotate the session, and reads its user at the same time, unless it is `known`.
    async fn rotate(
        &self,
        next: &TokenSecret,
        known: Option<User>,
    ) -> Result<(SessionUpdate, Option<User>), RefreshError> {
        let (service, token, now) = (self.service, &self.token, self.now);
        let policy = &service.policy;
        let rotation = Rotation::prepare(token, next, random()?, now, policy, self.origin.clone())?;
        let recent_since = now.minus(policy.retry_window);
        let (user_id, session_id) = (token.user_id, token.session_id);
        let rotating =
            service.sessions.rotate(user_id, session_id, &self.presented, &rotation, recent_since);
        let user = async {
            match known {
                Some(user) => Ok(Some(user)),
                None => service.users.find(user_id).await,
            }
        };
        let (rotated, user) = tokio::join!(rotating, user);
        // Whichever failed, the presented token stays usable: it is live, or it leads to what was
        // written, even late.
        Ok((rotated?, user?))
    }

    /// Does what the decision table says about the item that the write found.
    async fn follow(
        &self,
        session: Option<&Session>,
        user: Option<&User>,
    ) -> Result<TokenPair, RefreshError> {
        let (user_id, session_id) = (Some(self.token.user_id), Some(self.token.session_id));
        let decision = self.decide(session);
        match (decision, session) {
            (Decision::Refuse(Refusal::Unproven), Some(session)) => Err(self.unproven(session)),
            (Decision::Refuse(refusal), _) => Err(refusal.into()),
            (Decision::Theft(kind), _) => {
                record(SecurityEvent::ReuseDetected { kind }, user_id, session_id);
                self.end_session(RevocationReason::ReuseDetected).await?;
                Err(RefreshError::ReuseDetected)
            }
            (Decision::AnswerLive | Decision::AnswerSuccessor, Some(session)) => {
                if decision == Decision::AnswerSuccessor {
                    self.check_convergence(session)?;
                }
                let live = walk(&self.token, session)?;
                record(SecurityEvent::RefreshedInRetryWindow, user_id, session_id);
                self.answer(session, live, user).await
            }
            (Decision::AnswerOwner, Some(session)) => self.answer_owner(session, user).await,
            (Decision::RecoverLate, Some(session)) => self.recover(session, user).await,
            (Decision::AnswerRecovered, Some(session)) => {
                self.answer_recovered(session, user).await
            }
            // The write's condition and the table's first row are the same. If they ever disagree,
            // nothing was written, and the client must not be signed out for it.
            (
                Decision::Rotate
                | Decision::AnswerLive
                | Decision::AnswerSuccessor
                | Decision::RecoverLate
                | Decision::AnswerRecovered
                | Decision::AnswerOwner,
                _,
            ) => Err(Fault::Contradiction.into()),
        }
    }

    fn decide(&self, session: Option<&Session>) -> Decision {
        decide(&self.presented, &self.origin.user_agent, session, self.now, &self.service.policy)
    }

    /// Answers with the live token, if the user may still have sessions.
    async fn answer(
        &self,
        session: &Session,
        live: TokenSecret,
        user: Option<&User>,
    ) -> Result<TokenPair, RefreshError> {
        let Some(user) = user.filter(|user| user.allows(session)) else {
            let disabled = user.is_none_or(|user| user.status == UserStatus::Disabled);
            let (reason, error) = if disabled {
                (RevocationReason::UserDisabled, RefreshError::UserDisabled)
            } else {
                (RevocationReason::EndedEverywhere, RefreshError::Revoked)
            };
            self.end_session(reason).await?;
            return Err(error);
        };
        let token = RefreshToken {
            user_id: session.user_id,
            session_id: session.session_id,
            generation: session.generation,
            secret: live,
        };
        Ok(self.service.issuer.issue(user, session, &token, self.ring, self.now)?)
    }

    /// Two clients can share a session undetected as long as both stay within the retry window.
    /// Coming from different places is then the only sign that one of them is a thief.
    fn check_convergence(&self, session: &Session) -> Result<(), RefreshError> {
        if session.origin == self.origin {
            return Ok(());
        }
        self.record_convergence(session);
        match self.service.convergence_from_elsewhere {
            Convergence::Allow => Ok(()),
            Convergence::Refuse => Err(RefreshError::Elsewhere),
        }
    }

    fn record_convergence(&self, session: &Session) {
        let event =
            SecurityEvent::SuspiciousConvergence { last: &session.origin, now: &self.origin };
        record(event, Some(session.user_id), Some(session.session_id));
    }

    async fn end_session(&self, reason: RevocationReason) -> Result<(), Fault> {
        let RefreshToken { user_id, session_id, .. } = &self.token;
        self.service.end_sessions.end(*user_id, *session_id, reason, self.now).await?;
        Ok(())
    }
}

impl From<Refusal> for RefreshError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown | Refusal::Ahead => Self::Unknown,
            Refusal::Unproven => Self::Unproven(ProofError::Missing),
            Refusal::Ended(Ended::ExpiredIdle) => Self::ExpiredIdle,
            Refusal::Ended(Ended::ExpiredAbsolute) => Self::ExpiredAbsolute,
            Refusal::Ended(Ended::Revoked(reason)) => match reason {
                RevocationReason::ReuseDetected => Self::ReuseDetected,
                RevocationReason::UserDisabled => Self::UserDisabled,
                RevocationReason::LoggedOut
                | RevocationReason::EndedByUser
                | RevocationReason::EndedEverywhere
                | RevocationReason::PasswordChanged
                | RevocationReason::EndedByAdministrator => Self::Revoked,
            },
        }
    }
}
