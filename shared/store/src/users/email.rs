//! Confirming addresses and changing them.

use ratchet_core::{
    challenge::{Judgement, Proof, Purpose},
    email::EmailAddress,
    ids::UserId,
    letter::Letter,
    password::PhcHash,
    registration::{Address, Confirmation, Unconfirmed, confirm},
    time::UnixMillis,
    user::UserStatus,
};

use super::{
    Account, Users, item,
    proof::{ConfirmResult, contended},
};
use crate::{
    StoreError,
    challenges::{TRIES, meet, use_up},
    conditions::{EXPIRES_AT, ROUND, has_password, is_not_taken, is_of_round, is_present},
    expression::{Changes, Condition, equals},
    item::string,
    outbox::enclose,
    transact::{transact, transact_and_check},
    write::Write,
};

/// The user may sign in.
fn is_active() -> Condition {
    equals("status", string(item::status_name(UserStatus::Active)))
}

/// This address still waits for confirmation.
fn has_pending(email: &EmailAddress) -> Condition {
    equals("pending_email", string(email.as_str()))
}

/// Marks the address as confirmed: the account is listed and no longer expires.
pub(super) fn confirmed(changes: Changes) -> Changes {
    changes
        .set("email_confirmed", item::truth())
        .set("listing", string(item::LISTING))
        .remove(EXPIRES_AT)
        .remove(ROUND)
}

impl Users {
    /// Confirms the address that a user registered with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn confirm_email(
        &self,
        id: UserId,
        proof: &Proof,
        now: UnixMillis,
    ) -> Result<ConfirmResult, StoreError> {
        let purpose = Purpose::ConfirmEmail;
        for _ in 0..TRIES {
            let judged = self.judge(purpose, id, proof, now).await?;
            let unconfirmed = judged.account.as_ref().map(|account| Unconfirmed {
                email: &account.email,
                confirmed: account.user.email_confirmed,
            });
            let confirmation = confirm(unconfirmed, judged.found.challenge(), proof, now);
            let (account, met) = match (&judged.account, &confirmation) {
                (Some(account), Confirmation::Confirm(met)) => (account, met),
                (_, Confirmation::Done) => return Ok(ConfirmResult::AlreadyDone),
                _ => return Ok(ConfirmResult::Invalid),
            };
            let mut writes = vec![
                meet(&self.table, purpose, id, &judged.found, met),
                self.change(id, confirmed(Changes::new())).when(is_present()),
            ];
            writes.extend(self.keep_name(account));
            writes.extend(self.take_address(account));
            let was_met = async || self.was_met(purpose, id, proof, now).await;
            if transact_and_check(&self.client, writes, was_met).await? {
                return Ok(ConfirmResult::Confirmed);
            }
            if self.has_lost(account).await? {
                return Ok(ConfirmResult::Invalid);
            }
        }
        Err(contended())
    }

    /// Stores the address that replaces the user's once it is confirmed. Returns `false` if the
    /// password has changed since it was checked, or the user may not sign in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ask_email_change(
        &self,
        id: UserId,
        proved: &PhcHash,
        pending: &EmailAddress,
        letters: [&Letter; 2],
    ) -> Result<bool, StoreError> {
        let [first, second] = letters;
        let asked = Changes::new().set("pending_email", string(pending.as_str()));
        // The letters announce this change: earlier requests are used up.
        let before = earlier_than(first.written_at.min(second.written_at));
        let writes = vec![
            self.change(id, asked).when(has_password(proved)).when(is_active()),
            use_up(&self.table, Purpose::ChangeEmail, id, before),
            enclose(&self.table, first),
            enclose(&self.table, second),
        ];
        transact(&self.client, writes).await
    }

    /// Gives the user the address that waited for confirmation, and notifies the former address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn confirm_email_change(
        &self,
        account: &Account,
        proof: &Proof,
        now: UnixMillis,
        letter: &Letter,
    ) -> Result<ConfirmResult, StoreError> {
        let (purpose, id) = (Purpose::ChangeEmail, account.user.id);
        for _ in 0..TRIES {
            let judged = self.judge(purpose, id, proof, now).await?;
            let Some(found) = &judged.account else { return Ok(ConfirmResult::Invalid) };
            let met = match &judged.judgement {
                Judgement::Meets(met) => met,
                Judgement::MetBefore if judged.is_for(found) => {
                    return Ok(ConfirmResult::AlreadyDone);
                }
                Judgement::MetBefore | Judgement::Invalid => return Ok(ConfirmResult::Invalid),
            };
            let pending = found.pending_email.as_ref().filter(|it| met.email.as_ref() == Some(it));
            // The user must still have the address that the letter was written for.
            let pending = pending.filter(|_| found.email == account.email);
            let Some(pending) = pending else { return Ok(ConfirmResult::Invalid) };
            let address = item::email_pk(pending.as_str());
            let changes = Changes::new().set("email", string(pending.as_str()));
            let changes = confirmed(changes).remove("pending_email");
            let user = self.change(id, changes).when(has_pending(pending));
            // A waiting registration has no former address to free, unless it is confirmed
            // meanwhile.
            let former = item::email_pk(found.email.as_str());
            let (user, former) = match found.round {
                Some(round) => (user.when(is_of_round(round)), None),
                None => (user, Some(self.remove_pointer(former, id))),
            };
            let mut writes = vec![
                meet(&self.table, purpose, id, &judged.found, met),
                user,
                Write::put(&self.table, item::pointer(address, id)).when(is_not_taken(now)),
                // Messages sent to the former address become invalid.
                use_up(&self.table, Purpose::ResetPassword, id, now),
                use_up(&self.table, Purpose::ConfirmEmail, id, now),
                use_up(&self.table, Purpose::EmailSignIn, id, now),
                enclose(&self.table, letter),
            ];
            writes.extend(former);
            writes.extend(self.keep_name(found));
            let was_met = async || self.was_met(purpose, id, proof, now).await;
            if transact_and_check(&self.client, writes, was_met).await? {
                return Ok(ConfirmResult::Confirmed);
            }
            // Another user may have taken the address.
            let taken = match self.address(pending, now).await? {
                Address::Taken(owner) => owner != id,
                Address::Free | Address::Awaited(_) => false,
            };
            if taken || self.has_lost_name(found).await? {
                return Ok(ConfirmResult::Invalid);
            }
        }
        Err(contended())
    }
}

fn earlier_than(at: UnixMillis) -> UnixMillis {
    at.minus(std::time::Duration::from_millis(1))
}
