//! Changing passwords. A change that ends sessions does so in the same write.

use ratchet_core::{
    attempts::AttemptKey,
    challenge::{Judgement, Proof, Purpose},
    ids::{SessionId, UserId},
    letter::Letter,
    password::PhcHash,
    time::UnixMillis,
};

use super::{
    Users,
    cut::{end_all_sessions, end_other_sessions},
    email::confirmed,
    factor::switched_off,
    passkeys::without_passkeys,
    proof::{ResetResult, contended},
};
use crate::{
    StoreError,
    challenges::{TRIES, meet, use_up},
    conditions::{has_password, is_present},
    expression::Changes,
    item::string,
    outbox::enclose,
    transact::transact_and_check,
    write::{Write, pk},
};

impl Users {
    /// Replaces a password hash by a more expensive one of the same password, unless the password has
    /// changed meanwhile. Returns whether it was replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rehash(
        &self,
        id: UserId,
        old: &PhcHash,
        new: &PhcHash,
    ) -> Result<bool, StoreError> {
        let changes = Changes::new().set("password_hash", string(new.expose()));
        self.change(id, changes).when(has_password(old)).send(&self.client).await
    }

    /// Sets a new password for somebody who can read the user's mail, ends all sessions and unlocks
    /// the account. This also confirms the address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reset_password(
        &self,
        id: UserId,
        proof: &Proof,
        new: &PhcHash,
        now: UnixMillis,
        letter: &Letter,
    ) -> Result<ResetResult, StoreError> {
        let purpose = Purpose::ResetPassword;
        for _ in 0..TRIES {
            let judged = self.judge(purpose, id, proof, now).await?;
            let account = judged.account.as_ref().filter(|account| judged.is_for(account));
            let (account, met) = match (account, &judged.judgement) {
                (Some(account), Judgement::Meets(met)) => (account, met),
                (Some(account), Judgement::MetBefore) => {
                    return Ok(ResetResult::MetBefore(Box::new(account.clone())));
                }
                _ => return Ok(ResetResult::Invalid),
            };
            let changes = Changes::new().set("password_hash", string(new.expose()));
            let mut changes = end_all_sessions(confirmed(changes), now).remove("pending_email");
            // Before the address is confirmed, a stranger may have set up a second factor or a
            // passkey.
            let unproved = !account.user.email_confirmed;
            if unproved {
                changes = without_passkeys(switched_off(changes));
            }
            let mut writes = vec![
                meet(&self.table, purpose, id, &judged.found, met),
                self.change(id, changes).when(is_present()),
                use_up(&self.table, Purpose::ConfirmEmail, id, now),
                use_up(&self.table, Purpose::ChangeEmail, id, now),
                enclose(&self.table, letter),
            ];
            writes.extend(self.keep_name(account));
            writes.extend(self.take_address(account));
            if unproved {
                writes.extend(self.remove_factor(id));
                writes.push(self.delete_passkeys(id));
            }
            // Somebody who can read the user's mail need not guess, so the locks can go.
            let counters = [account.user.name.as_str(), account.email.as_str()];
            writes
                .extend(counters.map(|name| {
                    Write::delete(&self.table, pk(AttemptKey::account(name).as_str()))
                }));
            let has_new = async || self.has_hash(id, new, now).await;
            if transact_and_check(&self.client, writes, has_new).await? {
                return Ok(ResetResult::Reset);
            }
            if self.has_lost(account).await? {
                return Ok(ResetResult::Invalid);
            }
        }
        Err(contended())
    }

    /// Replaces a password by another one and ends all sessions except the spared one. Returns
    /// `false` if the password has changed meanwhile.
    ///
    /// # Security
    /// Removes the address that waits for confirmation, because somebody who knew the old password
    /// may have requested it. [`reset_password`](Self::reset_password) does the same.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_password(
        &self,
        id: UserId,
        old: &PhcHash,
        new: &PhcHash,
        spared: Option<SessionId>,
        letter: &Letter,
    ) -> Result<bool, StoreError> {
        let now = letter.written_at;
        let changes = Changes::new().set("password_hash", string(new.expose()));
        let changes = match spared {
            None => end_all_sessions(changes, now),
            Some(spared) => end_other_sessions(changes, now, spared),
        };
        let writes = vec![
            self.change(id, changes.remove("pending_email")).when(has_password(old)),
            use_up(&self.table, Purpose::ResetPassword, id, now),
            use_up(&self.table, Purpose::ChangeEmail, id, now),
            enclose(&self.table, letter),
        ];
        let has_new = async || self.has_hash(id, new, now).await;
        transact_and_check(&self.client, writes, has_new).await
    }

    /// Whether the user has exactly this hash; hashes of the same password differ by their salt.
    async fn has_hash(
        &self,
        id: UserId,
        hash: &PhcHash,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let account = self.find_account(id, now).await?;
        Ok(account.is_some_and(|account| account.password_hash == *hash))
    }
}
