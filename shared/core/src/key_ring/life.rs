//! When a key signs and verifies.

use crate::time::UnixSeconds;

/// A key's life. It verifies from when it is in the ring until `expires_at`, and signs from
/// `not_before` until a younger key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLife {
    /// `iat`: when it was made.
    pub issued_at: Option<UnixSeconds>,
    /// `nbf`: when it begins to sign. Zero for the oldest key.
    pub not_before: UnixSeconds,
    /// `exp`: when it stops verifying.
    pub expires_at: Option<UnixSeconds>,
}

impl KeyLife {
    /// A life from `not_before`, without end.
    #[must_use]
    pub const fn from(not_before: UnixSeconds) -> Self {
        Self { issued_at: None, not_before, expires_at: None }
    }

    /// Whether it has stopped verifying.
    #[must_use]
    pub fn expired(self, now: UnixSeconds) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether it signs, unless a younger key does.
    #[must_use]
    pub fn may_sign(self, now: UnixSeconds) -> bool {
        self.not_before <= now && !self.expired(now)
    }
}
