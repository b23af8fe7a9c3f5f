//! `functions/publisher` under faults: the real function before a bus that fails as told, invoked by
//! the streams of both tables with the template's mappings.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::{AttributeValue, StreamSpecification, StreamViewType};
use local::{
    process::Signal,
    services::{Data, Services},
    stack::StackOptions,
    template::EventSource,
};
use ratchet_core::{ids::UserId, password::PhcHash};
use serde_json::{Value, json};

use crate::support::{
    Answer, World,
    bus::{Bus, Trouble},
    items::ids,
    mail::{Newcomer, token},
    run,
    world::cheap,
};

/// Tables like those of a deployment with a bus.
pub(crate) async fn tables_with_streams(services: &Services) -> Data {
    let data = Data::create(services).await.unwrap_or_else(|error| panic!("{error}"));
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages)
        .build()
        .unwrap();
    let update = services.dynamodb().client().update_table().stream_specification(stream);
    update.table_name(&data.tokens_table).send().await.unwrap();
    data
}

/// A stack with its own tables and a bus.
struct Press {
    world: World,
    bus: Bus,
}

impl Press {
    async fn open(name: &str, event_sources: fn(EventSource) -> EventSource) -> Self {
        let services = Arc::clone(World::shared().await.stack().services());
        let bus = Bus::start().await;
        let own = BTreeMap::from([
            ("AWS_ENDPOINT_URL_EVENTBRIDGE".to_owned(), bus.endpoint().to_owned()),
            ("RATCHET_EVENT_BUS".to_owned(), "events-of-tests".to_owned()),
        ]);
        let options = StackOptions {
            name: name.to_owned(),
            data: Some(tables_with_streams(&services).await),
            services: Some(services),
            concurrency: 1,
            own_environment: BTreeMap::from([("publisher".to_owned(), own)]),
            conditions: vec!["HasEventBus"],
            event_sources,
            ..StackOptions::default()
        };
        Self { world: World::start(cheap(options).with("RATCHET_MAX_SESSIONS", 3)).await, bus }
    }

