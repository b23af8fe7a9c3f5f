//! Changes after the point in time that a restore must not undo.
//!
//! Decisions only: from a restored item and the current one to the item to write.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::time::UnixSeconds;

/// An item of a table.
pub(super) type Item = HashMap<String, AttributeValue>;

/// What to do with a restored item.
#[derive(Debug, PartialEq)]
pub(super) enum Fate {
    /// Keep it.
    Keep,
    /// Replace it by this item.
    Replace(Box<Item>),
    /// Delete it.
    Delete,
}

/// The item under a key in the current users table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Now<'a> {
    /// The table is gone.
    Unknown,
    /// Nothing: it was deleted since.
    Nothing,
    /// This item.
    Item(&'a Item),
}

/// Decides about an item of the tokens table.
///
/// A session that is live now is kept in its current state, because its client has the token of the
/// latest generation. All others end, and so do all sessions if the current table is gone.
pub(super) fn session(restored: &Item, current: Option<&Item>, now: UnixSeconds) -> Fate {
    let is_live = |item: &&Item| {
        !item.contains_key("revoked_at")
            && number(item, "expires_at").is_some_and(|at| at > now.get())
    };
    match current.filter(is_live) {
        None => Fate::Delete,
        Some(current) if current == restored => Fate::Keep,
        Some(current) => Fate::Replace(Box::new(current.clone())),
    }
}

/// The key of the user that an item of the users table belongs to. Deleting the user deletes the
/// item.
pub(super) fn owner(item: &Item) -> Option<String> {
    let key = text(item, "pk")?;
    match key.split_once('#')?.0 {
        "user" => Some(key.to_owned()),
        "name" | "email" | "factor" | "passkeys" => {
            Some(format!("user#{}", text(item, "user_id")?))
        }
        _ => None,
    }
}

/// Decides about an item of the users table, from the current items under its own key and its
/// owner's.
///
/// Links and codes are deleted, because they may have been used since. Letters are deleted, because
/// they were sent. Users that were deleted since are deleted again unless `undelete` is set. Of
/// other users, the current state is kept for everything that protects the account: a disabled
/// status, the last cut of its sessions, its password, its custom claims, and roles that it has
/// lost. Second factors and passkeys are as they are now: what was added since protects the account,
/// and what was removed stays removed. Any other item that is gone stays gone, for example a revoked
/// client. If the current table is gone, it is not known which clients were revoked, so all are
/// deleted.
pub(super) fn user(restored: &Item, own: Now<'_>, owner: Now<'_>, undelete: bool) -> Fate {
    let kind = text(restored, "pk").and_then(|key| key.split_once('#')).map(|(kind, _)| kind);
    match (kind, own, owner) {
        (Some("user" | "name" | "email" | "factor" | "passkeys"), _, Now::Nothing) if !undelete => {
            Fate::Delete
        }
        // With its user it comes back.
        (Some("factor" | "passkeys"), _, Now::Nothing) => Fate::Keep,
        (Some("factor" | "passkeys"), Now::Item(current), _) if current != restored => {
            Fate::Replace(Box::new(current.clone()))
        }
        (Some("user"), Now::Item(current), _) => protected(restored, current),
        (Some("user" | "name" | "email"), ..) => Fate::Keep,
        (Some("challenge" | "outbox"), ..)
        | (Some("client"), Now::Unknown, _)
        | (_, Now::Nothing, _) => Fate::Delete,
        _ => Fate::Keep,
    }
}

fn protected(restored: &Item, current: &Item) -> Fate {
    let mut item = restored.clone();
    if text(current, "status") == Some("disabled") {
        copy(current, "status", &mut item);
    }
    if number(current, CUT) > number(restored, CUT) {
        copy(current, CUT, &mut item);
        copy(current, CUT_AT, &mut item);
    }
    copy(current, "password_hash", &mut item);
    for name in [CLAIMS, SECOND_FACTOR, PASSKEYS, VERSION] {
        item.remove(name);
        copy(current, name, &mut item);
    }
    if let (Some(AttributeValue::L(had)), Some(AttributeValue::L(has))) =
        (restored.get("roles"), current.get("roles"))
    {
        let roles = had.iter().filter(|role| has.contains(role)).cloned().collect();
        item.insert("roles".to_owned(), AttributeValue::L(roles));
    }
    if item == *restored { Fate::Keep } else { Fate::Replace(Box::new(item)) }
}

