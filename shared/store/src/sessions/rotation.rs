//! Rotating a session: one conditional write, without a read.

use ratchet_core::{
    dpop::Thumbprint,
    ids::{SessionId, UserId},
    rotation::{Presented, Rotation},
    secret::SecretHash,
    session::{Session, Superseded},
    time::UnixMillis,
};

use super::{Sessions, is_not_revoked, item};
use crate::{
    StoreError,
    expression::{
        Changes, Condition, above, absent, all, any, at_most, equals, is_binary, is_map, is_number,
        is_string,
    },
    item::{VERSION_NAME, binary, number, string},
    write::{Updated, Write},
};

/// The result of a conditional update of a session.
#[derive(Debug)]
pub enum SessionUpdate {
    /// The update was made. This is the new session.
    Written(Session),
    /// The condition did not hold. This is the current session, if there is one. The decision table
    /// says what that means.
    Unmet(Option<Session>),
}

impl SessionUpdate {
    pub(super) fn read(updated: &Updated) -> Result<Self, StoreError> {
        Ok(match updated {
            Updated::Written(item) => Self::Written(item::to_session(item)?),
            Updated::Unmet(item) => Self::Unmet(item.as_ref().map(item::to_session).transpose()?),
        })
    }
}

/// The condition of the first row of the decision table,
/// [`Rotate`](ratchet_core::rotation::Decision::Rotate), part by part.
fn may_rotate(presented: &Presented, rotation: &Rotation, recent_since: UnixMillis) -> Condition {
    all([
        is_live_token(presented.generation, presented.hash),
        is_bound_to(presented.key),
        is_not_revoked(),
        lasts(rotation.now),
        has_room_in_register(recent_since),
        is_readable(presented.key),
    ])
}

/// The live token is this one.
pub(super) fn is_live_token(generation: u32, hash: SecretHash) -> Condition {
    all([equals("generation", number(generation)), equals("token_hash", binary(hash.as_bytes()))])
}

/// The session is bound to this key, or to none.
fn is_bound_to(key: Option<Thumbprint>) -> Condition {
    key.map_or_else(|| absent(item::JKT), |key| equals(item::JKT, binary(key.as_bytes())))
}

/// Neither the idle nor the absolute lifetime is over.
pub(super) fn lasts(now: UnixMillis) -> Condition {
    let now = number(now.seconds().get());
    all([above("expires_at", now.clone()), above("absolute_expires_at", now)])
}

/// The oldest slot of the register is empty, or its generation is outside the retry window. This
/// limits a window to four rotations, so that the register remembers all of them.
fn has_room_in_register(recent_since: UnixMillis) -> Condition {
    let oldest = "superseded_4.at_ms";
    any([absent(oldest), at_most(oldest, number(recent_since.get()))])
}

/// This release can read the item. Damaged items and those of a later release are not overwritten.
fn is_readable(key: Option<Thumbprint>) -> Condition {
    let [first, second, third, fourth] = item::SLOTS;
    all([
        any([absent(VERSION_NAME), at_most(VERSION_NAME, item::version(key))]),
        is_number("auth_time"),
        is_number("cut_seen"),
        is_string("source_ip"),
        any([absent("device"), is_string("device")]),
        any([absent(item::RECOVERED), is_binary(item::RECOVERED)]),
        any([absent(item::AMR), is_number(item::AMR)]),
        any([absent(item::STEP_UP), is_number(item::STEP_UP)]),
        is_map(first),
        is_map(second),
        is_map(third),
        is_map(fourth),
    ])
}

impl Sessions {
    /// Supersedes the presented token, if and only if the decision table says
    /// [`Rotate`](ratchet_core::rotation::Decision::Rotate): one conditional write, without a read.
    ///
    /// The right-hand sides of the update see the item as it was, so it can shift the register.
    /// `recent_since` is where the retry window began.
    ///
    /// # Errors
    /// [`StoreError`]; the write may have happened nevertheless. The register then leads the
    /// presented token to the successor that this rotation wrote.
    pub async fn rotate(
        &self,
        user_id: UserId,
        session_id: SessionId,
        presented: &Presented,
        rotation: &Rotation,
        recent_since: UnixMillis,
    ) -> Result<SessionUpdate, StoreError> {
        let [first, second, third, fourth] = item::SLOTS;
        let superseded = Superseded {
            hash: presented.hash,
            sealed_successor: rotation.sealed_successor,
            superseded_at: rotation.now,
        };
        let changes = Changes::new()
            .set(VERSION_NAME, item::version(presented.key))
            .set("generation", number(presented.generation.saturating_add(1)))
            .set("token_hash", binary(rotation.next_hash.as_bytes()))
            .set("expires_at", number(rotation.expires_at.get()))
            .set("network", string(&rotation.origin.network))
            .set("user_agent", string(&rotation.origin.user_agent))
            .copy(fourth, third)
            .copy(third, second)
            .copy(second, first)
            .set(first, item::superseded(Some(&superseded), presented.key));
        let write = Write::update(&self.table, item::key(user_id, session_id), changes)
            .when(may_rotate(presented, rotation, recent_since));
        SessionUpdate::read(&write.send_update(&self.client).await?)
    }
}
