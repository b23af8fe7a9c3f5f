use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

const RECORD: Record<'static> = Record { id: "record-1", at: UnixSeconds::new(2_000) };

fn user_id() -> UserId {
    UserId::from_bytes([7; 16])
}

fn session_id() -> SessionId {
    SessionId::generate(UnixMillis::new(1_000_000), &[1; 10])
}

fn user() -> UserState {
    UserState {
        email: "ada@example.com".to_owned(),
        email_confirmed: true,
        password_hash: PhcHash::new("$argon2id$canary".to_owned()),
        roles: vec!["reader".to_owned()],
        ..UserState::unknown()
    }
}

fn session() -> SessionState {
    SessionState {
        began_at: UnixMillis::new(1_400_000),
        expires_at: UnixSeconds::new(5_000),
        absolute_expires_at: UnixSeconds::new(9_000),
        ended: None,
    }
}

fn names(events: &[DomainEvent]) -> Vec<&'static str> {
    events.iter().map(DomainEvent::name).collect()
}

fn updated(change: impl FnOnce(&mut UserState)) -> Vec<DomainEvent> {
    let mut after = user();
    change(&mut after);
    of_user(user_id(), &Change::Updated { before: user(), after }, RECORD)
}

fn of(change: &Change<SessionState>) -> Vec<DomainEvent> {
    of_session(user_id(), session_id(), change, RECORD)
}

/// One event of each kind.
fn every_event() -> Vec<DomainEvent> {
    let mut all = of_user(user_id(), &Change::Created(user()), RECORD);
    all.extend(updated(|user| user.email = "bob@example.com".to_owned()));
    all.extend(updated(|user| {
        user.password_hash = PhcHash::new("other".to_owned());
        user.cut = Some(UnixMillis::new(1));
    }));
    all.extend(updated(|user| user.second_factor = true));
    let before = UserState { second_factor: true, status: UserStatus::Disabled, ..user() };
    all.extend(of_user(user_id(), &Change::Updated { before, after: user() }, RECORD));
    all.extend(updated(|user| user.status = UserStatus::Disabled));
    all.extend(updated(|user| user.claims = Some("{}".to_owned())));
    let deleted = Change::Deleted { before: user(), by_ttl: false };
    all.extend(of_user(user_id(), &deleted, RECORD));
    all.extend(of(&Change::Created(session())));
    let reason = EndReason::Revoked(RevocationReason::ReuseDetected);
    let after = SessionState { ended: Some((UnixMillis::new(3_000_000), reason)), ..session() };
    all.extend(of(&Change::Updated { before: session(), after }));
    all
}

#[test]
fn each_change_of_a_user_is_its_event() {
    type Edit = fn(&mut UserState);
    let changes: [(Edit, &str); 5] = [
        (|user| user.roles.clear(), "roles_changed"),
        (|user| user.claims = Some("{}".to_owned()), "claims_changed"),
        (|user| user.second_factor = true, "second_factor_enabled"),
        (|user| user.status = UserStatus::Disabled, "user_disabled"),
        (|user| user.email = "bob@example.com".to_owned(), "email_changed"),
    ];
    for (change, expected) in changes {
        assert_eq!(names(&updated(change)), [expected]);
    }
}

#[test]
fn a_renewed_hash_and_a_cut_are_no_changed_password() {
    assert!(updated(|user| user.password_hash = PhcHash::new("other".to_owned())).is_empty());
    assert!(updated(|user| user.cut = Some(UnixMillis::new(5))).is_empty());
    let both = updated(|user| {
        user.password_hash = PhcHash::new("other".to_owned());
        user.cut = Some(UnixMillis::new(5));
    });
    assert_eq!(names(&both), ["password_changed"]);
}

#[test]
fn one_write_may_be_several_events() {
    let before = UserState { email_confirmed: false, second_factor: true, ..user() };
    let mut after = user();
    after.password_hash = PhcHash::new("other".to_owned());
    after.cut = Some(UnixMillis::new(5));
    let events = of_user(user_id(), &Change::Updated { before, after }, RECORD);
    assert_eq!(names(&events), ["email_confirmed", "password_changed", "second_factor_disabled"]);
}

