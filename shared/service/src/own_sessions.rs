//! A user's own sessions: listing and ending them.
//!
//! The session of the access token must be live. An access token stays valid for a few minutes
//! after its session has ended, but must not manage sessions then.

use std::cmp::Reverse;

use ratchet_core::{
    access_token::Claims,
    ids::SessionId,
    session::{RevocationReason, Session},
    time::UnixMillis,
};
use ratchet_store::{Sessions, Stores, Users, sessions::SessionList};

use crate::{
    Fault, clock,
    end_sessions::{EndAllError, EndSessions},
    fault::from_faults,
};

/// Lists and ends sessions on behalf of their user.
#[derive(Debug, Clone)]
pub struct OwnSessions {
    users: Users,
    sessions: Sessions,
    end_sessions: EndSessions,
}

/// Why sessions were not listed or ended.
#[derive(Debug, thiserror::Error)]
pub enum OwnSessionsError {
    /// The caller's own session has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// The user has no live session with this id.
    #[error("there is no such session")]
    NoSuchSession,
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(OwnSessionsError);

impl OwnSessions {
    /// The sessions in these stores.
    #[must_use]
    pub fn new(stores: &Stores<'_>) -> Self {
        let (users, sessions) = (stores.users(), stores.sessions());
        let end_sessions = EndSessions::new(users.clone(), sessions.clone());
        Self { users, sessions, end_sessions }
    }

    /// The caller's live sessions, the most recently refreshed one first.
    ///
    /// # Errors
    /// [`OwnSessionsError::SessionEnded`] or a fault.
    pub async fn list(&self, caller: &Claims) -> Result<Vec<Session>, OwnSessionsError> {
        let mut sessions = self.live(caller, clock::now()).await?;
        sessions.sort_by_key(|session| Reverse(session.refreshed_at()));
        Ok(sessions)
    }

    /// Ends one of the caller's sessions.
    ///
    /// # Errors
    /// [`OwnSessionsError`].
    pub async fn end(&self, caller: &Claims, id: SessionId) -> Result<(), OwnSessionsError> {
        let now = clock::now();
        let sessions = self.live(caller, now).await?;
        if !sessions.iter().any(|session| session.session_id == id) {
            return Err(OwnSessionsError::NoSuchSession);
        }
        self.end_sessions.end(caller.sub, id, RevocationReason::EndedByUser, now).await?;
        Ok(())
    }

    /// Ends all of the caller's sessions, except a spared one.
    ///
    /// # Errors
    /// [`OwnSessionsError::SessionEnded`] or a fault.
    pub async fn end_all(
        &self,
        caller: &Claims,
        spared: Option<SessionId>,
    ) -> Result<(), OwnSessionsError> {
        self.live(caller, clock::now()).await?;
        let reason = RevocationReason::EndedEverywhere;
        match self.end_sessions.end_all(caller.sub, spared, reason).await {
            Ok(()) => Ok(()),
            // The user was deleted meanwhile.
            Err(EndAllError::NoSuchUser) => Err(OwnSessionsError::SessionEnded),
            Err(EndAllError::Fault(fault)) => Err(OwnSessionsError::Fault(fault)),
        }
    }

    async fn live(
        &self,
        caller: &Claims,
        now: UnixMillis,
    ) -> Result<Vec<Session>, OwnSessionsError> {
        let (user, list) =
            tokio::join!(self.users.find(caller.sub), self.sessions.list(caller.sub));
        let user = user?.ok_or(OwnSessionsError::SessionEnded)?;
        let SessionList { mut sessions, unreadable } = list?;
        if let Some((_, error)) = unreadable.into_iter().find(|(id, _)| *id == caller.sid) {
            return Err(error.into());
        }
        sessions.retain(|session| session.ended(now).is_none() && user.allows(session));
        if sessions.iter().any(|session| session.session_id == caller.sid) {
            Ok(sessions)
        } else {
            Err(OwnSessionsError::SessionEnded)
        }
    }
}
