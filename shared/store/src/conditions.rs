//! Conditions that several writes of the users table have, each in one place.

use ratchet_core::{ids::UserId, password::PhcHash, time::UnixMillis};

use crate::{
    expression::{Condition, absent, any, at_most, equals, exists},
    item::{number, string},
};

/// When an item is over: the attribute that TTL goes by.
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

/// Nobody has the address: registrations that wait for it take nothing.
pub(crate) fn is_not_taken(now: UnixMillis) -> Condition {
    any([is_free(now), belongs_to_a_round()])
}

/// The item is of an address that registrations wait for.
pub(crate) const fn belongs_to_a_round() -> Condition {
    exists(ROUND)
}

/// The registrations that wait for the address, or the user, belong to this round.
pub(crate) fn is_of_round(round: UserId) -> Condition {
    equals(ROUND, string(round.to_string()))
}

/// There is no item under the key, or one that expires some day. What is written under a decoy's key
/// always does; the condition makes a decoy's write the same work as that of the item it stands for.
pub(crate) fn is_free_or_temporary() -> Condition {
    any([is_new(), exists(EXPIRES_AT)])
}

/// The name or address is this user's.
pub(crate) fn belongs_to(user_id: UserId) -> Condition {
    equals("user_id", string(user_id.to_string()))
}

/// The user's password is still the one that was proved.
pub(crate) fn has_password(hash: &PhcHash) -> Condition {
    equals("password_hash", string(hash.expose()))
}
