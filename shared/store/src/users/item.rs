//! The items of the users table.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::{
    custom_claims::CustomClaims,
    email::EmailAddress,
    ids::{SessionId, UserId},
    password::PhcHash,
    registration::{Address, LISTED, Round},
    time::{UnixMillis, UnixSeconds},
    user::{ADDRESS_OUTLIVES, NameKey, SessionsCut, User, UserStatus},
};

use super::{Account, ListedDetails, ListedUser, NewUser};
use crate::{
    StoreError,
    conditions::{EXPIRES_AT, ROUND},
    expression::Path,
    item::{Item, Reader, VERSION, VERSION_NAME, number, string},
};

/// The partition of the index that holds every listed user.
pub(super) const LISTING: &str = "users";

/// The attribute with a user's custom claims, as JSON. It is absent if there are none.
pub(super) const CLAIMS: Path = "claims";

/// The attribute of a user with a second factor. It is absent without one.
pub(super) const SECOND_FACTOR: Path = "second_factor";

/// The attribute of a user with passkeys. It is absent without one.
pub(super) const PASSKEYS: Path = "passkeys";

/// The version of a user with a second factor. Releases that know no second factors must not read it:
/// they would ask for the password alone.
pub(super) const FACTOR_VERSION: u32 = 2;

/// When the last cut of a user's sessions was written. The cut's number is not a time.
pub(super) const CUT_AT: Path = "cut_at";

/// A key that no user has.
pub(super) const NOBODY: &str = "user#nobody";

/// The prefix of the keys of users.
pub(super) const USER_PREFIX: &str = "user#";

pub(super) fn user_pk(id: UserId) -> String {
    format!("{USER_PREFIX}{id}")
}

pub(super) fn email_pk(email: &str) -> String {
    format!("email#{email}")
}

pub(super) fn name_pk(name: &NameKey) -> String {
    format!("name#{name}")
}

/// The slots of an address's item for the newest registrations that wait for it.
pub(super) const WAITING: [Path; LISTED] = ["waiting_1", "waiting_2", "waiting_3", "waiting_4"];

/// The items of a new user and of the name. If the registration expires, it belongs to a round.
pub(super) fn from_new_user(new: &NewUser, round: UserId) -> [Item; 2] {
    let id = new.user.id;
    let mut item = pointer(user_pk(id), id);
    let mut set = |name: &str, value| item.insert(name.to_owned(), value);
    set(VERSION_NAME, number(if new.user.second_factor { FACTOR_VERSION } else { VERSION }));
    if new.user.second_factor {
        set(SECOND_FACTOR, truth());
    }
    if new.user.has_passkeys {
        set(PASSKEYS, truth());
    }
    if new.expires_at.is_none() {
        set("listing", string(LISTING));
    }
    set("name_key", string(new.name_key.as_str()));
    set("name", string(&new.user.name));
    set("email", string(&new.email));
    set("email_confirmed", AttributeValue::Bool(new.user.email_confirmed));
    set("status", string(status_name(new.user.status)));
    set("roles", roles_value(&new.user.roles));
    set("password_hash", string(new.password_hash.expose()));
    if !new.user.claims.is_empty() {
        set(CLAIMS, string(new.user.claims.to_string()));
    }
    if let Some(cut) = new.user.cut {
        set("sessions_valid_after", number(cut.valid_after.get()));
    }
    let mut items = [item, pointer(name_pk(&new.name_key), id)];
    if let Some(expires_at) = new.expires_at {
        let [user, _] = &mut items;
        user.insert(ROUND.to_owned(), string(round.to_string()));
        for item in &mut items {
            item.insert(EXPIRES_AT.to_owned(), number(expires_at.get()));
        }
    }
    items
}

/// The item of an address whose round a registration opens.
pub(super) fn from_first(new: &NewUser, expires_at: UnixSeconds) -> Item {
    let Round { id, newest } = Round::open(new.user.id);
    let mut item = Item::from([
        ("pk".to_owned(), string(email_pk(&new.email))),
        (ROUND.to_owned(), string(id.to_string())),
        (EXPIRES_AT.to_owned(), number(expires_at.plus(ADDRESS_OUTLIVES).get())),
    ]);
    for (slot, user) in WAITING.into_iter().zip(newest) {
        let user = user.map_or(AttributeValue::Null(true), |user| string(user.to_string()));
        item.insert(slot.to_owned(), user);
    }
    item
}

