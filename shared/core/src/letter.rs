//! Letters: what somebody is to be told by e-mail.
//!
//! A letter is kept in the same transaction as the change it announces and sent afterwards. It
//! holds no secret: tokens and codes are drawn when it is sent.

use std::time::Duration;

use crate::{
    email::EmailAddress,
    ids::{LetterId, UserId},
    time::UnixMillis,
};

/// Something to be told by e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Which letter it is; made when it was written.
    pub id: LetterId,
    /// When it was written.
    pub written_at: UnixMillis,
    /// What it says, and to whom.
    pub notice: Notice,
}

impl Letter {
    /// A letter that was not sent within this time is given up.
    pub const LIFE: Duration = Duration::from_hours(7 * 24);

    /// A letter written at `now`, from ten random bytes.
    #[must_use]
    pub const fn new(notice: Notice, now: UnixMillis, random: &[u8; 10]) -> Self {
        Self { id: LetterId::generate(now, random), written_at: now, notice }
    }
}

/// What a letter says.
///
/// Where a request came without proof of who asks, the letter names an address and whoever sends
/// it finds out whose that is: the request must not take longer for one that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A user registered: the address is to be confirmed.
    Registered {
        /// Who.
        user_id: UserId,
    },
    /// Somebody tried to register with an address that a user has.
    AddressTaken {
        /// The address.
        email: EmailAddress,
    },
    /// Somebody tried to register under a name that another user has.
    NameTaken {
        /// The address they gave.
        email: EmailAddress,
        /// The name they gave.
        name: String,
    },
    /// Somebody asked for another message to confirm an address.
    ConfirmationAsked {
        /// The address they gave.
        email: EmailAddress,
    },
    /// Somebody asked for a new password.
    ResetAsked {
        /// The address they gave.
        email: EmailAddress,
    },
    /// A user's password was changed.
    PasswordChanged {
        /// Whose.
        user_id: UserId,
    },
    /// A user wants another address: the new one is to be confirmed.
    EmailChangeAsked {
        /// Who.
        user_id: UserId,
    },
    /// The same, for the address that the user has.
    EmailChangeTold {
        /// The address that may be replaced.
        email: EmailAddress,
        /// The user's name.
        name: String,
    },
    /// A user has another address: for the former one.
    EmailChanged {
        /// The address that was replaced.
        email: EmailAddress,
        /// The user's name.
        name: String,
    },
    /// A user was deleted.
    Deleted {
        /// The address of the user.
        email: EmailAddress,
        /// The user's name.
        name: String,
    },
}

impl Notice {
    /// The name in items, logs and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "registered",
            Self::AddressTaken { .. } => "address_taken",
            Self::NameTaken { .. } => "name_taken",
            Self::ConfirmationAsked { .. } => "confirmation_asked",
            Self::ResetAsked { .. } => "reset_asked",
            Self::PasswordChanged { .. } => "password_changed",
            Self::EmailChangeAsked { .. } => "email_change_asked",
            Self::EmailChangeTold { .. } => "email_change_told",
            Self::EmailChanged { .. } => "email_changed",
            Self::Deleted { .. } => "deleted",
        }
    }
}
