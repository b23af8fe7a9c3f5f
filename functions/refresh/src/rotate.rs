//! The rotation, from a presented token to a token pair: the one write, and what follows from it.

use ratchet_core::{
    access_token::AccessTokenError,
    config::Convergence,
    entropy::random,
    ids::UserId,
    key_ring::KeyRing,
    refresh_token::RefreshToken,
    rotation::{Decision, Presented, Refusal, Rotation, decide, walk},
    secret::TokenSecret,
    session::{Ended, Origin, RevocationReason, Session},
    time::UnixMillis,
    user::{User, UserStatus},
};
use ratchet_http::{
    App, Problem,
    app::VerifyError,
    clock,
    events::{SecurityEvent, record},
    problem::InvalidAttempt,
    tokens::TokenPair,
};
use ratchet_store::{RotateResult, StoreError};

use crate::caution;

/// Rotates the session of `refresh_token`, or leads to what rotated it before.
pub(crate) async fn rotate(
    app: &App,
    refresh_token: &str,
    access_token: Option<&str>,
    origin: Origin,
) -> Result<TokenPair, Problem> {
    let now = clock::now();
    let token = app.refresh_token(refresh_token, now).await?;
    let token = token.ok_or(Problem::InvalidAttempt(InvalidAttempt::Malformed))?;
    let ring = app.key_ring(now).await?;
    if let Some(access_token) = access_token {
        belongs_together(app, &token, access_token, now).await?;
    }
    let policy = &app.config.session;
    if policy.absolute_expires_at(token.session_id) <= now.seconds() {
        return Err(Problem::InvalidAttempt(InvalidAttempt::ExpiredAbsolute));
    }
    // No write for an answer that could not be given.
    let able = ring.signer(now.seconds()).is_some() && ring.tagger(now.seconds()).is_some();
    if !able {
        return Err(Problem::Unavailable);
    }

    let attempt =
        Attempt { app, ring: &ring, presented: Presented::from(&token), token, origin, now };
    let next = TokenSecret::new(random()?);
    let rotation =
        Rotation::prepare(&attempt.token, &next, random()?, now, policy, attempt.origin.clone())?;
    let rotating = app.sessions.rotate(
        attempt.token.user_id,
        attempt.token.session_id,
        &attempt.presented,
        &rotation,
        now.minus(policy.retry_window),
    );
    let finding = find(app, attempt.token.user_id, now);
    let (rotated, user) = if caution::is_due(now) {
        let user = finding.await?;
        (rotating.await?, user)
    } else {
        let (rotated, user) = tokio::join!(rotating, finding);
        // Whichever failed, the presented token is as good as before, for the retry window at
        // least: it is live, or it leads to what has been written.
        (rotated?, user?)
    };
    match rotated {
        RotateResult::Rotated(session) => attempt.answer(&session, next, user.as_ref()).await,
        RotateResult::Unmet(session) => attempt.follow(session.as_ref(), user.as_ref()).await,
    }
}

async fn find(app: &App, id: UserId, now: UnixMillis) -> Result<Option<User>, StoreError> {
    let found = app.users.find(id).await;
    if found.is_err() {
        caution::begin(now);
    }
    found
}

/// An access token beside the refresh token must not be forged or of another session. Its age, issuer
/// and audience do not matter. One of a removed key counts as if it were absent: it proves nothing.
async fn belongs_together(
    app: &App,
    token: &RefreshToken,
    access_token: &str,
    now: UnixMillis,
) -> Result<(), Problem> {
    let mismatch = Problem::InvalidAttempt(InvalidAttempt::AccessTokenMismatch);
    match app.verify_signature(access_token, now).await {
        Ok(claims) if claims.sub == token.user_id && claims.sid == token.session_id => Ok(()),
        Err(VerifyError::Invalid(AccessTokenError::UnknownKey)) => Ok(()),
        Ok(_) | Err(VerifyError::Invalid(_)) => Err(mismatch),
        Err(VerifyError::NoKeyRing(error)) => Err(error.into()),
    }
}

/// A genuine token that somebody presented.
struct Attempt<'a> {
    app: &'a App,
    ring: &'a KeyRing,
    token: RefreshToken,
    presented: Presented,
    origin: Origin,
    now: UnixMillis,
}