#[test]
fn a_new_user_is_told_from_nothing() {
    let events = of_user(user_id(), &Change::Created(user()), RECORD);
    assert_eq!(names(&events), ["user_registered", "email_confirmed", "roles_changed"]);
    let unconfirmed = UserState { email_confirmed: false, roles: Vec::new(), ..user() };
    let events = of_user(user_id(), &Change::Created(unconfirmed), RECORD);
    assert_eq!(names(&events), ["user_registered"]);
}

#[test]
fn what_expires_is_no_event() {
    let expired = UserState { expires_at: Some(UnixSeconds::new(2_000)), ..user() };
    // In a replica, the deletion by TTL looks like any other.
    for (before, by_ttl) in [(expired, false), (user(), true)] {
        assert!(of_user(user_id(), &Change::Deleted { before, by_ttl }, RECORD).is_empty());
    }
    let waiting = UserState { expires_at: Some(UnixSeconds::new(2_001)), ..user() };
    let deleted = Change::Deleted { before: waiting, by_ttl: false };
    assert_eq!(names(&of_user(user_id(), &deleted, RECORD)), ["user_deleted"]);
    let expired = SessionState { expires_at: UnixSeconds::new(2_000), ..session() };
    for (before, by_ttl) in [(expired, false), (session(), true)] {
        assert!(of(&Change::Deleted { before, by_ttl }).is_empty());
    }
    let reason = EndReason::Revoked(RevocationReason::EndedEverywhere);
    let after = SessionState { ended: Some((UnixMillis::new(5_000_000), reason)), ..session() };
    assert!(of(&Change::Updated { before: session(), after }).is_empty());
}

#[test]
fn a_session_begins_once_and_ends_once() {
    let created = of(&Change::Created(session()));
    assert_eq!(names(&created), ["session_created"]);
    assert_eq!(created[0].occurred_at(), UnixSeconds::new(1_400), "when the user had signed in");
    let refreshed = SessionState { expires_at: UnixSeconds::new(6_000), ..session() };
    assert!(of(&Change::Updated { before: session(), after: refreshed }).is_empty());
    let reason = EndReason::Revoked(RevocationReason::LoggedOut);
    let ended = SessionState { ended: Some((UnixMillis::new(3_000_500), reason)), ..session() };
    let events = of(&Change::Updated { before: session(), after: ended.clone() });
    assert_eq!(names(&events), ["session_ended"]);
    assert_eq!(events[0].occurred_at(), UnixSeconds::new(3_000));
    assert!(of(&Change::Updated { before: ended.clone(), after: ended.clone() }).is_empty());
    assert!(of(&Change::Deleted { before: ended, by_ttl: false }).is_empty());
    let evicted = of(&Change::Deleted { before: session(), by_ttl: false });
    let reason = EndReason::Evicted;
    let happening = Happening::SessionEnded { session_id: session_id(), reason };
    assert_eq!(evicted[0].happening(), happening);
}

#[test]
fn reuse_is_an_event_of_its_own_before_the_end() {
    let reason = EndReason::Revoked(RevocationReason::ReuseDetected);
    let after = SessionState { ended: Some((UnixMillis::new(3_000_000), reason)), ..session() };
    let events = of(&Change::Updated { before: session(), after });
    assert_eq!(names(&events), ["reuse_detected", "session_ended"]);
}

#[test]
fn a_record_yields_the_same_ids_each_time_and_two_events_never_share_one() {
    let all = every_event();
    let ids: BTreeSet<_> = all.iter().map(DomainEvent::id).collect();
    assert_eq!(ids, every_event().iter().map(DomainEvent::id).collect());
    // `roles_changed` and `email_confirmed` are among the events of a new user.
    assert_eq!(ids.len(), all.len());
    let disabled = Change::Updated {
        before: user(),
        after: UserState { status: UserStatus::Disabled, ..user() },
    };
    let of_record = |id| of_user(user_id(), &disabled, Record { id, ..RECORD })[0].id().to_owned();
    assert_ne!(of_record("record-1"), of_record("record-2"), "disabled twice");
    let once = |id| {
        let change = Change::Created(session());
        of_session(user_id(), session_id(), &change, Record { id, ..RECORD })[0].id().to_owned()
    };
    assert_eq!(once("record-1"), once("record-2"), "created once, whichever stream says so");
}