/// Who owns an address or waits for it, according to its item.
pub(super) fn to_address(item: Option<&Item>) -> Result<Address, StoreError> {
    let Some(item) = item else { return Ok(Address::Free) };
    let Some(id) = round(&Reader(item))? else {
        return Ok(Address::Taken(user_id(&Reader(item))?));
    };
    let mut newest = [None; LISTED];
    for (user, slot) in newest.iter_mut().zip(WAITING) {
        if item.get(slot).is_some_and(|value| !value.is_null()) {
            *user = Some(id_of(&Reader(item), slot)?);
        }
    }
    Ok(Address::Awaited(Round { id, newest }))
}

pub(super) fn round(item: &Reader<'_>) -> Result<Option<UserId>, StoreError> {
    if item.optional_string(ROUND)?.is_none() {
        return Ok(None);
    }
    id_of(item, ROUND).map(Some)
}

fn id_of(item: &Reader<'_>, name: &'static str) -> Result<UserId, StoreError> {
    item.string(name)?.parse().map_err(|_| StoreError::MalformedItem(name))
}

/// Whether an item has expired, although TTL has not removed it yet.
pub(super) fn has_expired(item: &Item, now: UnixMillis) -> Result<bool, StoreError> {
    let expires_at = Reader(item).optional_number(EXPIRES_AT)?;
    Ok(expires_at.is_some_and(|at| at <= now.seconds().get()))
}

/// An item that says which user a name or an address belongs to.
pub(super) fn pointer(pk: String, id: UserId) -> Item {
    HashMap::from([("pk".to_owned(), string(pk)), ("user_id".to_owned(), string(id.to_string()))])
}

/// What is written in place of a new user's items when name or address is taken: nothing points to
/// them, and TTL deletes them. Each name and each address has one decoy, so that the writes of
/// parallel requests conflict as those of registrations do.
pub(super) fn decoys(new: &NewUser, now: UnixMillis) -> [Item; 3] {
    let id = new.user.id;
    [user_pk(id), name_pk(&new.name_key), email_pk(&new.email)].map(|pk| {
        let mut item = pointer(format!("decoy#{pk}"), id);
        item.insert(EXPIRES_AT.to_owned(), number(now.seconds().get()));
        item
    })
}

pub(super) const fn truth() -> AttributeValue {
    AttributeValue::Bool(true)
}

pub(super) fn roles_value(roles: &[String]) -> AttributeValue {
    AttributeValue::L(roles.iter().map(string).collect())
}

pub(super) const fn status_name(status: UserStatus) -> &'static str {
    match status {
        UserStatus::Active => "active",
        UserStatus::Disabled => "disabled",
    }
}

pub(super) fn to_user(item: &Item) -> Result<User, StoreError> {
    let item = Reader(item);
    let second_factor = has(&item, SECOND_FACTOR)?;
    item.readable_up_to(if second_factor { FACTOR_VERSION } else { VERSION })?;
    Ok(User {
        id: user_id(&item)?,
        name: item.string("name")?.to_owned(),
        status: status(&item)?,
        email_confirmed: email_confirmed(&item)?,
        second_factor,
        has_passkeys: has(&item, PASSKEYS)?,
        roles: roles(&item)?,
        claims: claims(&item)?,
        cut: cut(&item)?,
    })
}

pub(super) fn to_account(item: &Item) -> Result<Account, StoreError> {
    let user = to_user(item)?;
    let item = Reader(item);
    let address = |name: &'static str, text: &str| {
        EmailAddress::parse(text).map_err(|_| StoreError::MalformedItem(name))
    };
    let pending = item.optional_string("pending_email")?;
    Ok(Account {
        user,
        name_key: NameKey::stored(item.string("name_key")?.to_owned()),
        email: address("email", item.string("email")?)?,
        pending_email: pending.map(|text| address("pending_email", text)).transpose()?,
        password_hash: PhcHash::new(item.string("password_hash")?.to_owned()),
        cut_at: item.optional_number(CUT_AT)?.map(UnixMillis::new),
        expires_at: item.optional_number(EXPIRES_AT)?.map(UnixSeconds::new),
        round: round(&item)?,
    })
}

/// The name after which a list continues.
pub(super) fn next(last_evaluated: Option<&Item>) -> Result<Option<String>, StoreError> {
    last_evaluated.map(|key| Ok(Reader(key).string("name_key")?.to_owned())).transpose()
}

pub(super) fn to_listed_user(item: &Item) -> Result<ListedUser, StoreError> {
    let item = Reader(item);
    Ok(ListedUser {
        id: user_id(&item)?,
        name: item.string("name")?.to_owned(),
        details: to_listed_details(&item).ok(),
    })
}

