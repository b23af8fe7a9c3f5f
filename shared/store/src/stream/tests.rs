use std::collections::HashMap;

use ratchet_core::encoding::to_base64;
use serde_json::{Map, json};

use super::*;

const NOW: UnixSeconds = UnixSeconds::new(1_795_521_600);

/// An image as a stream has it.
fn image(item: &Item) -> Value {
    let members = item.iter().map(|(name, member)| (name.clone(), typed(member)));
    members.collect::<Map<_, _>>().into()
}

fn typed(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(digits) => json!({"N": digits}),
        AttributeValue::B(bytes) => json!({"B": to_base64(bytes.as_ref())}),
        AttributeValue::Bool(truth) => json!({"BOOL": truth}),
        AttributeValue::L(members) => json!({"L": members.iter().map(typed).collect::<Vec<_>>()}),
        AttributeValue::M(members) => json!({"M": image(members)}),
        AttributeValue::Ss(texts) => json!({"SS": texts}),
        other => panic!("{other:?}"),
    }
}

fn user_id() -> UserId {
    UserId::from_bytes([7; 16])
}

fn user() -> Item {
    users::fixture::user(user_id())
}

fn record(name: &str, keys: &Value, before: Option<&Item>, after: Option<&Item>) -> Value {
    let mut change = json!({
        "ApproximateCreationDateTime": NOW.get(), "Keys": keys, "SequenceNumber": "111",
    });
    for (name, item) in [("OldImage", before), ("NewImage", after)] {
        if let Some(item) = item {
            change[name] = image(item);
        }
    }
    json!({"eventID": "1", "eventName": name, "dynamodb": change})
}

fn of_user(name: &str, before: Option<&Item>, after: Option<&Item>) -> Value {
    record(name, &json!({"pk": {"S": format!("user#{}", user_id())}}), before, after)
}

fn names(record: &Value) -> Vec<&'static str> {
    events(record, UnixSeconds::new(5)).unwrap().iter().map(DomainEvent::name).collect()
}

#[test]
fn users_as_they_are_written_are_read() {
    let user = user();
    let inserted = of_user("INSERT", None, Some(&user));
    let expected = ["user_registered", "email_confirmed", "roles_changed", "claims_changed"];
    assert_eq!(names(&inserted), expected);
    assert_eq!(names(&of_user("REMOVE", Some(&user), None)), ["user_deleted"]);
    let mut disabled = user.clone();
    disabled.insert("status".to_owned(), AttributeValue::S("disabled".to_owned()));
    let modified = of_user("MODIFY", Some(&user), Some(&disabled));
    assert_eq!(names(&modified), ["user_disabled"]);
    let at = |record: &Value| events(record, UnixSeconds::new(5)).unwrap()[0].occurred_at();
    assert_eq!(at(&modified), NOW);
    let mut from_cli = modified.clone();
    from_cli["dynamodb"]["ApproximateCreationDateTime"] = json!("2026-11-29T10:00:00.250000+02:00");
    assert_eq!(at(&from_cli), UnixSeconds::new(1_795_939_200), "as the AWS CLI writes it");
    let mut timeless = modified;
    timeless["dynamodb"]["ApproximateCreationDateTime"] = Value::Null;
    assert_eq!(at(&timeless), UnixSeconds::new(5), "when it was received");
}

#[test]
fn a_deletion_by_ttl_is_no_event() {
    let mut removed = of_user("REMOVE", Some(&user()), None);
    removed["userIdentity"] = json!({"type": "Service", "principalId": TTL});
    assert!(names(&removed).is_empty());
}

#[test]
fn sessions_as_they_are_written_are_read() {
    let (user_id, session_id, before) = sessions::fixture::session();
    let bytes = |bytes: &[u8]| json!({"B": to_base64(bytes)});
    let keys = json!({
        "user_id": bytes(user_id.as_bytes()), "session_id": bytes(session_id.as_bytes()),
    });
    let of = |name, before, after| names(&record(name, &keys, before, after));
    assert_eq!(of("INSERT", None, Some(&before)), ["session_created"]);
    assert_eq!(of("REMOVE", Some(&before), None), ["session_ended"]);
    let mut after = before.clone();
    after.insert("revoked_at".to_owned(), AttributeValue::N("1795521600500".to_owned()));
    after.insert("revoked_reason".to_owned(), AttributeValue::S("logged_out".to_owned()));
    assert_eq!(of("MODIFY", Some(&before), Some(&after)), ["session_ended"]);
    assert!(of("MODIFY", Some(&before), Some(&before)).is_empty());
    after.insert("revoked_reason".to_owned(), AttributeValue::S("invented_later".to_owned()));
    let ended = record("MODIFY", &keys, Some(&before), Some(&after));
    let ended = serde_json::to_value(&events(&ended, NOW).unwrap()[0]).unwrap();
    assert_eq!(ended["reason"], "other");
}

#[test]
fn items_of_other_kinds_are_no_events() {
    for pk in ["name#ada", "email#ada@example.com", "outbox#1", "user#nobody", "decoy#user#1"] {
        let keys = json!({"pk": {"S": pk}});
        assert!(names(&record("INSERT", &keys, None, None)).is_empty(), "{pk}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error() {
    assert!(events(&json!(7), NOW).is_err());
    let renamed = of_user("RENAME", Some(&user()), None);
    assert!(matches!(events(&renamed, NOW), Err(StoreError::MalformedItem("eventName"))));
    // The stream has keys only.
    let without = of_user("MODIFY", None, Some(&user()));
    assert!(matches!(events(&without, NOW), Err(StoreError::MalformedItem("OldImage"))));
    for name in ["email", "email_confirmed", "password_hash", "status", "roles"] {
        let mut damaged = user();
        damaged.insert(name.to_owned(), AttributeValue::M(HashMap::new()));
        assert!(events(&of_user("INSERT", None, Some(&damaged)), NOW).is_err(), "{name}");
    }
    let mut damaged = user();
    damaged.insert("another".to_owned(), AttributeValue::M(HashMap::new()));
    assert!(events(&of_user("INSERT", None, Some(&damaged)), NOW).is_ok(), "it is not read");
}
