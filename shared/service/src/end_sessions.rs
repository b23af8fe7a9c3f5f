//! Ending sessions, for every reason.

use std::{sync::Arc, time::Duration};

use ratchet_core::{
    dpop::{Possession, ProofError},
    error_chain::ErrorChain,
    ids::{SessionId, UserId},
    second_factor::LIFE as CHALLENGE_LIFE,
    session::{RevocationReason, Revoked, Session, to_evict},
    time::UnixMillis,
    user::SessionsCut,
};
use ratchet_store::{KeyRingCache, LogOutResult, Sessions, StoreError, Users};

use crate::{
    Fault, clock,
    events::{SecurityEvent, record, record_unproven},
    fault::from_faults,
    metrics::{self, CLEAN_UPS_FINISHED, CLEAN_UPS_LEFT},
    tokens::read_refresh_token,
};

/// [`EndSessions::finish`] gives up this long after the request began, because the response is due.
const CLEAN_UP_BY: Duration = Duration::from_secs(2);

/// How often [`EndSessions::finish`] is tried.
const TRIES: u32 = 3;

/// The pause after its first try. It doubles with each further try.
const PAUSE: Duration = Duration::from_millis(50);

/// Ends sessions.
#[derive(Debug, Clone)]
pub struct EndSessions {
    users: Users,
    sessions: Sessions,
}

/// Why the sessions of a user were not ended.
#[derive(Debug, thiserror::Error)]
pub enum EndAllError {
    /// There is no such user.
    #[error("there is no such user")]
    NoSuchUser,
    /// A read or a write failed. The sessions may have been ended nevertheless.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(EndAllError);

impl EndSessions {
    /// Ends the sessions in these tables.
    #[must_use]
    pub const fn new(users: Users, sessions: Sessions) -> Self {
        Self { users, sessions }
    }

    /// Ends one session. Returns whether this call ended it; `false` if it had ended before, or
    /// never existed.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn end(
        &self,
        user_id: UserId,
        session_id: SessionId,
        reason: RevocationReason,
        now: UnixMillis,
    ) -> Result<bool, Fault> {
        let ended = self.sessions.revoke(user_id, session_id, reason, now).await?;
        if ended {
            record(SecurityEvent::SessionRevoked { reason }, Some(user_id), Some(session_id));
        }
        Ok(ended)
    }

    /// Ends all sessions of a user, except a spared one.
    ///
    /// The cut is one write and takes effect at once, even for requests in flight: a refresh that
    /// reads the user later sees the cut, and a sign-in that read the user earlier creates a
    /// session that the cut ends. Then the sessions are revoked one by one, so that a rotation that
    /// read the user before the cut cannot be written after this returns.
    ///
    /// # Errors
    /// [`EndAllError`]; the cut may have taken effect.
    pub async fn end_all(
        &self,
        user_id: UserId,
        spared: Option<SessionId>,
        reason: RevocationReason,
    ) -> Result<(), EndAllError> {
        let cut = SessionsCut { valid_after: clock::now(), spared };
        let cut = self.users.cut_sessions(user_id, cut).await?.ok_or(EndAllError::NoSuchUser)?;
        self.revoke_each(user_id, reason, cut.spared, |session| cut.ends(session)).await?;
        Ok(())
    }

    /// Revokes one by one the sessions that a change of the user has ended, as
    /// [`end_all`](Self::end_all) does after its cut. Returns how many this call revoked.
    ///
    /// # Errors
    /// [`Fault`]; the change itself has ended the sessions nevertheless.
    pub async fn revoke_ended(
        &self,
        user_id: UserId,
        reason: RevocationReason,
    ) -> Result<usize, Fault> {
        let user = self.users.find(user_id).await?;
        let spared = user.as_ref().and_then(|user| user.cut).and_then(|cut| cut.spared);
        let ended = |session: &Session| !user.as_ref().is_some_and(|user| user.allows(session));
        self.revoke_each(user_id, reason, spared, ended).await
    }

