//! Security events: one log line and one CloudWatch metric each.
//!
//! The line has `"event"`, the ids of whom it is about and, depending on the event, `kind`,
//! `reason`, `network` or `user_agent`. No token, name or password is ever in it. The metric has
//! the event's name, in the namespace `Ratchet`, by way of the embedded metric format.

use ratchet_core::{
    ids::{SessionId, UserId},
    rotation::Reuse,
    session::{Origin, RevocationReason},
};

use crate::measure;

/// Something that whoever watches over users' sessions wants to know.
#[derive(Debug, Clone, Copy)]
pub enum SecurityEvent<'a> {
    /// A password was right and a session was made.
    SessionCreated,
    /// A password was wrong, or the user unknown, disabled or unconfirmed.
    LoginFailed {
        /// Which of them: for the operator only.
        reason: &'static str,
    },
    /// A password was not even tried, because too many were wrong before.
    AttemptRefused {
        /// Whose they were: the account's, a device's, or the network's.
        kind: &'static str,
    },
    /// A recent token led to the live one.
    RefreshedInRetryWindow,
    /// An old token was presented.
    ReuseDetected {
        /// How it gave itself away.
        kind: Reuse,
    },
    /// A session was ended.
    SessionRevoked {
        /// By what.
        reason: RevocationReason,
    },
    /// A session made room for another one.
    SessionEvicted,
    /// Something about a user changed that decides who may sign in.
    AccountChanged {
        /// What.
        change: AccountChange,
        /// The administrator who changed it; `None` if the user did.
        by: Option<UserId>,
    },
    /// A recent token led to the live one from another network or user agent than the one that
    /// rotated last: perhaps a thief and the owner share a chain.
    SuspiciousConvergence {
        /// Where the last rotation came from.
        last: &'a Origin,
        /// Where this request came from.
        now: &'a Origin,
    },
}

/// What changed about a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountChange {
    /// Somebody registered.
    Registered,
    /// The address was confirmed.
    EmailConfirmed,
    /// There is another address.
    EmailChanged,
    /// There is another password, by whoever knew the one before.
    PasswordChanged,
    /// There is another password, by whoever reads the user's mail.
    PasswordReset,
    /// The user was deleted.
    Deleted,
    /// The user may not sign in.
    Disabled,
    /// The user may sign in again.
    Enabled,
    /// The user has other roles.
    RolesSet,
    /// Failed sign-ins were forgotten.
    Unlocked,
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
            Self::Unlocked => "unlocked",
        }
    }
}

impl SecurityEvent<'_> {
    /// The event's name, in log lines and as a metric.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SessionCreated => "session_created",
            Self::LoginFailed { .. } => "login_failed",
            Self::AttemptRefused { .. } => "attempt_refused",
            Self::RefreshedInRetryWindow => "refreshed_in_retry_window",
            Self::ReuseDetected { .. } => "reuse_detected",
            Self::SessionRevoked { .. } => "session_revoked",
            Self::SessionEvicted => "session_evicted",
            Self::AccountChanged { .. } => "account_changed",
            Self::SuspiciousConvergence { .. } => "suspicious_convergence",
        }
    }
}

/// Records an event about a user, or about nobody known.
pub fn record(event: SecurityEvent<'_>, user_id: Option<UserId>, session_id: Option<SessionId>) {
    let name = event.name();
    let user_id = user_id.map(tracing::field::display);
    let session_id = session_id.map(tracing::field::display);
    match event {
        SecurityEvent::SessionCreated
        | SecurityEvent::RefreshedInRetryWindow
        | SecurityEvent::SessionEvicted => {
            tracing::info!(target: "security", event = name, user_id, session_id);
        }
        SecurityEvent::LoginFailed { reason } => {
            tracing::info!(target: "security", event = name, user_id, reason);
        }
        SecurityEvent::AttemptRefused { kind } => {
            tracing::warn!(target: "security", event = name, kind);
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
        SecurityEvent::SuspiciousConvergence { last, now } => {
            tracing::warn!(
                target: "security", event = name, user_id, session_id,
                last_network = last.network, network = now.network,
                last_user_agent = last.user_agent, user_agent = now.user_agent,
            );
        }
    }
    measure::count(name);
}
