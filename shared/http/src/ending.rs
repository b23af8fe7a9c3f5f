//! Ending all sessions of a user.

use std::time::Duration;

use ratchet_core::{
    ids::{SessionId, UserId},
    session::{RevocationReason, Session},
    user::SessionsCut,
};

use crate::{
    App, Problem, clock,
    events::{SecurityEvent, record},
};

/// Ends all sessions of a user, but for a spared one.
///
/// The cut is one write and takes effect at once, also for what is in flight: a session that is
/// refreshed after it sees the cut, and a sign-in that read the user before it has not seen it. The
/// clean-up only makes sure that no rotation that read the user before the cut is written after
/// this returns.
///
/// # Errors
/// [`Problem`] if a write failed; the cut may have taken effect.
pub async fn end_sessions(
    app: &App,
    user_id: UserId,
    spared: Option<SessionId>,
    reason: RevocationReason,
) -> Result<(), Problem> {
    let cut = SessionsCut { valid_after: clock::now(), spared };
    let cut = app.users.cut_sessions(user_id, cut).await?.ok_or(Problem::SessionEnded)?;
    revoke(app, user_id, reason, cut.spared, |session| cut.ends(session)).await
}

/// How often the clean-up is tried, and the first of the pauses between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);

/// The clean-up after a change that can not be asked for again: its proof is used up. It is tried a
/// few times. What fails then is logged and is no reason to refuse what is done: the sessions are
/// over by the change itself, and a rotation that was under way ends at the next one.
pub async fn clean_up(app: &App, user_id: UserId, reason: RevocationReason) {
    for wait in 0..TRIES {
        // The fault behind the problem is logged where the problem is made.
        if revoke_ended(app, user_id, reason).await.is_ok() {
            return;
        }
        tokio::time::sleep(PAUSE.saturating_mul(1 << wait)).await;
    }
    tracing::error!(%user_id, "sessions that a change has ended could not be revoked one by one");
}

/// The same clean-up after a change that had a cut in its own write, or deleted the user.
///
/// # Errors
/// [`Problem`] if a write failed; what ended the sessions is done all the same.
pub async fn revoke_ended(
    app: &App,
    user_id: UserId,
    reason: RevocationReason,
) -> Result<(), Problem> {
    let user = app.users.find(user_id).await?;
    let spared = user.as_ref().and_then(|user| user.cut).and_then(|cut| cut.spared);
    let ended = |session: &Session| !user.as_ref().is_some_and(|user| user.allows(session));
    revoke(app, user_id, reason, spared, ended).await
}

async fn revoke(
    app: &App,
    user_id: UserId,
    reason: RevocationReason,
    spared: Option<SessionId>,
    ended: impl Fn(&Session) -> bool,
) -> Result<(), Problem> {
    let now = clock::now();
    for session_id in app.sessions.list(user_id).await?.to_revoke(spared, ended) {
        if app.sessions.revoke(user_id, session_id, reason, now).await? {
            record(SecurityEvent::SessionRevoked { reason }, Some(user_id), Some(session_id));
        }
    }
    Ok(())
}
