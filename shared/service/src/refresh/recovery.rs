//! Late recovery: a response was lost, and the client comes back after the retry window.

use std::time::Duration;

use ratchet_core::{
    config::Convergence,
    rotation::{Decision, walk},
    session::Session,
    user::User,
};
use ratchet_store::SessionUpdate;

use super::{RefreshError, Request};
use crate::{
    Fault,
    events::{SecurityEvent, record},
    tokens::TokenPair,
};

/// How often noting a late recovery is tried while the session changes at the same time.
const RECOVERY_TRIES: usize = 3;

const ONE_DAY: Duration = Duration::from_hours(24);

impl Request<'_> {
    /// Notes a late recovery and answers with the live token. If the session has changed since it
    /// was read, decides again.
    pub(super) async fn recover(
        &self,
        session: &Session,
        user: Option<&User>,
    ) -> Result<TokenPair, RefreshError> {
        self.check_network(session)?;
        if !user.is_some_and(|user| user.allows(session)) {
            return self.answer(session, walk(&self.token, session)?, user).await;
        }
        let mut session = session.clone();
        for _ in 0..RECOVERY_TRIES {
            match self.service.sessions.note_late_recovery(&session, self.now).await? {
                SessionUpdate::Written(noted) => {
                    self.record_recovery(&session);
                    return self.answer(&noted, walk(&self.token, &noted)?, user).await;
                }
                SessionUpdate::Unmet(Some(found))
                    if self.decide(Some(&found)) == Decision::RecoverLate =>
                {
                    session = found;
                }
                // Boxed, because this and `follow` call each other.
                SessionUpdate::Unmet(found) => {
                    return Box::pin(self.follow(found.as_ref(), user)).await;
                }
            }
        }
        Err(Fault::Contended.into())
    }

    /// Answers with the live token once more, because the response to the recovery was lost too.
    pub(super) async fn answer_recovered(
        &self,
        session: &Session,
        user: Option<&User>,
    ) -> Result<TokenPair, RefreshError> {
        self.check_network(session)?;
        let live = walk(&self.token, session)?;
        record(SecurityEvent::RecoveredLate, Some(session.user_id), Some(session.session_id));
        self.answer(session, live, user).await
    }

    /// Records a late recovery; a second one within a day is suspicious.
    fn record_recovery(&self, before: &Session) {
        record(SecurityEvent::RecoveredLate, Some(before.user_id), Some(before.session_id));
        if before.recovered_since(self.now.minus(ONE_DAY)) {
            self.record_convergence(before);
        }
    }

    /// A late client may come from another network, unless the operator forbids it.
    fn check_network(&self, session: &Session) -> Result<(), RefreshError> {
        let moved = session.origin.network != self.origin.network;
        if moved && self.service.convergence_from_elsewhere == Convergence::Refuse {
            self.record_convergence(session);
            return Err(RefreshError::Elsewhere);
        }
        Ok(())
    }
}
