//! Admission of a sign-in: every attempt is counted before anything is hashed.

use std::net::IpAddr;

use ratchet_core::{device_token::DeviceToken, time::UnixMillis, user::User};

use crate::throttle::{AttemptError, AttemptLimiter, AttemptScope, RecordedAttempt, Throttled};

/// A counted attempt. Whether its device token is valid is only known once the user has been read.
pub(super) struct Admission {
    network: RecordedAttempt,
    attempt: Attempt,
}

enum Attempt {
    /// Counted for the account.
    Stranger(RecordedAttempt),
    /// Counted for the device, or refused by its counter.
    Device(DeviceToken, Result<RecordedAttempt, Throttled>),
}

/// The counters that hold an attempt, as a failure until the password proves right.
pub(super) struct CountedAttempt {
    pub(super) network: RecordedAttempt,
    /// The account's counter, or the device's.
    pub(super) account: RecordedAttempt,
}

impl Admission {
    /// Counts an attempt to sign in with this `name`: for the device if there is a device token,
    /// else for the account.
    ///
    /// The network is counted first: if its counter refuses, the account's is left unchanged.
    pub(super) async fn record(
        limiter: &AttemptLimiter,
        name: &str,
        device: Option<DeviceToken>,
        source: Option<IpAddr>,
        now: UnixMillis,
    ) -> Result<Self, AttemptError> {
        let network = limiter.record_attempt(AttemptScope::Network(source), now).await?;
        let attempt = match device {
            None => {
                Attempt::Stranger(limiter.record_attempt(AttemptScope::Account(name), now).await?)
            }
            Some(device) => {
                let counter = AttemptScope::Device(device.device_id);
                match limiter.record_attempt(counter, now).await {
                    Ok(key) => Attempt::Device(device, Ok(key)),
                    Err(AttemptError::Throttled(throttled)) => {
                        Attempt::Device(device, Err(throttled))
                    }
                    Err(fault @ AttemptError::Fault(_)) => return Err(fault),
                }
            }
        };
        Ok(Self { network, attempt })
    }

    /// Counts the attempt for the account after all if the device token is not valid for the
    /// `user`: it belongs to a former owner of the name, or is older than the last log-out
    /// everywhere.
    ///
    /// # Errors
    /// [`AttemptError`] if the counter that applies refuses the attempt.
    pub(super) async fn resolve(
        self,
        limiter: &AttemptLimiter,
        user: Option<&User>,
        name: &str,
        now: UnixMillis,
    ) -> Result<CountedAttempt, AttemptError> {
        let account = match self.attempt {
            Attempt::Stranger(key) => key,
            Attempt::Device(device, counted) => {
                if user.is_some_and(|user| device.knows(user)) {
                    counted.map_err(AttemptError::Throttled)?
                } else {
                    limiter.record_attempt(AttemptScope::Account(name), now).await?
                }
            }
        };
        Ok(CountedAttempt { network: self.network, account })
    }
}
