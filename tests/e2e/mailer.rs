//! `functions/mailer` under faults: the real function, with proxies before moto's SES and DynamoDB,
//! invoked by the stream with the template's mapping.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use local::{process::Signal, stack::StackOptions, template::EventSource};
use ratchet_core::{
    ids::{LetterId, UserId},
    key_ring::NewKey,
};
use ratchet_store::Outbox;
use serde_json::{Value, json};

use crate::support::{
    World,
    mail::{Newcomer, code, token},
    people::{early_in_the_hour, now},
    proxy::{Fault, Proxy},
    ring::known,
    run,
    world::cheap,
};

/// A stack with its own tables, and the proxies of its mailer.
struct Office {
    world: World,
    ses: Proxy,
    dynamodb: Proxy,
}

impl Office {
    async fn open(name: &str, event_sources: fn(EventSource) -> EventSource) -> Self {
        Self::with(name, event_sources, &[]).await
    }

    async fn with(
        name: &str,
        event_sources: fn(EventSource) -> EventSource,
        settings: &[(&str, &str)],
    ) -> Self {
        let services = Arc::clone(World::shared().await.stack().services());
        let ses = Proxy::before(services.secrets().endpoint()).await;
        let dynamodb = Proxy::before(services.dynamodb().endpoint()).await;
        let own = BTreeMap::from([
            ("AWS_ENDPOINT_URL_SESV2".to_owned(), ses.endpoint()),
            ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), dynamodb.endpoint()),
        ]);
        let options = StackOptions {
            name: name.to_owned(),
            services: Some(services),
            concurrency: 1,
            own_environment: BTreeMap::from([("mailer".to_owned(), own)]),
            event_sources,
            ..StackOptions::default()
        };
        let options =
            settings.iter().fold(options, |options, (name, value)| options.with(name, value));
        Self { world: World::start(cheap(options)).await, ses, dynamodb }
    }

    /// The keys of the letters that wait in the outbox.
    async fn letters(&self) -> Vec<String> {
        let scan = self.world.stack().dynamodb().scan().consistent_read(true);
        let scan = scan.table_name(&self.world.stack().data().users_table);
        let scan = scan.filter_expression("begins_with(pk, :outbox)");
        let outbox = AttributeValue::S("outbox#".to_owned());
        let found = scan.expression_attribute_values(":outbox", outbox).send().await;
        let items = found.expect("a table").items.unwrap_or_default();
        items.iter().map(|item| item["pk"].as_s().expect("a key").clone()).collect()
    }

    async fn until_empty(&self) {
        until(async || self.letters().await.is_empty()).await;
    }

    async fn register(&self) -> Newcomer {
        let newcomer = Newcomer::new();
        assert_eq!(self.world.register(&newcomer).await.status, 202);
        newcomer
    }

    /// Registers somebody, and waits until the mailer has called `operation` of `proxy`.
    async fn register_until(&self, proxy: &Proxy, operation: &str) -> Newcomer {
        let calls = proxy.calls(operation);
        let newcomer = self.register().await;
        until(async || proxy.calls(operation) > calls).await;
        newcomer
    }

    async fn count(&self, newcomer: &Newcomer) -> usize {
        self.world.mails(&newcomer.email).await.len()
    }
}

async fn until(condition: impl AsyncFn() -> bool) {
    let met = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), met).await.expect("what was waited for");
}

#[test]
fn while_ses_is_away_letters_wait_and_each_is_sent_once_when_it_is_back() {
    run(async {
        let office = Office::open("mailer-away", std::convert::identity).await;
        for fault in [
            Fault::Refuse,
            Fault::INTERNAL,
            Fault::Error(429, "TooManyRequestsException"),
            Fault::Error(400, "SendingPausedException"),
            Fault::DENIED,
            Fault::EXPIRED_CREDENTIALS,
            Fault::Truncate,
            Fault::Swallow,
        ] {
            office.ses.break_all("SendEmail", fault);
            let ada = office.register_until(&office.ses, "SendEmail").await;
            assert_eq!(
                (office.letters().await.len(), office.count(&ada).await),
                (1, 0),
                "{fault:?}"
            );
            office.ses.heal();
            office.until_empty().await;
            assert_eq!(office.count(&ada).await, 1, "{fault:?}");
        }
        // SES accepted the message, but its answer was lost: sent twice is better than never.
        office.ses.break_next("SendEmail", 1, Fault::ApplyAndDrop);
        let ada = office.register().await;
        office.until_empty().await;
        let mails = office.world.mails(&ada.email).await;
        assert_eq!(mails.len(), 2);
        assert_eq!(token(&mails[0]), token(&mails[1]));
    });
}