fn to_listed_details(item: &Reader<'_>) -> Result<ListedDetails, StoreError> {
    Ok(ListedDetails {
        email: item.string("email")?.to_owned(),
        email_confirmed: email_confirmed(item)?,
        status: status(item)?,
        roles: roles(item)?,
    })
}

pub(super) fn email_confirmed(item: &Reader<'_>) -> Result<bool, StoreError> {
    let confirmed = item.0.get("email_confirmed").and_then(|value| value.as_bool().ok());
    confirmed.copied().ok_or(StoreError::MalformedItem("email_confirmed"))
}

/// A truth value that is absent if it is false.
pub(super) fn has(item: &Reader<'_>, name: Path) -> Result<bool, StoreError> {
    let Some(value) = item.0.get(name) else { return Ok(false) };
    value.as_bool().copied().map_err(|_| StoreError::MalformedItem(name))
}

pub(super) fn status(item: &Reader<'_>) -> Result<UserStatus, StoreError> {
    match item.string("status")? {
        "active" => Ok(UserStatus::Active),
        "disabled" => Ok(UserStatus::Disabled),
        _ => Err(StoreError::MalformedItem("status")),
    }
}

pub(super) fn user_id(item: &Reader<'_>) -> Result<UserId, StoreError> {
    id_of(item, "user_id")
}

pub(super) fn roles(item: &Reader<'_>) -> Result<Vec<String>, StoreError> {
    let Some(roles) = item.0.get("roles") else { return Ok(Vec::new()) };
    let malformed = StoreError::MalformedItem("roles");
    let Ok(roles) = roles.as_l() else { return Err(malformed) };
    let roles: Result<_, _> = roles.iter().map(|role| role.as_s().cloned()).collect();
    roles.map_err(|_| malformed)
}

fn claims(item: &Reader<'_>) -> Result<CustomClaims, StoreError> {
    let Some(claims) = item.optional_string(CLAIMS)? else { return Ok(CustomClaims::default()) };
    CustomClaims::within(claims).map_err(|_| StoreError::MalformedItem(CLAIMS))
}