impl Attempt<'_> {
    /// Does what the decision table says about the item that the write found.
    async fn follow(
        &self,
        session: Option<&Session>,
        user: Option<&User>,
    ) -> Result<TokenPair, Problem> {
        let window = self.app.config.session.retry_window;
        let decision = decide(&self.presented, session, self.now, window);
        match (decision, session) {
            (Decision::Refuse(refusal), _) => Err(Problem::InvalidAttempt(reason(refusal))),
            (Decision::Theft(kind), _) => {
                record(
                    SecurityEvent::ReuseDetected { kind },
                    Some(self.token.user_id),
                    Some(self.token.session_id),
                );
                self.revoke(RevocationReason::ReuseDetected).await?;
                Err(Problem::InvalidAttempt(InvalidAttempt::ReuseDetected))
            }
            (Decision::AnswerLive | Decision::AnswerSuccessor, Some(session)) => {
                if decision == Decision::AnswerSuccessor {
                    self.check_convergence(session)?;
                }
                let live = walk(&self.token, session)?;
                record(
                    SecurityEvent::RefreshedInRetryWindow,
                    Some(self.token.user_id),
                    Some(session.session_id),
                );
                self.answer(session, live, user).await
            }
            // The write's condition and the table's first row are the same; if they ever were
            // not, nothing has been written, and nobody may be logged out for it.
            (Decision::Rotate | Decision::AnswerLive | Decision::AnswerSuccessor, _) => {
                tracing::error!("the rotation's condition contradicts the decision table");
                Err(Problem::Unavailable)
            }
        }
    }

    /// Answers with the live token, if the user may still have sessions.
    async fn answer(
        &self,
        session: &Session,
        live: TokenSecret,
        user: Option<&User>,
    ) -> Result<TokenPair, Problem> {
        let Some(user) = user.filter(|user| user.allows(session)) else {
            let disabled = user.is_none_or(|user| user.status == UserStatus::Disabled);
            let (reason, attempt) = if disabled {
                (RevocationReason::UserDisabled, InvalidAttempt::UserDisabled)
            } else {
                (RevocationReason::EndedEverywhere, InvalidAttempt::Revoked)
            };
            self.revoke(reason).await?;
            return Err(Problem::InvalidAttempt(attempt));
        };
        let token = RefreshToken {
            user_id: session.user_id,
            session_id: session.session_id,
            generation: session.generation,
            secret: live,
        };
        TokenPair::issue(user, session, &token, &self.app.config.access_token, self.ring, self.now)
    }

    /// Two clients that both stay inside the retry window share one chain. That they come from
    /// different places is the only sign there is that one of them is a thief.
    fn check_convergence(&self, session: &Session) -> Result<(), Problem> {
        if session.origin == self.origin {
            return Ok(());
        }
        let event =
            SecurityEvent::SuspiciousConvergence { last: &session.origin, now: &self.origin };
        record(event, Some(self.token.user_id), Some(session.session_id));
        match self.app.config.convergence_from_elsewhere {
            Convergence::Allow => Ok(()),
            Convergence::Refuse => Err(Problem::InvalidAttempt(InvalidAttempt::Elsewhere)),
        }
    }

    async fn revoke(&self, reason: RevocationReason) -> Result<(), Problem> {
        let (user_id, session_id) = (self.token.user_id, self.token.session_id);
        if self.app.sessions.revoke(user_id, session_id, reason, self.now).await? {
            record(
                SecurityEvent::SessionRevoked { reason },
                Some(self.token.user_id),
                Some(session_id),
            );
        }
        Ok(())
    }
}

const fn reason(refusal: Refusal) -> InvalidAttempt {
    match refusal {
        Refusal::Unknown | Refusal::Ahead => InvalidAttempt::Unknown,
        Refusal::Ended(Ended::ExpiredIdle) => InvalidAttempt::ExpiredIdle,
        Refusal::Ended(Ended::ExpiredAbsolute) => InvalidAttempt::ExpiredAbsolute,
        Refusal::Ended(Ended::Revoked(RevocationReason::ReuseDetected)) => {
            InvalidAttempt::ReuseDetected
        }
        Refusal::Ended(Ended::Revoked(RevocationReason::UserDisabled)) => {
            InvalidAttempt::UserDisabled
        }
        Refusal::Ended(Ended::Revoked(
            RevocationReason::LoggedOut
            | RevocationReason::EndedByUser
            | RevocationReason::EndedEverywhere
            | RevocationReason::PasswordChanged
            | RevocationReason::EndedByAdministrator,
        )) => InvalidAttempt::Revoked,
    }
}
