//! Ending all sessions of a user.

use ratchet::{
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
    revoke(app, user_id, reason, |session| cut.ends(session)).await
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
    let ended = |session: &Session| !user.as_ref().is_some_and(|user| user.allows(session));
    revoke(app, user_id, reason, ended).await
}

async fn revoke(
    app: &App,
    user_id: UserId,
    reason: RevocationReason,
    ended: impl Fn(&Session) -> bool,
) -> Result<(), Problem> {
    let now = clock::now();
    for session in app.sessions.list(user_id).await? {
        // Expired ones too: another function's clock may be behind ours.
        if session.revoked.is_none()
            && ended(&session)
            && app.sessions.revoke(user_id, session.session_id, reason, now).await?
        {
            let event = SecurityEvent::SessionRevoked { reason };
            record(event, Some(user_id), Some(session.session_id));
        }
    }
    Ok(())
}
