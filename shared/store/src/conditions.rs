//! Conditions shared by several writes of the users table.

use ratchet_core::{ids::UserId, password::PhcHash, time::UnixMillis};

use crate::{
    expression::{Condition, absent, any, at_most, equals, exists},
    item::{number, string},
};

/// When an item expires: the TTL attribute.
pub(crate) const EXPIRES_AT: &str = "expires_at";

/// The round of registrations that an address, or a user, belongs to.
pub(crate) const ROUND: &str = "round";

/// There is no item under the key.
pub(crate) const fn is_new() -> Condition {
    absent("pk")
}

/// There is an item under the key.
pub(crate) const fn is_present() -> Condition {
    exists("pk")
}

/// There is no item under the key, or only an expired one that waits for TTL.
pub(crate) fn is_free(now: UnixMillis) -> Condition {
    any([is_new(), at_most(EXPIRES_AT, number(now.seconds().get()))])
}

/// No user owns the address. Registrations that wait for it do not own it.
pub(crate) fn is_not_taken(now: UnixMillis) -> Condition {
    any([is_free(now), belongs_to_a_round()])
}

/// The item belongs to an address that registrations wait for.
pub(crate) const fn belongs_to_a_round() -> Condition {
    exists(ROUND)
}

/// The registrations that wait for the address, or the user, belong to this round.
pub(crate) fn is_of_round(round: UserId) -> Condition {
    equals(ROUND, string(round.to_string()))
}

/// There is no item under the key, or one that expires. Decoys always expire, so this always holds
/// for them; the condition only makes writing a decoy as much work as writing the real item.
pub(crate) fn is_free_or_temporary() -> Condition {
    any([is_new(), exists(EXPIRES_AT)])
}

/// The name or address is this user's.
pub(crate) fn belongs_to(user_id: UserId) -> Condition {
    equals("user_id", string(user_id.to_string()))
}

/// The user's password has not changed since it was checked.
pub(crate) fn has_password(hash: &PhcHash) -> Condition {
    equals("password_hash", string(hash.expose()))
}