pub(super) fn cut(item: &Reader<'_>) -> Result<Option<SessionsCut>, StoreError> {
    let Some(valid_after) = item.optional_number("sessions_valid_after")? else { return Ok(None) };
    let spared: Option<SessionId> = item
        .optional_string("spared_session")?
        .map(|id| id.parse().map_err(|_| StoreError::MalformedItem("spared_session")))
        .transpose()?;
    Ok(Some(SessionsCut { valid_after: UnixMillis::new(valid_after), spared }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_user() -> NewUser {
        NewUser {
            user: User {
                id: UserId::from_bytes([7; 16]),
                name: "Ada".to_owned(),
                status: UserStatus::Active,
                email_confirmed: true,
                second_factor: false,
                has_passkeys: false,
                roles: vec!["admin".to_owned()],
                claims: CustomClaims::within(r#"{"plan": "pro"}"#).unwrap(),
                cut: None,
            },
            name_key: NameKey::parse("Ada").unwrap(),
            email: "ada@example.com".to_owned(),
            password_hash: PhcHash::new("$argon2id$".to_owned()),
            expires_at: None,
        }
    }

    #[test]
    fn a_user_reads_back_as_written() {
        let new = new_user();
        let [item, name] = from_new_user(&new, new.user.id);
        assert_eq!(to_user(&item).unwrap(), new.user);
        assert_eq!(to_account(&item).unwrap().round, None);
        assert_eq!(name["pk"], string("name#ada"));
    }

    #[test]
    fn custom_claims_are_an_attribute_only_if_there_are_some() {
        let [mut item, _] = from_new_user(&new_user(), new_user().user.id);
        assert_eq!(item[CLAIMS], string(r#"{"plan":"pro"}"#));
        for damage in [string("[]"), string("{"), AttributeValue::M(HashMap::new())] {
            item.insert(CLAIMS.to_owned(), damage);
            assert!(matches!(to_user(&item), Err(StoreError::MalformedItem(CLAIMS))));
        }
        let user = User { claims: CustomClaims::default(), ..new_user().user };
        let [item, _] = from_new_user(&NewUser { user, ..new_user() }, new_user().user.id);
        assert!(!item.contains_key(CLAIMS));
        assert!(to_user(&item).unwrap().claims.is_empty());
    }

    #[test]
    fn an_address_reads_back_as_written() {
        let new = new_user();
        assert_eq!(to_address(None).unwrap(), Address::Free);
        let taken = pointer(email_pk(&new.email), new.user.id);
        assert_eq!(to_address(Some(&taken)).unwrap(), Address::Taken(new.user.id));
        let first = from_first(&new, UnixSeconds::new(100));
        assert_eq!(first["pk"], string("email#ada@example.com"));
        let awaited = Address::Awaited(Round::open(new.user.id));
        assert_eq!(to_address(Some(&first)).unwrap(), awaited);
        for slot in WAITING {
            let mut damaged = first.clone();
            damaged.insert(slot.to_owned(), string("nobody"));
            assert!(to_address(Some(&damaged)).is_err(), "{slot}");
        }
    }

    #[test]
    fn users_of_earlier_releases_are_read_and_those_of_later_ones_refused() {
        let new = new_user();
        let [mut item, _] = from_new_user(&new, new.user.id);
        item.remove(VERSION_NAME);
        assert_eq!(to_user(&item).unwrap(), new.user);
        item.insert(VERSION_NAME.to_owned(), number(VERSION + 1));
        assert!(matches!(to_user(&item), Err(StoreError::NewerItem { found: 2 })));
    }

    #[test]
    fn a_user_with_a_second_factor_is_of_a_version_that_earlier_releases_refuse() {
        let user = User { second_factor: true, ..new_user().user };
        let [mut item, _] = from_new_user(&NewUser { user: user.clone(), ..new_user() }, user.id);
        assert_eq!(item[VERSION_NAME], number(2_u64));
        assert_eq!(to_user(&item).unwrap(), user);
        item.insert(SECOND_FACTOR.to_owned(), string("yes"));
        assert!(matches!(to_user(&item), Err(StoreError::MalformedItem(SECOND_FACTOR))));
    }

    #[test]
    fn a_user_keeps_a_name_that_is_not_allowed_any_more() {
        let [mut item, _] = from_new_user(&new_user(), new_user().user.id);
        item.insert("name_key".to_owned(), string("\u{ab70}"));
        assert_eq!(to_account(&item).unwrap().name_key.as_str(), "\u{ab70}");
    }

    #[test]
    fn only_the_user_itself_is_listed() {
        let [item, name] = from_new_user(&new_user(), new_user().user.id);
        assert_eq!(to_listed_user(&item).unwrap().id, new_user().user.id);
        assert!(!name.contains_key("listing"));
    }

    #[test]
    fn what_may_expire_is_not_listed_and_expires_whole() {
        let new = NewUser { expires_at: Some(UnixSeconds::new(100)), ..new_user() };
        let [user, name] = from_new_user(&new, UserId::from_bytes([9; 16]));
        assert_eq!(to_account(&user).unwrap().round, Some(UserId::from_bytes([9; 16])));
        let address = from_first(&new, UnixSeconds::new(100));
        assert!([&user, &name, &address].iter().all(|item| !item.contains_key("listing")));
        let expired = |item, now| has_expired(item, UnixMillis::new(now)).unwrap();
        for item in [&user, &name] {
            assert_eq!([99_999, 100_000].map(|now| expired(item, now)), [false, true]);
        }
        assert_eq!([159_999, 160_000].map(|now| expired(&address, now)), [false, true]);
        let [user, _] = from_new_user(&new_user(), new_user().user.id);
        assert!(!has_expired(&user, UnixMillis::new(u64::MAX)).unwrap());
    }

    #[test]
    fn decoys_point_nowhere_and_expire_at_once() {
        let (new, now) = (new_user(), UnixMillis::new(100_000));
        let items = decoys(&new, now);
        let [user, name] = from_new_user(&new, new.user.id);
        let address = pointer(email_pk(&new.email), new.user.id);
        for (decoy, item) in items.iter().zip([user, name, address]) {
            let pk = item["pk"].as_s().unwrap();
            assert_eq!(decoy["pk"], string(format!("decoy#{pk}")));
            assert!(!decoy.contains_key("listing") && has_expired(decoy, now).unwrap());
        }
    }

    #[test]
    fn an_item_with_an_unknown_status_is_malformed() {
        let [mut item, _] = from_new_user(&new_user(), new_user().user.id);
        item.insert("status".to_owned(), string("dormant"));
        assert!(to_user(&item).is_err());
        let listed = to_listed_user(&item).unwrap();
        assert_eq!(
            (listed.name, listed.details),
            (new_user().user.name, None),
            "the name is listed"
        );
    }
}
