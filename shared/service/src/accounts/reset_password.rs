//! Password reset for somebody who can read the user's mail.

use std::net::IpAddr;

use ratchet_core::{
    attempts::AttemptId,
    challenge::{Proof, Purpose},
    email::EmailAddress,
    entropy::random,
    letter::Notice,
    password::{Password, PasswordRule, Verdict, policy::About},
    session::RevocationReason,
};
use ratchet_store::{Account, ResetResult};

use super::{
    Accounts, about, letter,
    proof::{Evidence, EvidenceError},
};
use crate::{
    Fault, clock,
    events::{AccountChange, record_change},
    fault::from_faults,
    throttle::Throttled,
};

/// Why a password was not reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetPasswordError {
    /// The password misses these rules of the policy. The proof is not used up.
    #[error("the password misses {} rules", .0.len())]
    PasswordRefused(Vec<PasswordRule>),
    /// The token or the code is wrong, used or expired.
    #[error("the proof is wrong, used or expired")]
    InvalidProof,
    /// There were too many requests before.
    #[error(transparent)]
    Throttled(Throttled),
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(ResetPasswordError);

impl From<EvidenceError> for ResetPasswordError {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Invalid => Self::InvalidProof,
            EvidenceError::Throttled(throttled) => Self::Throttled(throttled),
            EvidenceError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl Accounts {
    /// Sets a new password, ends all sessions and unlocks the account.
    ///
    /// # Errors
    /// [`ResetPasswordError`].
    pub async fn reset_password(
        &self,
        evidence: &Evidence<'_>,
        new: &str,
        source_ip: Option<IpAddr>,
    ) -> Result<(), ResetPasswordError> {
        let now = clock::now();
        let begun = now;
        let email = evidence.email().map(EmailAddress::as_str).unwrap_or_default();
        let password = self
            .check_new_password(new, About { name: "", email })
            .map_err(ResetPasswordError::PasswordRefused)?;
        let ring = self.key_ring.current(now).await?;
        let purposes = [Purpose::ResetPassword];
        let counted = self.evidence().count(evidence, &ring, &purposes, source_ip, now).await?;
        let (user_id, proof) = (counted.user_id, &counted.proof);
        // The bearer of a genuine token may learn whose it is. A code proves nothing yet: refusing
        // a password because of the name would reveal to strangers which name belongs to an
        // address.
        if let (Proof::Token(_), Some(account)) =
            (proof, self.users.find_account(user_id, now).await?)
        {
            self.check_new_password(new, about(&account))
                .map_err(ResetPasswordError::PasswordRefused)?;
        }
        let password_hash = self.hashing.hash(password).await?;
        let now = clock::now();
        let letter = letter(Notice::PasswordChanged { user_id }, now)?;
        let reset = self.users.reset_password(user_id, proof, &password_hash, now, &letter).await?;
        match reset {
            ResetResult::Reset => {
                let change = AccountChange::PasswordReset;
                record_change(change, user_id, None);
            }
            // A repetition of the same request.
            ResetResult::MetBefore(account) if self.has_password(&account, new).await? => {}
            ResetResult::MetBefore(_) | ResetResult::Invalid => {
                return Err(ResetPasswordError::InvalidProof);
            }
        }
        self.limiter.take_back(&counted.request).await;
        // The change is done even if this fails; the mailer then revokes the sessions.
        let reason = RevocationReason::PasswordChanged;
        drop(self.end_sessions.finish(user_id, reason, begun).await);
        Ok(())
    }

    /// Whether this is the account's password.
    ///
    /// # Security
    /// Counted like codes: a used message must not help to guess the password.
    async fn has_password(&self, account: &Account, typed: &str) -> Result<bool, Fault> {
        let Ok(password) = Password::typed(typed) else { return Ok(false) };
        let attempt = AttemptId::new(random()?);
        let purpose = Purpose::ResetPassword;
        let now = clock::now();
        if !self.challenges.count_tries(purpose, &account.email, &[attempt], now).await? {
            return Ok(false);
        }
        let verdict = self.hashing.verify(password, account.password_hash.clone()).await?;
        Ok(verdict != Verdict::Wrong)
    }
}
