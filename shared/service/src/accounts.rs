//! Accounts: registration, confirmation, passwords, addresses, deletion, administration.
//!
//! Nothing here sends mail. A use case puts a letter into the outbox, in the same transaction as
//! the change that it announces.

mod administration;
mod confirm_email;
mod own;
pub(crate) mod proof;
mod register;
mod reset_password;
mod second_factor;
mod step_up;

use std::{net::IpAddr, sync::Arc};

use ratchet_core::{
    email::EmailAddress,
    entropy::{RandomUnavailable, random},
    letter::{Letter, Notice},
    password::{HashError, Password, PasswordPolicy, PasswordRule, policy::About},
    time::UnixMillis,
    user::NameKey,
};
pub use ratchet_store::users::AccountUpdate;
use ratchet_store::{Account, Challenges, KeyRingCache, Outbox, Sessions, Stores, Users};

use self::proof::EvidenceCounter;
pub use self::{
    administration::{Administration, AdministrationError, Deleted},
    confirm_email::ConfirmEmailError,
    own::{OwnAccount, OwnAccountError},
    proof::{Evidence, MalformedEvidence},
    register::{InvalidRegistrant, RegisterError, Registrant},
    reset_password::ResetPasswordError,
    second_factor::OwnFactorError,
    step_up::StepUp,
};
use crate::{
    clock,
    confirm::Confirm,
    end_sessions::EndSessions,
    hashing::Hashing,
    second_factor::SecondFactors,
    throttle::{AttemptError, AttemptLimiter, AttemptScope},
    tokens::TokenIssuer,
};

/// The use cases around accounts.
#[derive(Debug, Clone)]
pub struct Accounts {
    key_ring: Arc<KeyRingCache>,
    users: Users,
    sessions: Sessions,
    challenges: Challenges,
    outbox: Outbox,
    limiter: AttemptLimiter,
    hashing: Hashing,
    confirm: Confirm,
    issuer: TokenIssuer,
    second_factors: SecondFactors,
    end_sessions: EndSessions,
    administration: Administration,
    policy: Arc<AccountPolicy>,
}

#[derive(Debug)]
struct AccountPolicy {
    password: PasswordPolicy,
    require_confirmed_email: bool,
    self_sign_up: bool,
}

impl Accounts {
    /// The accounts in these stores. Allocates the memory for a password hash.
    ///
    /// # Errors
    /// [`HashError`] if there is not enough memory.
    pub fn new(stores: &Stores<'_>) -> Result<Self, HashError> {
        let config = stores.config();
        let users = stores.users();
        let limiter = AttemptLimiter::new(stores.attempts(), config.attempts);
        let sessions = stores.sessions();
        let end_sessions = EndSessions::new(users.clone(), sessions.clone());
        let hashing = Hashing::new(config.hash_cost)?;
        Ok(Self {
            key_ring: stores.key_ring(),
            challenges: stores.challenges(),
            outbox: stores.outbox(),
            confirm: Confirm::new(limiter.clone(), hashing.clone()),
            hashing,
            issuer: TokenIssuer::new(config.access_token.clone()),
            second_factors: SecondFactors::new(stores),
            administration: Administration::new(
                users.clone(),
                stores.attempts(),
                end_sessions.clone(),
            ),
            policy: Arc::new(AccountPolicy {
                password: config.password_policy.clone(),
                require_confirmed_email: config.require_confirmed_email,
                self_sign_up: config.self_sign_up,
            }),
            users,
            sessions,
            limiter,
            end_sessions,
        })
    }

    /// Whether anybody may register. If not, only administrators register users.
    #[must_use]
    pub fn allows_self_sign_up(&self) -> bool {
        self.policy.self_sign_up
    }

    /// What administrators do.
    #[must_use]
    pub const fn administration(&self) -> &Administration {
        &self.administration
    }

    /// Requests another message that confirms an address: for each registration that its item
    /// lists, or for the one with this name.
    ///
    /// # Security
    /// Writes the same letter whether or not the address is known. The mailer finds out whether
    /// there is anything to send.
    ///
    /// # Errors
    /// [`AttemptError`].
    pub async fn request_confirmation(
        &self,
        email: EmailAddress,
        name: Option<NameKey>,
        source_ip: Option<IpAddr>,
    ) -> Result<(), AttemptError> {
        self.request_message(Notice::ConfirmationAsked { email, name }, source_ip).await
    }

    /// Requests a message with which a password can be reset, in the same way.
    ///
    /// # Errors
    /// [`AttemptError`].
    pub async fn request_password_reset(
        &self,
        email: EmailAddress,
        source_ip: Option<IpAddr>,
    ) -> Result<(), AttemptError> {
        self.request_message(Notice::ResetAsked { email }, source_ip).await
    }

    async fn request_message(
        &self,
        notice: Notice,
        source_ip: Option<IpAddr>,
    ) -> Result<(), AttemptError> {
        request_message(&self.limiter, &self.outbox, notice, source_ip).await
    }

    /// Where evidence from messages is counted.
    const fn evidence(&self) -> EvidenceCounter<'_> {
        let Self { users, challenges, limiter, .. } = self;
        EvidenceCounter { users, challenges, limiter }
    }

    /// Checks a new password against the policy.
    fn check_new_password(
        &self,
        typed: &str,
        about: About<'_>,
    ) -> Result<Password, Vec<PasswordRule>> {
        self.policy.password.check(typed, about)
    }
}

/// Counts the request of a message for its network and writes the letter.
///
/// # Security
/// Only the mailer finds out whether there is anything to send, so this does the same for any address.
pub(crate) async fn request_message(
    limiter: &AttemptLimiter,
    outbox: &Outbox,
    notice: Notice,
    source_ip: Option<IpAddr>,
) -> Result<(), AttemptError> {
    let now = clock::now();
    limiter.record_attempt(AttemptScope::AccountRequests(source_ip), now).await?;
    outbox.post(&letter(notice, now)?).await?;
    Ok(())
}

pub(crate) fn letter(notice: Notice, now: UnixMillis) -> Result<Letter, RandomUnavailable> {
    Ok(Letter::new(notice, now, &random()?))
}

/// Words that a password must not consist of.
fn about(account: &Account) -> About<'_> {
    About { name: &account.user.name, email: account.email.as_str() }
}
