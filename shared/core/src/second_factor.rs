//! Second factors: codes of an authenticator app (TOTP, RFC 6238), and recovery codes.
//!
//! * [`TotpSecret`] is shared with the app. At rest it is [sealed](SealedTotpSecret) under a key of
//!   the key ring.
//! * [`Factor`] is a user's second factor. Each of its methods that returns another state is one
//!   conditional write of the store, so each time step and each recovery code counts once.
//! * [`SignInChallenge`] carries a sign-in from its password to its code.

mod challenge;
mod factor;
mod qr;
mod recovery;
mod totp;

pub use self::{
    challenge::{
        ChallengeHash, EncodedChallenge, FirstStep, InvalidChallenge, LIFE, PREFIX,
        SignInChallenge, Stage,
    },
    factor::{Enabled, Factor, PENDING_LIFE, Pending, Presented, Spend, Spent},
    qr::qr_code,
    recovery::{RECOVERY_CODES, RecoveryCode, RecoveryHash},
    totp::{InvalidCode, SECRET_LEN, SealedTotpSecret, TotpCode, TotpSecret, UnsealError},
};

/// What a deployment asks of second factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactorPolicy {
    /// Users may switch one on.
    Optional,
    /// Users without one set one up when they sign in.
    Required,
    /// Nobody is asked for one, and nobody can switch one on.
    Disabled,
}

impl SecondFactorPolicy {
    /// Whether a user who has a second factor or has none has to present one.
    #[must_use]
    pub const fn asks(self, has_one: bool) -> bool {
        match self {
            Self::Optional | Self::Required => has_one,
            Self::Disabled => false,
        }
    }
}

/// How many failed attempts a right code forgives, besides itself: an owner's typing errors.
///
/// # Security
/// Somebody who knows the password gains at most this many guesses each time the owner signs in.
pub const TYPING_ERRORS: u32 = 3;
