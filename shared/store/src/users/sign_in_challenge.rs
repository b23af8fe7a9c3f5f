//! Challenges of sign-ins whose first step was right, and ceremonies that add a passkey: an item
//! `challenge#sign_in#<hash>` for each.
//!
//! They make sure that the keys of the ring alone are not enough for one that counts.

use ratchet_core::{encoding::to_base64url, second_factor::ChallengeHash, time::UnixSeconds};

use super::{Users, item};
use crate::{
    StoreError,
    conditions::EXPIRES_AT,
    expression::{Changes, absent, exists},
    item::{VERSION, VERSION_NAME, number},
    write::{Write, pk},
};

const SPENT: &str = "spent";

/// A challenge or ceremony that was stored when its user proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptChallenge {
    /// It may lead to a session, or add a passkey.
    Waiting,
    /// It has done so.
    Spent,
}

fn challenge_pk(hash: &ChallengeHash) -> String {
    format!("challenge#sign_in#{}", to_base64url(hash.as_bytes()))
}

impl Users {
    /// Stores the challenge of a sign-in whose password was right, or a ceremony, until `expires_at` at
    /// least.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_challenge(
        &self,
        hash: ChallengeHash,
        expires_at: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.put_challenge(hash, expires_at).send(&self.client).await.map(drop)
    }

    /// The same, as part of a transaction.
    pub(super) fn put_challenge(&self, hash: ChallengeHash, expires_at: UnixSeconds) -> Write {
        let mut item = pk(challenge_pk(&hash));
        item.insert(VERSION_NAME.to_owned(), number(VERSION));
        item.insert(EXPIRES_AT.to_owned(), number(expires_at.get()));
        Write::put(&self.table, item)
    }

    /// A stored challenge, read consistently.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_challenge(
        &self,
        hash: ChallengeHash,
    ) -> Result<Option<KeptChallenge>, StoreError> {
        let found = self.get(challenge_pk(&hash)).await?;
        Ok(found.map(|item| {
            if item.contains_key(SPENT) { KeptChallenge::Spent } else { KeptChallenge::Waiting }
        }))
    }

    /// Marks a challenge as spent, if it is stored and was not spent before.
    pub(super) fn spend_challenge(&self, hash: &ChallengeHash) -> Write {
        let changes = Changes::new().set(SPENT, item::truth());
        Write::update(&self.table, pk(challenge_pk(hash)), changes)
            .when(exists(EXPIRES_AT))
            .when(absent(SPENT))
    }
}