    /// The same, after a change that cannot be repeated, for example because its proof is used up.
    /// Tries a few times, within the time left to the request that began at `begun`. If it fails,
    /// it counts that, and [`finish_later`](Self::finish_later) does the rest.
    ///
    /// # Errors
    /// [`Fault`]. Do not report the change as failed: at worst, a rotation in flight answers once
    /// more, and its session ends at the next refresh.
    pub async fn finish(
        &self,
        user_id: UserId,
        reason: RevocationReason,
        begun: UnixMillis,
    ) -> Result<(), Fault> {
        let spent = Duration::from_millis(clock::now().get().saturating_sub(begun.get()));
        let time = CLEAN_UP_BY.saturating_sub(spent);
        let tried = tokio::time::timeout(time, self.try_to_finish(user_id, reason)).await;
        let fault = match tried {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(fault)) => fault,
            Err(late) => Fault::Store(StoreError::Unavailable {
                operation: "revoking sessions",
                source: late.into(),
            }),
        };
        metrics::count(CLEAN_UPS_LEFT);
        let error = tracing::field::display(ErrorChain(&fault));
        tracing::error!(error, %user_id, "sessions that a change ended are not revoked yet");
        Err(fault)
    }

    async fn try_to_finish(&self, user_id: UserId, reason: RevocationReason) -> Result<(), Fault> {
        let mut tries = 1;
        loop {
            let Err(fault) = self.revoke_ended(user_id, reason).await else { return Ok(()) };
            if tries == TRIES {
                return Err(fault);
            }
            tokio::time::sleep(PAUSE.saturating_mul(1 << (tries - 1))).await;
            tries += 1;
        }
    }

    /// Revokes the sessions that [`finish`](Self::finish) did not get to, if any, and counts that.
    ///
    /// # Errors
    /// [`Fault`]; the caller has to try again.
    pub async fn finish_later(
        &self,
        user_id: UserId,
        reason: RevocationReason,
    ) -> Result<(), Fault> {
        let revoked = self.revoke_ended(user_id, reason).await?;
        if revoked > 0 {
            metrics::count(CLEAN_UPS_FINISHED);
            tracing::info!(%user_id, revoked, "sessions that a change had left were revoked");
        }
        Ok(())
    }

    async fn revoke_each(
        &self,
        user_id: UserId,
        reason: RevocationReason,
        spared: Option<SessionId>,
        ended: impl Fn(&Session) -> bool,
    ) -> Result<usize, Fault> {
        let now = clock::now();
        let mut revoked = 0;
        for session_id in self.sessions.list(user_id).await?.to_revoke(spared, ended) {
            revoked += usize::from(self.end(user_id, session_id, reason, now).await?);
        }
        Ok(revoked)
    }

    /// Deletes sessions of a user so that at most `max` remain, counting the `new` one.
    ///
    /// `published_for` is how long the list of ended sessions must include each one; `None` if no
    /// such list is published.
    ///
    /// # Errors
    /// [`Fault`].
    pub(crate) async fn evict(
        &self,
        user_id: UserId,
        mut others: Vec<Session>,
        new: &Session,
        limits: Limits,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let Limits { max, published_for } = limits;
        // Ended sessions must stay in the table while they are published. One that a challenge has led
        // to must stay while the challenge lives, which could otherwise lead to it again.
        let is_published = |revoked: Revoked| {
            published_for.is_some_and(|published_for| now < revoked.at.plus(published_for))
        };
        let has_challenge = |session: &Session| {
            !session.amr.is_password_alone()
                && now < session.session_id.created_at().plus(2 * CHALLENGE_LIFE)
        };
        others.retain(|session| {
            !session.revoked.is_some_and(|it| is_published(it) || has_challenge(session))
        });
        for evicted in to_evict(&others, new, now, max) {
            let is_live =
                |session: &Session| session.session_id == evicted && session.ended(now).is_none();
            let is_evicted = |session: &Session| session.session_id == evicted;
            let must_be_published = published_for.is_some()
                && (evicted == new.session_id || others.iter().any(is_live));
            let mut all = others.iter().chain([new]);
            if must_be_published || all.any(|it| is_evicted(it) && has_challenge(it)) {
                let reason = RevocationReason::EndedByUser;
                self.sessions.revoke(user_id, evicted, reason, now).await?;
            } else {
                self.sessions.delete(user_id, evicted).await?;
            }
            record(SecurityEvent::SessionEvicted, Some(user_id), Some(evicted));
        }
        Ok(())
    }
}

/// How many sessions a user may have, and how long ended ones are published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max: usize,
    pub(crate) published_for: Option<Duration>,
}

/// Ends the session of a refresh token.
#[derive(Debug, Clone)]
pub struct LogOut {
    key_ring: Arc<KeyRingCache>,
    end_sessions: EndSessions,
}

/// Why a session was not ended.
#[derive(Debug, thiserror::Error)]
pub enum LogOutError {
    /// The session is bound to a key, and the request does not prove possession of it.
    #[error(transparent)]
    Unproven(ProofError),
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(LogOutError);

impl LogOut {
    /// Reads tokens with this key ring.
    #[must_use]
    pub const fn new(key_ring: Arc<KeyRingCache>, end_sessions: EndSessions) -> Self {
        Self { key_ring, end_sessions }
    }

    /// Ends the session of a refresh token, even if the token is not the live one. Returns `false`
    /// if the token is not genuine. Otherwise the session has ended, now or before. A session that
    /// is bound to a key requires possession of it.
    ///
    /// # Errors
    /// [`LogOutError`].
    pub async fn log_out(
        &self,
        refresh_token: &str,
        possession: Possession,
    ) -> Result<bool, LogOutError> {
        let now = clock::now();
        let Some(token) = read_refresh_token(&self.key_ring, refresh_token, now).await? else {
            return Ok(false);
        };
        let (user_id, session_id) = (token.user_id, token.session_id);
        let sessions = &self.end_sessions.sessions;
        match sessions.log_out(user_id, session_id, possession.key(), now).await? {
            LogOutResult::Ended => {
                let event = SecurityEvent::SessionRevoked { reason: RevocationReason::LoggedOut };
                record(event, Some(user_id), Some(session_id));
                Ok(true)
            }
            LogOutResult::EndedBefore => Ok(true),
            LogOutResult::KeyNotProved => {
                let reason = possession.refusal();
                record_unproven(reason, user_id, session_id);
                Err(LogOutError::Unproven(reason))
            }
        }
    }
}
