//! Judging proofs from messages for an account.

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

/// The result of a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmResult {
    /// This call confirmed the address.
    Confirmed,
    /// The same proof confirmed the address before.
    AlreadyDone,
    /// The proof is invalid, or there is nothing to confirm.
    Invalid,
}

/// The result of setting a new password.
#[derive(Debug)]
pub enum ResetResult {
    /// This call set it.
    Reset,
    /// The same proof set a password before. Contains the current account.
    ///
    /// # Security
    /// The caller must verify that the request has the account's password, and must count such
    /// requests: otherwise they could be used to guess the password.
    MetBefore(Box<Account>),
    /// The proof is invalid.
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
    /// Makes the same two reads for a user who does not exist. Requests with an invalid proof write
    /// nothing, so they do not contend for anything.
    ///
    /// The later write requires that the challenge has not changed. Every change of the account's
    /// address changes its challenges, so the address compared here needs no condition of its own.
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

    /// Whether a proof has met the challenge, for when the answer to the write was lost.
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
    /// Whether a waiting registration has lost its name to a later one, or its round is over.
    pub(super) async fn has_lost(&self, account: &Account) -> Result<bool, StoreError> {
        let Some(round) = account.round else { return Ok(false) };
        let (lost_name, address) = tokio::join!(
            self.has_lost_name(account),
            self.get(item::email_pk(account.email.as_str()))
        );
        let address = item::to_address(address?.as_ref())?;
        Ok(lost_name? || address.is_lost_for(account.user.id, round))
    }

    /// Whether a waiting registration has lost its name to a later one.
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