#[test]
fn what_the_mailer_cannot_read_or_write_comes_again() {
    run(async {
        let office = Office::open("mailer-tables", std::convert::identity).await;
        // The outbox and the user, the count of messages, the challenge, the outbox again.
        for (operation, messages) in
            [("GetItem", 1), ("UpdateItem", 1), ("PutItem", 1), ("DeleteItem", 2)]
        {
            // The number of the SDK's tries.
            office.dynamodb.break_next(operation, 3, Fault::THROTTLED);
            let ada = office.register().await;
            office.until_empty().await;
            assert_eq!(office.count(&ada).await, messages, "{operation}");
            let body = json!({"token": token(&office.world.mail(&ada.email, messages).await)});
            let confirmed = office.world.api().post("/users/confirm-email", body).await;
            assert_eq!(confirmed.status, 204, "{operation}");
        }
    });
}

#[test]
fn a_letter_that_fails_half_way_goes_on_where_it_stopped() {
    run(async {
        early_in_the_hour().await;
        let office = Office::open("mailer-several", std::convert::identity).await;
        let ada = office.register().await;
        let bob = Newcomer { email: ada.email.clone(), ..Newcomer::new() };
        assert_eq!(office.world.register(&bob).await.status, 202);
        office.world.mail(&ada.email, 2).await;
        office.until_empty().await;
        office.ses.break_after("SendEmail", 1, Fault::Refuse);
        let calls = office.ses.calls("SendEmail");
        let resend = json!({"email": ada.email});
        office.world.api().post("/users/confirm-email/resend", resend).await;
        // The second message fails, and fails again.
        until(async || office.ses.calls("SendEmail") > calls + 2).await;
        assert_eq!(office.count(&ada).await, 3);
        office.ses.heal();
        office.until_empty().await;
        let mails = office.world.mails(&ada.email).await;
        assert_eq!(mails.len(), 4, "none of them twice");
        for (of, mail) in [(&bob, &mails[2]), (&ada, &mails[3])] {
            assert!(mail.text().contains(&of.name.to_lowercase()), "{}", mail.text());
        }
        let body = json!({"token": token(&mails[3])});
        assert_eq!(office.world.api().post("/users/confirm-email", body).await.status, 204);

        // A note that comes after the letter has been removed does not bring it back.
        let table = office.world.stack().data().users_table.as_str();
        let outbox = Outbox::new(office.world.stack().dynamodb(), table);
        let (gone, user) = (LetterId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        outbox.sent(gone, user).await.unwrap();
        assert!(outbox.find(gone).await.unwrap().is_none());
        assert!(office.letters().await.is_empty());
    });
}

/// An event of the stream, as an operator sends it to have a letter sent again.
fn event(letters: &[String]) -> Value {
    let record = |letter: &String| {
        json!({
            "awsRegion": "", "eventID": "", "eventName": "INSERT",
            "dynamodb": {"Keys": {"pk": {"S": letter}}, "SequenceNumber": "0", "SizeBytes": 0},
        })
    };
    json!({"Records": letters.iter().map(record).collect::<Vec<_>>()})
}

#[test]
fn what_ses_refuses_because_of_its_recipient_holds_nobody_up_and_is_sent_when_that_is_mended() {
    run(async {
        let office = Office::open("mailer-refused", std::convert::identity).await;
        let malformed = "Local address contains control or whitespace";
        let fault = Fault::Refusal(400, "BadRequestException", malformed);
        office.ses.break_next("SendEmail", 1, fault);
        let ada = office.register_until(&office.ses, "SendEmail").await;
        let bob = office.register().await;
        office.world.mail(&bob.email, 1).await;
        until(async || office.letters().await.len() == 1).await;
        assert_eq!(office.count(&ada).await, 0);
        assert_eq!(office.ses.calls("SendEmail"), 2, "it is not tried again by itself");
        let refused = office.world.metric_lines("mailer");
        assert!(refused.iter().any(|line| line["letters_refused"] == 1), "what the alarm watches");
        // What docs/runbook.md tells operators to do.
        let answer = office.world.invoke("mailer", &event(&office.letters().await)).await;
        assert_eq!(answer, json!({"batchItemFailures": []}));
        let body = json!({"token": token(&office.world.mail(&ada.email, 1).await)});
        assert_eq!(office.world.api().post("/users/confirm-email", body).await.status, 204);
        assert!(office.letters().await.is_empty());
    });
}

#[test]
fn letters_that_ses_takes_from_nobody_wait_and_raise_an_alarm() {
    run(async {
        let office = Office::open("mailer-unverified", std::convert::identity).await;
        let unverified = "Email address is not verified. The following identities failed the check \
                          in region US-EAST-1: accounts@example.com";
        office.ses.break_all("SendEmail", Fault::Refusal(400, "MessageRejected", unverified));
        let ada = office.register_until(&office.ses, "SendEmail").await;
        until(async || office.ses.calls("SendEmail") > 2).await;
        let lines = office.world.metric_lines("mailer");
        assert!(lines.iter().any(|line| line["letters_delayed"] == 1), "what the alarm watches");
        assert!(lines.iter().all(|line| line["letters_refused"].is_null()));
        assert_eq!((office.letters().await.len(), office.count(&ada).await), (1, 0));
        office.ses.heal();
        office.until_empty().await;
        assert_eq!(office.count(&ada).await, 1);
    });
}

/// A message arrived, but SES's answer was lost. Before its letter is tried again, others are sent
/// and the ring gets another key.
#[test]
fn a_letter_that_is_tried_again_carries_what_it_carried_and_spoils_no_other() {
    run(async {
        let shared = World::shared().await;
        let secret = shared.secret("mailer-again", &known(&[]).to_string()).await;
        let settings = [
            ("RATCHET_KEY_RING_SECRET", secret.as_str()),
            ("RATCHET_KEY_RING_RELOAD_SECONDS", "1"),
        ];
        let office = Office::with("mailer-again", std::convert::identity, &settings).await;
        let ada = office.register().await;
        office.world.mail(&ada.email, 1).await;
        // The answers are lost, and the letter stays in the outbox.
        office.ses.break_all("SendEmail", Fault::ApplyAndDrop);
        let resend = json!({"email": ada.email});
        office.world.api().post("/users/confirm-email/resend", resend).await;
        until(async || office.count(&ada).await > 1).await;
        office.ses.break_all("SendEmail", Fault::Refuse);
        let delivered = office.count(&ada).await;
        let mut tag = NewKey::tag().unwrap().expose();
        tag["nbf"] = json!(now().seconds().get());
        shared.replace_secret(&secret, &known(&[tag]).to_string()).await;
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        office.ses.heal();
        office.until_empty().await;
        let mails = office.world.mails(&ada.email).await;
        let again: Vec<_> = mails[1..].iter().map(|mail| (token(mail), code(mail))).collect();
        assert!(mails.len() > delivered, "it came again");
        assert!(again.iter().all(|one| *one == again[0]), "{again:?}");
        assert_ne!(again[0].0, token(&mails[0]));
        let body = json!({"email": ada.email, "code": again[0].1});
        assert_eq!(office.world.api().post("/users/confirm-email", body).await.status, 204);
    });
}

#[test]
fn a_letter_that_cannot_be_read_holds_nobody_up() {
    run(async {
        let office = Office::open("mailer-poison", std::convert::identity).await;
        let put = async |pk: &str, rest: &[(&str, AttributeValue)]| {
            let put = office.world.stack().dynamodb().put_item();
            let put = put.table_name(&office.world.stack().data().users_table);
            let put = put.item("pk", AttributeValue::S(pk.to_owned()));
            let put = rest.iter().fold(put, |put, (name, value)| put.item(*name, value.clone()));
            put.send().await.expect("a table");
        };
        let text = |text: &str| AttributeValue::S(text.to_owned());
        // A letter of an unknown kind, and one about a user who cannot be read.
        let id = "01920000-0000-7000-8000-000000000001";
        put(&format!("outbox#{id}"), &[("kind", text("poem"))]).await;
        put(&format!("user#{id}"), &[("user_id", text(id))]).await;
        let written_at = AttributeValue::N("1780000000000".to_owned());
        let about =
            [("kind", text("registered")), ("user_id", text(id)), ("written_at", written_at)];
        put("outbox#01920000-0000-7000-8000-000000000002", &about).await;
        let ada = office.register().await;
        office.world.mail(&ada.email, 1).await;
        until(async || office.letters().await.len() == 2).await;
        let log = office.world.log_text();
        assert_eq!(log.matches("a letter cannot be read; it stays").count(), 2, "once each");
    });
}

#[test]
fn a_letter_that_cannot_be_sent_in_time_is_given_up_and_the_next_ones_go_out() {
    run(async {
        let office = Office::open("mailer-dead", |source| {
            assert_eq!(source.max_age, Duration::from_hours(6), "as the template has it");
            EventSource { max_age: Duration::from_secs(2), ..source }
        })
        .await;
        office.ses.break_all("SendEmail", Fault::Refuse);
        let ada = office.register_until(&office.ses, "SendEmail").await;
        let dead = office.world.stack().dead_letters("mailer").expect("a mapping");
        until(async || fs::read_to_string(&dead).is_ok_and(|text| text.contains("outbox#"))).await;
        office.ses.heal();
        let bob = office.register().await;
        office.world.mail(&bob.email, 1).await;
        until(async || office.letters().await.len() == 1).await;
        assert_eq!(office.count(&ada).await, 0);
        // Only time is lost: another request sends the message.
        let body = json!({"email": ada.email});
        assert_eq!(office.world.api().post("/users/confirm-email/resend", body).await.status, 202);
        let body = json!({"token": token(&office.world.mail(&ada.email, 1).await)});
        let confirmed = office.world.api().post("/users/confirm-email", body).await;
        assert_eq!(confirmed.status, 204);
    });
}

#[test]
fn killed_before_or_after_sending_the_mailer_sends_once_more_at_most_and_never_nothing() {
    run(async {
        let office = Office::open("mailer-killed", |source| {
            // The emulator does not report a killed function: the invocation has to time out.
            EventSource { timeout: Duration::from_secs(3), ..source }
        })
        .await;
        let die = || office.world.stack().signal("mailer", 1, Signal::Kill).unwrap();
        let revive = async |proxy: &Proxy| {
            proxy.heal();
            office.world.stack().restart("mailer", 1).unwrap();
            office.until_empty().await;
        };
        office.ses.break_all("SendEmail", Fault::Swallow);
        let ada = office.register_until(&office.ses, "SendEmail").await;
        die();
        revive(&office.ses).await;
        assert_eq!(office.count(&ada).await, 1, "the first one was not sent");

        office.dynamodb.break_all("DeleteItem", Fault::Swallow);
        let bob = office.register_until(&office.dynamodb, "DeleteItem").await;
        die();
        assert_eq!(office.count(&bob).await, 1);
        revive(&office.dynamodb).await;
        assert_eq!(office.count(&bob).await, 2, "once more");
        // They are the same message.
        let mails = office.world.mails(&bob.email).await;
        assert_eq!(token(&mails[0]), token(&mails[1]));
        assert_eq!(code(&mails[0]), code(&mails[1]));
        let body = json!({"email": bob.email, "code": code(&mails[0])});
        let confirmed = office.world.api().post("/users/confirm-email", body).await;
        assert_eq!(confirmed.status, 204);
    });
}
