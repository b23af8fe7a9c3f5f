//! From when to when a key counts.

use crate::time::UnixSeconds;

/// A key's life: it verifies from the moment it is in the ring until `expires_at`, and signs from
/// `not_before` until a younger key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLife {
    /// `iat`: when it was made, if it says.
    pub issued_at: Option<UnixSeconds>,
    /// `nbf`: when it begins to sign.
    pub not_before: UnixSeconds,
    /// `exp`: when it stops to verify, if it does.
    pub expires_at: Option<UnixSeconds>,
}

impl KeyLife {
    /// A life from `not_before`, without end.
    #[must_use]
    pub const fn from(not_before: UnixSeconds) -> Self {
        Self { issued_at: None, not_before, expires_at: None }
    }

    /// Whether nothing that it made counts any more.
    #[must_use]
    pub fn expired(self, now: UnixSeconds) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether it may sign, if no younger key does.
    #[must_use]
    pub fn may_sign(self, now: UnixSeconds) -> bool {
        self.not_before <= now && !self.expired(now)
    }
}
