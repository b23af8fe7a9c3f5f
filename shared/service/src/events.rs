//! Security events: one log line and one CloudWatch metric each.
//!
//! The line contains `"event"`, the ids of the user and the session and, depending on the event,
//! `kind`, `reason`, `amr`, `network` or `user_agent`. It never contains a token, a name or a password.
//! The metric is named after the event.

use ratchet_core::{
    amr::Amr,
    dpop::ProofError,
    ids::{SessionId, UserId},
    rotation::Reuse,
    session::{Origin, RevocationReason},
};

use crate::metrics;

/// A security event that operators may want to monitor.
#[derive(Debug, Clone, Copy)]
pub enum SecurityEvent<'a> {
    /// A user signed in.
    SessionCreated,
    /// A sign-in was refused: wrong password or code, or unknown, disabled or unconfirmed user.
    LoginFailed {
        /// Which of these. Only operators may see it.
        reason: &'static str,
    },
    /// An attempt was refused without checking it, because too many had failed before.
    AttemptRefused {
        /// Which counter refused it: the account's, a device's, a session's, a second factor's or a
        /// network's.
        kind: &'static str,
    },
    /// A recently superseded token led to the live one.
    RefreshedInRetryWindow,
    /// The owner of a bound session's key presented a superseded token, which led to the live one.
    RefreshedByOwner,
    /// A token came back after the retry window and led to the live one.
    RecoveredLate,
    /// An old token was presented.
    ReuseDetected {
        /// How it was recognised.
        kind: Reuse,
    },
    /// A token of a bound session was presented without a valid proof by its key. Nothing changed.
    KeyNotProved {
        /// What was wrong.
        reason: ProofError,
    },
    /// The counter of a passkey went back: there may be a copy of its key.
    PasskeyCloned,
    /// A user authenticated again within a session.
    SteppedUp {
        /// How.
        amr: Amr,
    },
    /// A session was ended.
    SessionRevoked {
        /// Why.
        reason: RevocationReason,
    },
    /// A session made room for a new one.
    SessionEvicted,
    /// A change of an account that affects who may sign in.
    AccountChanged {
        /// What changed.
        change: AccountChange,
        /// The administrator who made the change; `None` if the user or an operator did.
        by: Option<UserId>,
    },
    /// A recently superseded token came from another network or user agent than the last rotation.
    /// A thief and the owner may be sharing the session.
    SuspiciousConvergence {
        /// Where the last rotation came from.
        last: &'a Origin,
        /// Where this request came from.
        now: &'a Origin,
    },
}

/// A change of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountChange {
    /// The account was registered.
    Registered,
    /// The address was confirmed.
    EmailConfirmed,
    /// The address was replaced.
    EmailChanged,
    /// The password was changed by somebody who knew it.
    PasswordChanged,
    /// The password was reset by somebody who reads the user's mail.
    PasswordReset,
    /// The user was deleted.
    Deleted,
    /// The user was disabled.
    Disabled,
    /// The user was enabled.
    Enabled,
    /// The roles were replaced.
    RolesSet,
    /// The custom claims were replaced.
    ClaimsSet,
    /// The counter of failed sign-ins was deleted.
    Unlocked,
    /// A second factor was switched on.
    SecondFactorEnabled,
    /// The second factor was switched off.
    SecondFactorDisabled,
    /// An operator removed the second factor.
    SecondFactorReset,
    /// A recovery code was used to sign in.
    RecoveryCodeUsed,
    /// The recovery codes were replaced.
    RecoveryCodesReplaced,
    /// A passkey was added.
    PasskeyAdded,
    /// A passkey was removed.
    PasskeyRemoved,
    /// An operator removed all passkeys.
    PasskeysReset,
}

impl AccountChange {
    /// The name in log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::EmailConfirmed => "email_confirmed",
            Self::EmailChanged => "email_changed",
            Self::PasswordChanged => "password_changed",
            Self::PasswordReset => "password_reset",
            Self::Deleted => "deleted",
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::RolesSet => "roles_set",
            Self::ClaimsSet => "claims_set",
            Self::Unlocked => "unlocked",
            Self::SecondFactorEnabled => "second_factor_enabled",
            Self::SecondFactorDisabled => "second_factor_disabled",
            Self::SecondFactorReset => "second_factor_reset",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::RecoveryCodesReplaced => "recovery_codes_replaced",
            Self::PasskeyAdded => "passkey_added",
            Self::PasskeyRemoved => "passkey_removed",
            Self::PasskeysReset => "passkeys_reset",
        }
    }
}

