//! Confirming an address: that of a registration, or a new one that replaces it.

use std::net::IpAddr;

use ratchet_core::{
    challenge::{Proof, Purpose},
    ids::UserId,
    letter::Notice,
    time::UnixMillis,
};
use ratchet_store::ConfirmResult;

use super::{
    Accounts, letter,
    proof::{Evidence, EvidenceError},
};
use crate::{
    Fault, clock,
    events::{AccountChange, record_change},
    fault::from_faults,
    throttle::Throttled,
};

/// Why an address was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmEmailError {
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

from_faults!(ConfirmEmailError);

impl From<EvidenceError> for ConfirmEmailError {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Invalid => Self::InvalidProof,
            EvidenceError::Throttled(throttled) => Self::Throttled(throttled),
            EvidenceError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl Accounts {
    /// Confirms an address.
    ///
    /// # Errors
    /// [`ConfirmEmailError`].
    pub async fn confirm_email(
        &self,
        evidence: &Evidence<'_>,
        source_ip: Option<IpAddr>,
    ) -> Result<(), ConfirmEmailError> {
        let now = clock::now();
        let ring = self.key_ring.current(now).await?;
        // A code is only typed to confirm a registration; a change of address needs the link.
        let purposes = [Purpose::ConfirmEmail, Purpose::ChangeEmail];
        let counted = self.evidence().count(evidence, &ring, &purposes, source_ip, now).await?;
        let (user_id, proof) = (counted.user_id, &counted.proof);
        let (confirmed, change) = if counted.purpose == Purpose::ChangeEmail {
            let changed = self.change_email(user_id, proof, now).await?;
            (changed, AccountChange::EmailChanged)
        } else {
            let confirmed = self.users.confirm_email(user_id, proof, now).await?;
            (confirmed, AccountChange::EmailConfirmed)
        };
        if confirmed == ConfirmResult::Invalid {
            return Err(ConfirmEmailError::InvalidProof);
        }
        self.limiter.take_back(&counted.request).await;
        if confirmed == ConfirmResult::Confirmed {
            record_change(change, user_id, None);
        }
        Ok(())
    }

    async fn change_email(
        &self,
        user_id: UserId,
        proof: &Proof,
        now: UnixMillis,
    ) -> Result<ConfirmResult, Fault> {
        let Some(account) = self.users.find_account(user_id, now).await? else {
            return Ok(ConfirmResult::Invalid);
        };
        let letter = letter(account.told(|email, name| Notice::EmailChanged { email, name }), now)?;
        Ok(self.users.confirm_email_change(&account, proof, now, &letter).await?)
    }
}
