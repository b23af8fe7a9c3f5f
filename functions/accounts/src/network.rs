//! What one network may ask of accounts within an hour, whomever it asks about.

use std::net::IpAddr;

use ratchet_core::{
    attempts::{AttemptId, AttemptKey},
    time::UnixMillis,
};
use ratchet_http::{
    App, Problem,
    attempts::{admit, give_back},
};

/// A request that anybody may make, counted for the network that it came from.
///
/// # Security
/// Without it ten codes could be tried of each of any number of addresses, and hashes and messages
/// be asked for without end.
#[derive(Debug)]
pub(crate) struct Counted(AttemptKey, AttemptId);

impl Counted {
    /// Counts the request, before anything is hashed, compared or kept.
    ///
    /// # Errors
    /// [`Problem::TooManyAttempts`], or a fault.
    pub(crate) async fn take(
        app: &App,
        source: Option<IpAddr>,
        now: UnixMillis,
    ) -> Result<Self, Problem> {
        let key = AttemptKey::accounts(source, now);
        let attempt = admit(app, &key, &app.config.attempts.network, "accounts", now).await?;
        Ok(Self(key, attempt))
    }

    /// Takes it back: what was presented was right.
    pub(crate) async fn give_back(&self, app: &App) {
        give_back(app, &self.0, self.1).await;
    }
}