impl SecurityEvent<'_> {
    /// The name of the event, in log lines and as a metric.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SessionCreated => "session_created",
            Self::LoginFailed { .. } => "login_failed",
            Self::AttemptRefused { .. } => "attempt_refused",
            Self::RefreshedInRetryWindow => "refreshed_in_retry_window",
            Self::RefreshedByOwner => "refreshed_by_owner",
            Self::RecoveredLate => "recovered_late",
            Self::ReuseDetected { .. } => "reuse_detected",
            Self::KeyNotProved { .. } => "key_not_proved",
            Self::PasskeyCloned => "passkey_cloned",
            Self::SteppedUp { .. } => "stepped_up",
            Self::SessionRevoked { .. } => "session_revoked",
            Self::SessionEvicted => "session_evicted",
            Self::AccountChanged { .. } => "account_changed",
            Self::SuspiciousConvergence { .. } => "suspicious_convergence",
        }
    }
}

/// Records an event. The ids are `None` if the user or the session is not known.
pub fn record(event: SecurityEvent<'_>, user_id: Option<UserId>, session_id: Option<SessionId>) {
    let name = event.name();
    let user_id = user_id.map(tracing::field::display);
    let session_id = session_id.map(tracing::field::display);
    match event {
        SecurityEvent::SessionCreated
        | SecurityEvent::RefreshedInRetryWindow
        | SecurityEvent::RefreshedByOwner
        | SecurityEvent::RecoveredLate
        | SecurityEvent::SessionEvicted => {
            tracing::info!(target: "security", event = name, user_id, session_id);
        }
        SecurityEvent::LoginFailed { reason } => {
            tracing::info!(target: "security", event = name, user_id, reason);
        }
        SecurityEvent::PasskeyCloned => {
            tracing::warn!(target: "security", event = name, user_id, session_id);
        }
        SecurityEvent::AttemptRefused { kind } => {
            tracing::warn!(target: "security", event = name, kind);
        }
        SecurityEvent::SteppedUp { amr } => {
            let amr = amr.to_string();
            tracing::info!(target: "security", event = name, user_id, session_id, amr);
        }
        SecurityEvent::SessionRevoked { reason } => {
            let reason = reason.as_str();
            tracing::info!(target: "security", event = name, user_id, session_id, reason);
        }
        SecurityEvent::AccountChanged { change, by } => {
            let (change, by) = (change.as_str(), by.map(tracing::field::display));
            tracing::info!(target: "security", event = name, user_id, change, by);
        }
        SecurityEvent::ReuseDetected { kind } => {
            let kind = kind.as_str();
            tracing::warn!(target: "security", event = name, user_id, session_id, kind);
        }
        SecurityEvent::KeyNotProved { reason } => {
            let reason = reason.as_str();
            tracing::warn!(target: "security", event = name, user_id, session_id, reason);
        }
        SecurityEvent::SuspiciousConvergence { last, now } => {
            tracing::warn!(
                target: "security", event = name, user_id, session_id,
                last_network = last.network, network = now.network,
                last_user_agent = last.user_agent, user_agent = now.user_agent,
            );
        }
    }
    metrics::count(name);
}

/// Records a change of an account by its user or an operator.
pub(crate) fn record_change(change: AccountChange, user_id: UserId, session_id: Option<SessionId>) {
    record(SecurityEvent::AccountChanged { change, by: None }, Some(user_id), session_id);
}

/// Records that possession of a session's key was not proved, and why. A stale nonce is not
/// recorded: it is normal, because clients get the next nonce with the refusal.
pub fn record_unproven(reason: ProofError, user_id: UserId, session_id: SessionId) {
    if reason != ProofError::StaleNonce {
        record(SecurityEvent::KeyNotProved { reason }, Some(user_id), Some(session_id));
    }
}
