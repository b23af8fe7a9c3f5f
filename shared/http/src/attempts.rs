//! Attempts at passwords, counted before anything is hashed.

use ratchet_core::{
    attempts::{AttemptId, AttemptKey, Decision, Throttle},
    entropy::random,
    error_chain::ErrorChain,
    time::UnixMillis,
};

use crate::{
    App, Problem,
    events::{SecurityEvent, record},
};

/// Counts an attempt, as a failure until it turns out to be none. Returns what settles it then.
/// `kind` says in the event which counter it was.
///
/// # Errors
/// [`Problem::TooManyAttempts`] or [`Problem::AccountLocked`], and nothing was counted; a fault, and
/// nothing may be tried.
pub async fn admit(
    app: &App,
    key: &AttemptKey,
    throttle: &Throttle,
    kind: &'static str,
    now: UnixMillis,
) -> Result<AttemptId, Problem> {
    let attempt = AttemptId::new(random()?);
    let problem = match app.attempts.take(key, throttle, attempt, now).await? {
        Decision::Allow => return Ok(attempt),
        Decision::Wait(delay) => Problem::TooManyAttempts { retry_after: delay },
        Decision::Locked => Problem::AccountLocked,
    };
    record(SecurityEvent::AttemptRefused { kind }, None, None);
    Err(problem)
}

/// Takes an attempt back that was no failure. What can not be written makes later delays longer than
/// they need be, which is no reason to refuse what was right.
pub async fn give_back(app: &App, key: &AttemptKey, attempt: AttemptId) {
    if let Err(error) = app.attempts.give_back(key, attempt).await {
        let error = tracing::field::display(ErrorChain(&error));
        tracing::warn!(error, "a counter of attempts could not be set back");
    }
}

/// Unlocks an account after a change that can not be asked for again: a lock that stays is no reason
/// to say that the change did not happen.
pub async fn unlock(app: &App, key: &AttemptKey) {
    if let Err(error) = app.attempts.forget(key).await {
        let error = tracing::field::display(ErrorChain(&error));
        tracing::error!(error, "an account could not be unlocked");
    }
}
