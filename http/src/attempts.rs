//! Attempts at passwords, counted before anything is hashed.

use ratchet::{
    attempts::{AttemptId, AttemptKey, Decision, Throttle},
    entropy::random,
    time::UnixMillis,
};

use crate::{
    App, Problem,
    events::{SecurityEvent, record},
};

/// Counts an attempt, as a failure until it turns out to be none. `kind` says in the event whose
/// counter it was.
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
) -> Result<(), Problem> {
    let attempt = AttemptId::new(random()?);
    let problem = match app.attempts.take(key, throttle, attempt, now).await? {
        Decision::Allow => return Ok(()),
        Decision::Wait(delay) => Problem::TooManyAttempts { retry_after: delay },
        Decision::Locked => Problem::AccountLocked,
    };
    record(SecurityEvent::AttemptRefused { kind }, None, None);
    Err(problem)
}