#[test]
fn an_event_has_ids_times_and_reasons_only() {
    let event = &of(&Change::Created(session()))[0];
    assert_eq!(
        serde_json::to_value(event).unwrap(),
        json!({
            "id": event.id(),
            "occurred_at": 1_400,
            "user_id": user_id(),
            "session_id": session_id(),
            "expires_at": 9_000,
        })
    );
    for event in every_event() {
        let text = serde_json::to_string(&event).unwrap();
        for secret in ["canary", "example.com", "reader", "argon2"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

/// What docs/events.schema.json says, as far as it uses JSON Schema.
fn fits(schema: &Value, value: &Value, definitions: &Value) -> bool {
    let rule = |name: &str| schema.get(name);
    let listed = |name: &str| rule(name).and_then(Value::as_array).into_iter().flatten();
    if let Some(reference) = rule("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap();
        return fits(&definitions[name], value, definitions);
    }
    let is_type = rule("type").is_none_or(|kind| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "integer" => value.is_u64(),
        "string" => value.is_string(),
        other => panic!("{other}"),
    });
    let is_uuid = rule("format").is_none_or(|format| {
        assert_eq!(format, "uuid");
        value.as_str().is_some_and(|text| text.parse::<UserId>().is_ok())
    });
    let closed = rule("additionalProperties") == Some(&json!(false));
    let members = rule("properties").and_then(Value::as_object).is_none_or(|known| {
        let members = value.as_object().unwrap();
        members.iter().all(|(name, member)| match known.get(name) {
            Some(schema) => fits(schema, member, definitions),
            None => !closed,
        })
    });
    is_type
        && is_uuid
        && members
        && rule("const").is_none_or(|only| only == value)
        && (rule("enum").is_none() || listed("enum").any(|one| one == value))
        && listed("required").all(|name| value.get(name.as_str().unwrap()).is_some())
        && (rule("oneOf").is_none()
            || listed("oneOf").filter(|one| fits(one, value, definitions)).count() == 1)
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../docs/events.schema.json")).unwrap()
}

#[test]
fn the_schema_describes_every_event_and_no_other() {
    let schema = schema();
    let mut described: BTreeSet<_> = schema["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["properties"]["detail-type"]["const"].as_str().unwrap().to_owned())
        .collect();
    for event in every_event() {
        let envelope = json!({"source": SOURCE, "detail-type": event.name(), "detail": event});
        assert!(fits(&schema, &envelope, &schema["$defs"]), "{envelope}");
        described.remove(event.name());
        for name in envelope["detail"].as_object().unwrap().keys() {
            let mut broken = envelope.clone();
            broken["detail"].as_object_mut().unwrap().remove(name);
            assert!(
                !fits(&schema, &broken, &schema["$defs"]),
                "{name} is not required: {envelope}"
            );
        }
        let mut more = envelope.clone();
        more["detail"]["email"] = json!("ada@example.com");
        assert!(!fits(&schema, &more, &schema["$defs"]), "{more}");
    }
    assert!(described.is_empty(), "no event is {described:?}");
}

#[test]
fn the_schema_lists_every_reason() {
    let listed = schema()["$defs"]["reason"]["enum"].clone();
    let listed: BTreeSet<String> = serde_json::from_value(listed).unwrap();
    let revoked = RevocationReason::all().map(EndReason::Revoked);
    let all = revoked.chain([EndReason::Evicted, EndReason::Other]);
    assert_eq!(listed, all.map(|reason| reason.as_str().to_owned()).collect());
}
