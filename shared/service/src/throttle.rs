//! Limits on guessing: attempts are counted before anything is hashed or compared.
//!
//! An IPv6 network has a second counter, for its /48, because one customer may have all 65,536
//! networks of a /48.

use std::{net::IpAddr, time::Duration};

use ratchet_core::{
    attempts::{AttemptId, AttemptKey, AttemptPolicy, Throttle, ThrottleDecision, to_undo},
    device_token::DeviceId,
    entropy::random,
    error_chain::ErrorChain,
    ids::{SessionId, UserId},
    time::UnixMillis,
};
use ratchet_store::{Attempts, StoreError};

use crate::{
    Fault,
    events::{SecurityEvent, record},
    fault::from_faults,
};

/// Counts attempts and refuses those that exceed the policy.
#[derive(Debug, Clone)]
pub struct AttemptLimiter {
    attempts: Attempts,
    policy: AttemptPolicy,
}

/// A counted attempt. It counts as a failure until it succeeds.
#[derive(Debug, Clone)]
pub struct RecordedAttempt {
    key: AttemptKey,
    /// The counter of the IPv6 /48, if the attempt was counted for a network.
    site: Option<AttemptKey>,
    id: AttemptId,
}

/// What attempts are counted for.
#[derive(Debug, Clone, Copy)]
pub enum AttemptScope<'a> {
    /// Sign-ins from a network.
    Network(Option<IpAddr>),
    /// Sign-ins to the account with this name, as typed, from unknown devices.
    Account(&'a str),
    /// Sign-ins from a device that has signed in before.
    Device(DeviceId),
    /// Confirmations of the password within a session.
    Session(SessionId),
    /// Codes of a user's second factor.
    SecondFactor(UserId),
    /// Account requests that need no sign-in, from a network.
    ///
    /// # Security
    /// Without this limit one network could try ten codes for each of any number of addresses, and
    /// cause any number of hashes and messages.
    AccountRequests(Option<IpAddr>),
}

/// Too many attempts. This one was not counted and must not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Throttled {
    /// The next attempt may be made after this time.
    #[error("too many attempts: the next one is allowed in {} ms", .0.as_millis())]
    RetryAfter(Duration),
    /// No attempt may be made until somebody unlocks the account.
    #[error("too many attempts: the account is locked")]
    Locked,
}

/// Why an attempt must not be made.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// There were too many before.
    #[error(transparent)]
    Throttled(Throttled),
    /// It could not be counted.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(AttemptError);

impl AttemptScope<'_> {
    fn key(self, now: UnixMillis) -> AttemptKey {
        match self {
            Self::Network(source) => AttemptKey::network(source, now),
            Self::Account(name) => AttemptKey::account(name),
            Self::Device(device) => AttemptKey::device(device),
            Self::Session(session) => AttemptKey::session(session),
            Self::SecondFactor(user) => AttemptKey::second_factor(user),
            Self::AccountRequests(source) => AttemptKey::accounts(source, now),
        }
    }

    /// The key of the second counter.
    fn site_key(self, now: UnixMillis) -> Option<AttemptKey> {
        match self {
            Self::Network(source) => AttemptKey::network_site(source, now),
            Self::AccountRequests(source) => AttemptKey::accounts_site(source, now),
            Self::Account(_) | Self::Device(_) | Self::Session(_) | Self::SecondFactor(_) => None,
        }
    }

    /// The name in security events.
    const fn kind(self) -> &'static str {
        match self {
            Self::Network(_) => "network",
            Self::Account(_) => "account",
            Self::Device(_) => "device",
            Self::Session(_) => "session",
            Self::SecondFactor(_) => "second_factor",
            Self::AccountRequests(_) => "accounts",
        }
    }

    const fn throttle(self, policy: &AttemptPolicy) -> &Throttle {
        match self {
            Self::Network(_) | Self::AccountRequests(_) => &policy.network,
            Self::Account(_) | Self::Device(_) | Self::Session(_) | Self::SecondFactor(_) => {
                &policy.account
            }
        }
    }
}

impl AttemptLimiter {
    /// Limits attempts by `policy`.
    #[must_use]
    pub const fn new(attempts: Attempts, policy: AttemptPolicy) -> Self {
        Self { attempts, policy }
    }