/// The number of the last cut of a user's sessions, and when that was.
const CUT: &str = "sessions_valid_after";
const CUT_AT: &str = "cut_at";

/// Whether a user has a second factor, absent without one. The version of the item depends on it.
const SECOND_FACTOR: &str = "second_factor";
const VERSION: &str = "version";

/// Whether a user has passkeys, absent without one.
const PASSKEYS: &str = "passkeys";

/// The keys of the second factor and the passkeys that a user has now, to be copied into the restored
/// table: they may have been added since.
pub(super) fn beside_user(restored: &Item, current: Now<'_>) -> Vec<String> {
    let Now::Item(current) = current else { return Vec::new() };
    let Some(id) = text(restored, "pk").and_then(|key| key.strip_prefix("user#")) else {
        return Vec::new();
    };
    let kinds = [(SECOND_FACTOR, "factor"), (PASSKEYS, "passkeys")];
    let has = kinds.into_iter().filter(|(attribute, _)| current.contains_key(*attribute));
    has.map(|(_, kind)| format!("{kind}#{id}")).collect()
}

/// A user's custom claims, absent if there are none.
const CLAIMS: &str = "claims";

fn copy(from: &Item, name: &str, to: &mut Item) {
    if let Some(value) = from.get(name) {
        to.insert(name.to_owned(), value.clone());
    }
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

fn number(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_000);

    fn s(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    fn n(number: u64) -> AttributeValue {
        AttributeValue::N(number.to_string())
    }

    fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
        attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn roles(names: &[&str]) -> AttributeValue {
        AttributeValue::L(names.iter().map(|name| s(name)).collect())
    }

    fn with(mut item: Item, name: &str, value: AttributeValue) -> Item {
        item.insert(name.to_owned(), value);
        item
    }

    fn live() -> Item {
        item([("generation", n(3)), ("expires_at", n(2_000))])
    }

    #[test]
    fn a_session_that_lives_on_is_as_it_is_now() {
        assert_eq!(session(&live(), Some(&live()), NOW), Fate::Keep);
        let rotated = with(live(), "generation", n(4));
        assert_eq!(session(&live(), Some(&rotated), NOW), Fate::Replace(Box::new(rotated.clone())));
    }

    #[test]
    fn a_session_that_ended_since_stays_ended() {
        let revoked = with(live(), "revoked_at", n(900));
        assert_eq!(session(&live(), Some(&revoked), NOW), Fate::Delete);
        let expired = with(live(), "expires_at", n(1_000));
        assert_eq!(session(&live(), Some(&expired), NOW), Fate::Delete);
        assert_eq!(session(&live(), None, NOW), Fate::Delete, "deleted, or the table is gone");
    }

    fn ada() -> Item {
        item([
            ("pk", s("user#7")),
            ("status", s("active")),
            ("password_hash", s("old")),
            ("roles", roles(&["reader", "admin"])),
        ])
    }

    #[test]
    fn a_user_that_was_deleted_since_is_deleted_again_with_name_and_address() {
        let pointer = item([("pk", s("name#ada")), ("user_id", s("7"))]);
        for one in [ada(), pointer.clone(), with(pointer, "pk", s("email#ada@example.com"))] {
            assert_eq!(owner(&one).as_deref(), Some("user#7"));
            assert_eq!(user(&one, Now::Nothing, Now::Nothing, false), Fate::Delete);
            assert_eq!(user(&one, Now::Nothing, Now::Nothing, true), Fate::Keep, "what is undone");
            assert_eq!(user(&one, Now::Unknown, Now::Unknown, false), Fate::Keep);
        }
    }

    /// The decision about an item whose current form is this one.
    fn same(restored: &Item, current: &Item) -> Fate {
        user(restored, Now::Item(current), Now::Item(current), false)
    }

    #[test]
    fn what_protects_an_account_stays_as_it_is_now() {
        let replaced = |current: &Item| match same(&ada(), current) {
            Fate::Replace(item) => *item,
            other => panic!("{other:?}"),
        };
        let disabled = with(ada(), "status", s("disabled"));
        assert_eq!(replaced(&disabled), disabled);
        let cut = with(ada(), CUT, n(5));
        assert_eq!(replaced(&cut), cut);
        let password = with(ada(), "password_hash", s("new"));
        assert_eq!(replaced(&password), password);
        let claimed = with(ada(), CLAIMS, s(r#"{"plan":"pro"}"#));
        assert_eq!(replaced(&claimed), claimed);
        assert_eq!(same(&claimed, &ada()), Fate::Replace(Box::new(ada())), "they were removed");
        let demoted = with(ada(), "roles", roles(&["reader", "writer"]));
        assert_eq!(replaced(&demoted), with(ada(), "roles", roles(&["reader"])));
    }

    #[test]
    fn everything_else_is_as_it_was() {
        assert_eq!(same(&ada(), &ada()), Fate::Keep);
        let spoiled = with(ada(), "name", s("spoiled"));
        assert_eq!(same(&ada(), &spoiled), Fate::Keep);
        let was_disabled = with(ada(), "status", s("disabled"));
        assert_eq!(same(&was_disabled, &ada()), Fate::Keep);
        let was_cut = with(ada(), CUT, n(5));
        assert_eq!(same(&was_cut, &ada()), Fate::Keep);
        let attempts = item([("pk", s("attempts#account#ada"))]);
        assert_eq!(user(&attempts, Now::Unknown, Now::Unknown, false), Fate::Keep);
        assert_eq!(same(&attempts, &attempts), Fate::Keep);
    }

    #[test]
    fn a_second_factor_is_as_it_is_now() {
        let on =
            |item: Item| with(with(item, SECOND_FACTOR, AttributeValue::Bool(true)), VERSION, n(2));
        let off = with(ada(), VERSION, n(1));
        assert_eq!(same(&off, &on(ada())), Fate::Replace(Box::new(on(ada()))), "switched on");
        assert_eq!(same(&on(ada()), &off), Fate::Replace(Box::new(off.clone())), "switched off");
        assert_eq!(beside_user(&off, Now::Item(&on(ada()))), ["factor#7"]);
        let both = with(on(ada()), "passkeys", AttributeValue::Bool(true));
        assert_eq!(beside_user(&off, Now::Item(&both)), ["factor#7", "passkeys#7"]);
        for now in [Now::Item(&off), Now::Nothing, Now::Unknown] {
            assert!(beside_user(&on(ada()), now).is_empty());
        }
        let factor = item([("pk", s("factor#7")), ("user_id", s("7")), ("last_step", n(1))]);
        assert_eq!(owner(&factor).as_deref(), Some("user#7"));
        let (user_item, later) = (ada(), with(factor.clone(), "last_step", n(9)));
        let owner = Now::Item(&user_item);
        let decided = |own, owner, undelete| user(&factor, own, owner, undelete);
        let replaced = Fate::Replace(Box::new(later.clone()));
        assert_eq!(decided(Now::Item(&later), owner, false), replaced, "used since");
        assert_eq!(decided(Now::Item(&factor), owner, false), Fate::Keep);
        assert_eq!(decided(Now::Nothing, owner, false), Fate::Delete, "reset since");
        assert_eq!(decided(Now::Nothing, Now::Nothing, false), Fate::Delete, "its user is gone");
        assert_eq!(decided(Now::Nothing, Now::Nothing, true), Fate::Keep, "and comes back");
        assert_eq!(decided(Now::Unknown, Now::Unknown, false), Fate::Keep);
    }

    #[test]
    fn links_and_letters_do_not_come_back() {
        for key in ["challenge#password_reset#7", "outbox#1"] {
            let one = item([("pk", s(key)), ("user_id", s("7"))]);
            assert_eq!(user(&one, Now::Unknown, Now::Unknown, true), Fate::Delete, "{key}");
        }
    }

    #[test]
    fn a_client_comes_back_only_if_it_is_still_there() {
        let client = item([("pk", s("client#1")), ("secret_hash", s("x"))]);
        assert_eq!(user(&client, Now::Item(&client), Now::Unknown, false), Fate::Keep);
        for now in [Now::Nothing, Now::Unknown] {
            assert_eq!(user(&client, now, Now::Unknown, true), Fate::Delete, "{now:?}");
        }
    }

    #[test]
    fn anything_else_that_is_gone_stays_gone() {
        let credential = item([("pk", s("credential#1")), ("user_id", s("7"))]);
        assert_eq!(user(&credential, Now::Nothing, Now::Unknown, false), Fate::Delete);
        assert_eq!(same(&credential, &credential), Fate::Keep);
    }
}
