//! Signing in with a message: what it leads to is written in the transaction that uses it up.

use ratchet_core::{
    challenge::{Challenge, Judgement, Proof, Purpose},
    email::EmailAddress,
    ids::UserId,
    second_factor::ChallengeHash,
    session::Session,
    time::{UnixMillis, UnixSeconds},
    user::User,
};

use super::Users;
use crate::{
    Sessions, StoreError,
    challenges::{Found, meet},
    transact::transact_and_check,
    write::Write,
};

const PURPOSE: Purpose = Purpose::EmailSignIn;

/// The verdict on a proof that signs in.
#[derive(Debug)]
pub enum EmailProof {
    /// It is right.
    Right(Box<RightProof>),
    /// It was used before.
    Before,
    /// It is wrong, or of a user who may not sign in with it. Contains the user, if there is one.
    Wrong(Option<UserId>),
}

/// A right proof that has not been used yet, with its user and its challenge as they were read.
#[derive(Debug)]
pub struct RightProof {
    user: User,
    email: EmailAddress,
    found: Found,
    met: Challenge,
}

impl RightProof {
    /// Whose it is.
    #[must_use]
    pub const fn user(&self) -> &User {
        &self.user
    }

    /// The address that the message went to.
    #[must_use]
    pub const fn email(&self) -> &EmailAddress {
        &self.email
    }
}

impl Users {
    /// Judges a proof that signs in ([`Challenge::judge_sign_in`]), without a write.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn judge_email_sign_in(
        &self,
        id: UserId,
        proof: &Proof,
        now: UnixMillis,
    ) -> Result<EmailProof, StoreError> {
        let judged = self.judge(PURPOSE, id, proof, now).await?;
        let (Some(account), found) = (judged.account, judged.found) else {
            return Ok(EmailProof::Wrong(None));
        };
        let judgement = found.challenge().map_or(Judgement::Invalid, |challenge| {
            challenge.judge_sign_in(&account.user, &account.email, proof, now)
        });
        Ok(match judgement {
            Judgement::Meets(met) => {
                let (user, email) = (account.user, account.email);
                EmailProof::Right(Box::new(RightProof { user, email, found, met }))
            }
            Judgement::MetBefore => EmailProof::Before,
            Judgement::Invalid => EmailProof::Wrong(Some(id)),
        })
    }

    /// Uses a proof up and starts a session. Returns `false` if the challenge has changed since it was
    /// read.
    ///
    /// # Security
    /// The challenge changes only once from waiting to met, so a proof leads to one session. If the
    /// sessions are ended after the user was read, this one has not seen that cut and ends with them.
    ///
    /// # Errors
    /// [`StoreError`]. Both or nothing may have been written.
    pub async fn use_proof_and_start(
        &self,
        right: &RightProof,
        sessions: &Sessions,
        session: &Session,
    ) -> Result<bool, StoreError> {
        let writes = vec![self.use_proof(right), sessions.creation(session)];
        // The list, because the function that signs in may not read single sessions.
        let is_there = async || {
            let found = sessions.list(session.user_id).await?.sessions;
            Ok(found.iter().any(|found| found.token_hash == session.token_hash))
        };
        transact_and_check(&self.client, writes, is_there).await
    }

    /// Uses a proof up and stores the challenge of the second step, until `expires_at` at least.
    /// Returns `false` if the challenge of the message has changed since it was read.
    ///
    /// # Errors
    /// [`StoreError`]. Both or nothing may have been written.
    pub async fn use_proof_and_keep_challenge(
        &self,
        right: &RightProof,
        hash: ChallengeHash,
        expires_at: UnixSeconds,
    ) -> Result<bool, StoreError> {
        let writes = vec![self.use_proof(right), self.put_challenge(hash, expires_at)];
        let is_kept = async || Ok(self.find_challenge(hash).await?.is_some());
        transact_and_check(&self.client, writes, is_kept).await
    }

    fn use_proof(&self, right: &RightProof) -> Write {
        meet(&self.table, PURPOSE, right.user.id, &right.found, &right.met)
    }
}