    /// Counts an attempt. It counts as a failure until it succeeds.
    ///
    /// # Errors
    /// [`AttemptError`]; the attempt was not counted and must not be made.
    pub async fn record_attempt(
        &self,
        scope: AttemptScope<'_>,
        now: UnixMillis,
    ) -> Result<RecordedAttempt, AttemptError> {
        let (key, site) = (scope.key(now), scope.site_key(now));
        let id = AttemptId::new(random()?);
        let (throttle, site_throttle) = (scope.throttle(&self.policy), self.policy.site());
        let take_of_site = async {
            match &site {
                None => Ok(()),
                Some(site) => self.take(site, &site_throttle, id, now).await,
            }
        };
        // At the same time, so that IPv6 takes no longer than IPv4.
        let (taken, site_taken) = tokio::join!(self.take(&key, throttle, id, now), take_of_site);
        let counters = [Some(&key), site.as_ref()].into_iter();
        for (counter, undo) in counters.zip(to_undo([taken.is_ok(), site_taken.is_ok()])) {
            if let Some(counter) = counter.filter(|_| undo) {
                self.give_back(counter, id).await;
            }
        }
        let error = match taken.and(site_taken) {
            Ok(()) => return Ok(RecordedAttempt { key, site, id }),
            Err(error) => error,
        };
        if let AttemptError::Throttled(_) = error {
            record(SecurityEvent::AttemptRefused { kind: scope.kind() }, None, None);
        }
        Err(error)
    }

    async fn take(
        &self,
        key: &AttemptKey,
        throttle: &Throttle,
        id: AttemptId,
        now: UnixMillis,
    ) -> Result<(), AttemptError> {
        // Boxed, because two of these large futures can be under way.
        let throttled = match Box::pin(self.attempts.take(key, throttle, id, now)).await? {
            ThrottleDecision::Allow => return Ok(()),
            ThrottleDecision::Wait(delay) => Throttled::RetryAfter(delay),
            ThrottleDecision::Locked => Throttled::Locked,
        };
        Err(AttemptError::Throttled(throttled))
    }

    /// Resets the counter, because the password was right.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reset(&self, attempt: &RecordedAttempt) -> Result<(), StoreError> {
        self.attempts.reset(&attempt.key, attempt.id).await
    }

    /// Takes back one attempt that was not a failure.
    ///
    /// An error is only logged: a count that is too high makes later delays longer, which is no
    /// reason to refuse a correct attempt.
    pub async fn take_back(&self, attempt: &RecordedAttempt) {
        let RecordedAttempt { key, site, id } = attempt;
        let give_back_of_site = async {
            if let Some(site) = site {
                self.give_back(site, *id).await;
            }
        };
        tokio::join!(self.give_back(key, *id), give_back_of_site);
    }

    async fn give_back(&self, key: &AttemptKey, id: AttemptId) {
        log_unless_written(Box::pin(self.attempts.give_back(key, id)).await);
    }

    /// Takes back an attempt whose code was right, and up to `errors` failures before it. Errors are
    /// only logged, as in [`take_back`](Self::take_back).
    pub async fn forgive(&self, attempt: &RecordedAttempt, errors: u32) {
        let forgiven = self.attempts.forgive(&attempt.key, attempt.id, errors);
        log_unless_written(Box::pin(forgiven).await);
    }

    /// Resets the account's or device's counter and takes back the network's attempt, after a
    /// successful sign-in. Errors are only logged, as in [`take_back`](Self::take_back).
    pub async fn sign_in_succeeded(&self, account: &RecordedAttempt, network: &RecordedAttempt) {
        let (reset, ()) = tokio::join!(self.reset(account), self.take_back(network));
        log_unless_written(reset);
    }
}

/// Unlocks the account with this name, whether or not it exists. Returns whether there was a
/// counter.
pub(crate) async fn unlock(attempts: &Attempts, name: &str) -> Result<bool, StoreError> {
    attempts.forget(&AttemptKey::account(name)).await
}

/// Forgets the failed attempts at a user's second factor. Returns whether there was a counter.
pub(crate) async fn unlock_second_factor(
    attempts: &Attempts,
    user: UserId,
) -> Result<bool, StoreError> {
    attempts.forget(&AttemptKey::second_factor(user)).await
}

fn log_unless_written(result: Result<(), StoreError>) {
    if let Err(error) = result {
        let error = tracing::field::display(ErrorChain(&error));
        tracing::warn!(error, "an attempt counter was not reset");
    }
}
