//! Changes of challenges, as parts of transactions about users.

use aws_sdk_dynamodb::Client;
use ratchet_core::{
    challenge::{Challenge, Purpose},
    ids::UserId,
    letter::Letter,
    time::UnixMillis,
};

use super::item;
use crate::{
    StoreError,
    conditions::EXPIRES_AT,
    expression::{Changes, Condition, absent, equals},
    item::number,
    write::{Write, pk},
};

/// A challenge as it was read, if there is one.
#[derive(Debug)]
pub(crate) struct Found {
    challenge: Option<Challenge>,
    revision: Option<u64>,
}

impl Found {
    pub(crate) const fn challenge(&self) -> Option<&Challenge> {
        self.challenge.as_ref()
    }

    /// The challenge is still as it was read.
    fn is_unchanged(&self) -> Condition {
        match self.revision {
            None => absent(item::REVISION),
            Some(revision) => equals(item::REVISION, number(revision)),
        }
    }
}

/// Reads a challenge, consistently.
pub(crate) async fn find(
    client: &Client,
    table: &str,
    purpose: Purpose,
    user_id: UserId,
) -> Result<Found, StoreError> {
    let get = client.get_item().table_name(table).consistent_read(true);
    let get = get.set_key(Some(pk(item::key(purpose, user_id))));
    let output = get.send().await.map_err(|error| StoreError::new("GetItem", error))?;
    let Some(found) = &output.item else { return Ok(Found { challenge: None, revision: None }) };
    let (challenge, revision) = item::to_challenge(found)?;
    Ok(Found { challenge: Some(challenge), revision })
}

/// Replaces the challenge that was found, unless it has changed meanwhile.
pub(super) fn replace(
    table: &str,
    purpose: Purpose,
    user_id: UserId,
    found: &Found,
    challenge: &Challenge,
) -> Write {
    let revision = found.revision.unwrap_or_default().saturating_add(1);
    let key = item::key(purpose, user_id);
    Write::put(table, item::from_challenge(key, challenge, revision)).when(found.is_unchanged())
}

/// Notes that a proof met the challenge, in the transaction that changes what it protects.
///
/// # Security
/// Of several concurrent requests with a valid proof only one succeeds. The others find the
/// challenge changed.
pub(crate) fn meet(
    table: &str,
    purpose: Purpose,
    user_id: UserId,
    found: &Found,
    met: &Challenge,
) -> Write {
    replace(table, purpose, user_id, found, met)
}

/// Makes all messages of a challenge invalid, including those not sent yet, in the transaction of
/// the change after which they must not work. The same as [`Challenge::used_up`], without a read.
pub(crate) fn use_up(table: &str, purpose: Purpose, user_id: UserId, now: UnixMillis) -> Write {
    let changes = Changes::new()
        .set(item::USED_UP_TO, number(now.get()))
        .set(EXPIRES_AT, number(now.plus(Letter::LIFE).seconds().get()))
        .increase(item::REVISION, number(0_u64), number(1_u64))
        .remove(item::MESSAGES)
        .remove(item::MET);
    Write::update(table, pk(item::key(purpose, user_id)), changes)
}

/// Removes a challenge, with its user.
pub(crate) fn delete(table: &str, purpose: Purpose, user_id: UserId) -> Write {
    Write::delete(table, pk(item::key(purpose, user_id)))
}