    /// Waits until exactly these events of a user have been published, each at least once.
    async fn expect(&self, user_id: UserId, names: &[&str]) {
        let mut names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        let met = async {
            while self.bus.names(user_id) != names {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(40), met).await;
        assert!(waited.is_ok(), "{:?} instead of {names:?}", self.bus.names(user_id));
    }

    async fn until_called(&self) {
        let calls = self.bus.calls();
        let met = async {
            while self.bus.calls() < calls + 2 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(40), met).await.expect("a call and another try");
    }

    async fn ask(&self, method: &str, path: &str, access: &str, body: Value, status: u16) {
        let request = self.world.api().request(method, path).bearer_auth(access).json(&body);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    }
}

/// The events of a person that a test puts into the table.
const PERSON: [&str; 3] = ["user_registered", "email_confirmed", "roles_changed"];

#[test]
fn what_happens_to_an_account_is_published_and_nothing_else() {
    run(async {
        let press = Press::open("publisher", std::convert::identity).await;
        let (world, api) = (&press.world, press.world.api());
        let ada = Newcomer::new();
        assert_eq!(world.register(&ada).await.status, 202);
        let body = json!({"token": token(&world.mail(&ada.email, 1).await)});
        assert_eq!(api.post("/users/confirm-email", body).await.status, 204);
        let here = api.authenticate(&ada.name, &ada.password).await.tokens();
        let id = ids(&here.refresh).user_id;
        let mut expected = vec!["user_registered", "email_confirmed", "session_created"];
        press.expect(id, &expected).await;

        // Refreshes and refused sign-ins are no events.
        let here = api.refresh(&here.refresh).await.tokens();
        assert_eq!(api.authenticate(&ada.name, "canary is wrong").await.status, 401);
        let there = api.authenticate(&ada.name, &ada.password).await.tokens();
        assert_eq!(api.logout(&there.refresh).await.status, 204);
        expected.extend(["session_created", "session_ended"]);
        press.expect(id, &expected).await;

        let new = format!("{} again", ada.password);
        let other = api.authenticate(&ada.name, &ada.password).await.tokens();
        let body = json!({"current": ada.password, "new": new, "keep_this_session": true});
        press.ask("POST", "/users/me/password", &here.access, body, 204).await;
        assert_eq!(api.refresh(&other.refresh).await.code(), "revoked");
        expected.extend(["session_created", "session_ended", "password_changed"]);
        press.expect(id, &expected).await;

        let moved = format!("moved-{}", ada.email);
        let body = json!({"email": moved, "password": new});
        press.ask("PATCH", "/users/me", &here.access, body, 202).await;
        let body = json!({"token": token(&world.mail(&moved, 1).await)});
        assert_eq!(api.post("/users/confirm-email", body).await.status, 204);
        expected.push("email_changed");
        press.expect(id, &expected).await;

        press.ask("DELETE", "/users/me", &here.access, json!({"password": new}), 204).await;
        expected.extend(["user_deleted", "session_ended"]);
        press.expect(id, &expected).await;

        let reasons: Vec<_> = press.bus.about(id);
        let reasons = reasons.iter().filter_map(|one| one["Detail"]["reason"].as_str());
        let reasons: Vec<_> = reasons.collect();
        for reason in ["logged_out", "password_changed", "user_disabled"] {
            assert!(reasons.contains(&reason), "{reasons:?}");
        }
        let text = press.bus.text().to_lowercase();
        for secret in [&ada.name, &ada.email, "canary", "rt1_", "argon2", "example.com"] {
            assert!(!text.contains(&secret.to_lowercase()), "{secret} left the table");
        }
        let created = &press.bus.about(id)[0];
        assert_eq!(
            (&created["Source"], &created["EventBusName"]),
            (&json!("ratchet"), &json!("events-of-tests"))
        );
        assert!(created["Time"].is_number() && created["Detail"]["occurred_at"].is_u64());
        let lines = world.metric_lines("publisher");
        assert!(lines.iter().any(|line| line["events_published"].is_u64()));
    });
}

#[test]
fn changes_by_administrators_second_factors_reuse_and_evictions_are_published() {
    run(async {
        let press = Press::open("publisher-more", std::convert::identity).await;
        let (world, api) = (&press.world, press.world.api());
        let root = world.person_with(|new| new.user.roles = vec!["admin".to_owned()]).await;
        let access = world.sign_in(&root).await.access;

        // A hash that is renewed is no changed password.
        let imported = "$2b$04$t2hZJO738UQX3yVB7hn77e29pPTQYLs6R..6GBEbAFN/t/yBM1KSi";
        let bob = |new: &mut ratchet_store::NewUser| {
            new.password_hash = PhcHash::import(imported).unwrap();
        };
        let bob = world.person_with(bob).await;
        let signed_in = api.authenticate(&bob.name, "correct horse battery staple").await;
        assert_eq!(signed_in.status, 200);
        press.expect(bob.id, &[&PERSON[..], &["session_created"]].concat()).await;

        let enrolled = world.enrolled().await;
        let id = enrolled.person.id;
        let mut expected = [&PERSON[..], &["session_created", "second_factor_enabled"]].concat();
        press.expect(id, &expected).await;
        let body = json!({"password": enrolled.person.password, "code": enrolled.app.code()});
        press.ask("DELETE", "/users/me/totp", &enrolled.tokens.access, body, 204).await;
        expected.push("second_factor_disabled");
        press.expect(id, &expected).await;

        let path = format!("/users/{id}");
        for body in [
            json!({"status": "disabled"}),
            json!({"status": "active", "roles": ["editor"], "claims": {"plan": "pro"}}),
            json!({"status": "disabled"}),
            json!({"status": "active"}),
        ] {
            press.ask("PATCH", &path, &access, body, 200).await;
        }
        expected.extend(["user_disabled", "user_enabled", "user_disabled", "user_enabled"]);
        expected.extend(["roles_changed", "claims_changed", "session_ended"]);
        press.expect(id, &expected).await;

        // An old token, and four sign-ins where three sessions may be.
        let (person, first) = world.signed_in().await;
        let second = api.refresh(&first.refresh).await.tokens();
        let third = api.refresh(&second.refresh).await.tokens();
        world.age_superseded(&third.refresh, Duration::from_hours(1)).await;
        assert_eq!(api.refresh(&first.refresh).await.code(), "reuse_detected");
        let expected =
            [&PERSON[..], &["session_created", "reuse_detected", "session_ended"]].concat();
        press.expect(person.id, &expected).await;
        let person = world.person().await;
        for _ in 0..4 {
            world.sign_in(&person).await;
        }
        let created = ["session_created"; 4];
        press.expect(person.id, &[&PERSON[..], &created[..], &["session_ended"]].concat()).await;
        let ended = press.bus.about(person.id);
        assert!(ended.iter().any(|one| one["Detail"]["reason"] == "evicted"), "{ended:?}");
    });
}

#[test]
fn whatever_the_bus_does_each_event_arrives_with_one_id() {
    run(async {
        let press = Press::open("publisher-faults", std::convert::identity).await;
        for trouble in [
            Trouble::Error(400, "ThrottlingException"),
            Trouble::Error(500, "InternalException"),
            Trouble::Error(400, "AccessDeniedException"),
            Trouble::Error(400, "ExpiredTokenException"),
            Trouble::Error(404, "ResourceNotFoundException"),
            Trouble::Partial("ThrottlingException"),
            Trouble::Partial("InternalFailure"),
            Trouble::AnswerLost,
            Trouble::Garbage,
            Trouble::Incomplete,
            Trouble::Silence,
        ] {
            press.bus.trouble(Some(trouble));
            let (person, _) = press.world.signed_in().await;
            press.until_called().await;
            press.bus.trouble(None);
            press.expect(person.id, &[&PERSON[..], &["session_created"]].concat()).await;
        }
        let lines = press.world.metric_lines("publisher");
        assert!(lines.iter().any(|line| line["events_delayed"].is_u64()), "what the alarm watches");
        assert!(lines.iter().all(|line| line["events_refused"].is_null()));
    });
}

#[test]
fn what_cannot_be_read_or_is_refused_for_good_holds_nobody_up() {
    run(async {
        let press = Press::open("publisher-poison", std::convert::identity).await;
        let id = "01920000-0000-7000-8000-000000000001";
        let put = press.world.stack().dynamodb().put_item();
        let put = put.item("pk", AttributeValue::S(format!("user#{id}")));
        let put = put.item("email", AttributeValue::Bool(true));
        put.table_name(&press.world.stack().data().users_table).send().await.unwrap();
        press.bus.trouble(Some(Trouble::Name("roles_changed", "MalformedDetail")));
        let (person, _) = press.world.signed_in().await;
        press.expect(person.id, &["user_registered", "email_confirmed", "session_created"]).await;
        // The records of one item come in order, those of several need not.
        let texts =
            ["a record cannot be read; it is left out", "the bus refuses an event; it is left out"];
        let counted = || {
            let lines = press.world.metric_lines("publisher");
            lines.iter().any(|line| line["events_refused"].is_u64())
        };
        while !texts.iter().all(|text| press.world.log_text().contains(text)) || !counted() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = press.world.log_text();
        assert_eq!(texts.map(|text| log.matches(text).count()), [1, 1], "once each");
        assert!(log.contains(&format!("user {id}")), "the log says whose");
    });
}

#[test]
fn events_that_cannot_be_published_in_time_are_given_up_and_can_be_published_later() {
    run(async {
        let press = Press::open("publisher-dead", |source| {
            assert_eq!(source.max_age, Duration::from_hours(6), "as the template has it");
            EventSource { max_age: Duration::from_secs(1), ..source }
        })
        .await;
        press.bus.trouble(Some(Trouble::Error(400, "AccessDeniedException")));
        let person = press.world.person().await;
        let dead = press.world.stack().dead_letters("publisher").expect("a mapping");
        let given_up = || fs::read_to_string(&dead).unwrap_or_default();
        let met = async {
            while !given_up().contains(&person.id.to_string()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(40), met).await.expect("a dead letter");
        press.bus.trouble(None);
        let next = press.world.person().await;
        press.expect(next.id, &PERSON).await;
        press.expect(person.id, &[]).await;
        // What docs/runbook.md tells operators to do.
        for line in given_up().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let event = json!({"Records": line["records"]});
            let answer = press.world.invoke("publisher", &event).await;
            assert_eq!(answer, json!({"batchItemFailures": []}));
        }
        press.expect(person.id, &PERSON).await;
    });
}

#[test]
fn killed_with_events_in_hand_the_publisher_publishes_them_when_it_is_back() {
    run(async {
        let press = Press::open("publisher-killed", |source| {
            // The emulator does not report a killed function: the invocation has to time out.
            EventSource { timeout: Duration::from_secs(3), ..source }
        })
        .await;
        press.bus.trouble(Some(Trouble::Silence));
        let calls = press.bus.calls();
        let (person, _) = press.world.signed_in().await;
        while press.bus.calls() == calls {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        press.world.stack().signal("publisher", 1, Signal::Kill).unwrap();
        press.bus.trouble(None);
        press.world.stack().restart("publisher", 1).unwrap();
        press.expect(person.id, &[&PERSON[..], &["session_created"]].concat()).await;
    });
}

#[test]
fn without_a_bus_records_are_not_taken_for_published() {
    run(async {
        let world = World::shared().await;
        let keys = json!({"pk": {"S": "user#01920000-0000-7000-8000-000000000001"}});
        let image = json!({
            "email": {"S": "ada@example.com"}, "email_confirmed": {"BOOL": true},
            "password_hash": {"S": "none"}, "status": {"S": "active"},
        });
        let event = json!({"Records": [{
            "eventID": "1", "eventName": "INSERT",
            "dynamodb": {"Keys": keys, "NewImage": image, "SequenceNumber": "77"},
        }]});
        let answer = world.invoke("publisher", &event).await;
        assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "77"}]}));
    });
}
