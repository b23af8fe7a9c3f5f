//! Who may try a password: every attempt is counted before anything is hashed.

use std::net::IpAddr;

use ratchet_core::{
    attempts::{AttemptId, AttemptKey},
    device_token::DeviceToken,
    error_chain::ErrorChain,
    time::UnixMillis,
};
use ratchet_http::{App, Problem, attempts::admit};

/// An attempt that has been counted, as a failure until it turns out to be none.
pub(crate) struct Admission {
    network: (AttemptKey, AttemptId),
    /// Absent if the device's counter lets nobody try.
    counter: Option<(AttemptKey, AttemptId)>,
    /// What the device's counter said, if it lets nobody try.
    pub(crate) refusal: Option<Problem>,
}

impl Admission {
    /// Counts an attempt at the account called `name`, with the device that has signed in there
    /// before or as a stranger.
    ///
    /// The network's counter comes first: what it turns away leaves the account's as it is. What
    /// the device's turns away is told by [`Admission::refusal`]: it counts only for a device that
    /// knows the user, which is found out meanwhile.
    pub(crate) async fn take(
        app: &App,
        name: &str,
        device: Option<DeviceToken>,
        source: Option<IpAddr>,
        now: UnixMillis,
    ) -> Result<Self, Problem> {
        let policy = app.config.attempts;
        let network = AttemptKey::network(source, now);
        let attempt = admit(app, &network, &policy.network, "network", now).await?;
        let network = (network, attempt);
        let Some(device) = device else {
            let counter = AttemptKey::account(name);
            let attempt = admit(app, &counter, &policy.account, "account", now).await?;
            return Ok(Self { network, counter: Some((counter, attempt)), refusal: None });
        };
        let counter = AttemptKey::device(device.device_id);
        match admit(app, &counter, &policy.account, "device", now).await {
            Ok(attempt) => Ok(Self { network, counter: Some((counter, attempt)), refusal: None }),
            Err(refusal @ (Problem::TooManyAttempts { .. } | Problem::AccountLocked)) => {
                Ok(Self { network, counter: None, refusal: Some(refusal) })
            }
            Err(fault) => Err(fault),
        }
    }

    /// Counts the attempt as a stranger's: its device token is of another user who had the name
    /// before, or older than the last end of all sessions.
    pub(crate) async fn take_as_stranger(
        self,
        app: &App,
        name: &str,
        now: UnixMillis,
    ) -> Result<Self, Problem> {
        let counter = AttemptKey::account(name);
        let attempt = admit(app, &counter, &app.config.attempts.account, "account", now).await?;
        Ok(Self { counter: Some((counter, attempt)), refusal: None, ..self })
    }

    /// The password was proved: the succession of failures is over.
    ///
    /// What can not be written here makes later delays longer than they need be, which is no
    /// reason to refuse this sign-in.
    pub(crate) async fn succeeded(&self, app: &App) {
        let reset = async {
            match &self.counter {
                Some((counter, attempt)) => app.attempts.reset(counter, *attempt).await,
                None => Ok(()),
            }
        };
        let (network, attempt) = &self.network;
        let (reset, given_back) = tokio::join!(reset, app.attempts.give_back(network, *attempt));
        for error in [reset.err(), given_back.err()].into_iter().flatten() {
            let error = tracing::field::display(ErrorChain(&error));
            tracing::warn!(error, "a counter of attempts could not be set back");
        }
    }
}
