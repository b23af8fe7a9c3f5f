//! What the proofs in messages are worth for an account.

use ratchet_core::{
    challenge::{Challenge, Judgement, Proof, Purpose},
    ids::UserId,
    time::UnixMillis,
};

use super::{Account, Users, item};
use crate::{
    StoreError,
    challenges::{self, Found},
    item::Reader,
};

/// What became of a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmResult {
    /// This call confirmed the address.
    Confirmed,
    /// The same proof confirmed the address before.
    AlreadyDone,
    /// The proof is worth nothing, or there is nothing to confirm.
    Invalid,
}

/// What became of a new password.
#[derive(Debug)]
pub enum ResetResult {
    /// This call set it.
    Reset,
    /// The same proof set a password before, and the account has one since.
    ///
    /// # Security
    /// The request is done only if its password is the account's, which the caller has to verify; and
    /// such requests have to be counted, or they would be a way to guess the password.
    MetBefore(Box<Account>),
    /// The proof is worth nothing.
    Invalid,
}

/// An account and its challenge, as they were read.
pub(super) struct Judged {
    pub(super) account: Option<Account>,
    pub(super) found: Found,
    pub(super) judgement: Judgement,
}

impl Judged {
    /// Whether the challenge's messages went to the account's address.
    pub(super) fn is_for(&self, account: &Account) -> bool {
        let email = self.found.challenge().and_then(|challenge| challenge.email.as_ref());
        email == Some(&account.email)
    }
}

impl Users {
    /// Reads an account and its challenge, and judges a proof.
    ///
    /// # Security
    /// The same two reads for a user who does not exist. Nothing is written unless the proof is
    /// valid, so requests with invalid ones do not contend for anything.
    ///
    /// That the challenge has not changed since is a condition of the write; and whatever gives the
    /// account another address changes its challenges. So the address that was compared here needs
    /// no condition of its own.
    pub(super) async fn judge(
        &self,
        purpose: Purpose,
        id: UserId,
        proof: &Proof,
        now: UnixMillis,
    ) -> Result<Judged, StoreError> {
        // One after the other: an account that is read after its challenge was met shows what that did.
        let found = challenges::find(&self.client, &self.table, purpose, id).await?;
        let account = self.find_account(id, now).await?;
        let judgement = found
            .challenge()
            .map_or(Judgement::Invalid, |challenge: &Challenge| challenge.judge(proof, now));
        Ok(Judged { account, found, judgement })
    }

    /// Whether a proof has met the challenge, although nobody heard the answer.
    pub(super) async fn was_met(
        &self,
        purpose: Purpose,
        id: UserId,
        proof: &Proof,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let found = challenges::find(&self.client, &self.table, purpose, id).await?;
        let challenge = found.challenge();
        Ok(challenge.is_some_and(|it| it.judge(proof, now) == Judgement::MetBefore))
    }
}

impl Users {
    /// Whether a registration that waits has lost its name to a later one, or its round is over.
    pub(super) async fn has_lost(&self, account: &Account) -> Result<bool, StoreError> {
        let Some(round) = account.round else { return Ok(false) };
        let (lost_name, address) = tokio::join!(
            self.has_lost_name(account),
            self.get(item::email_pk(account.email.as_str()))
        );
        let address = item::to_address(address?.as_ref())?;
        Ok(lost_name? || address.is_lost_for(account.user.id, round))
    }

    /// Whether a registration that waits has lost its name to a later one.
    pub(super) async fn has_lost_name(&self, account: &Account) -> Result<bool, StoreError> {
        if account.round.is_none() {
            return Ok(false);
        }
        let name = self.get(item::name_pk(&account.name_key)).await?;
        let owner = name.as_ref().map(|pointer| item::user_id(&Reader(pointer))).transpose()?;
        Ok(owner != Some(account.user.id))
    }
}

/// Every try found the challenge, or the account, changed by others.
pub(super) fn contended() -> StoreError {
    StoreError::Unavailable {
        operation: "TransactWriteItems",
        source: "others changed the same account at the same time".into(),
    }
}
