//! `functions/mailer` when something goes wrong: the real function, between proxies before moto's SES
//! and DynamoDB, invoked by the stream as the template's mapping has it.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use local::{process::Signal, stack::StackOptions, template::EventSource};
use serde_json::json;

use crate::support::{
    World,
    mail::{Newcomer, token},
    proxy::{Fault, Proxy},
    run,
    world::cheap,
};

/// A stack with tables of its own, and what its mailer calls.
struct Office {
    world: World,
    ses: Proxy,
    dynamodb: Proxy,
}

impl Office {
    async fn open(name: &str, event_sources: fn(EventSource) -> EventSource) -> Self {
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
        Self { world: World::start(cheap(options)).await, ses, dynamodb }
    }

    /// How many letters wait in the outbox.
    async fn letters(&self) -> usize {
        let scan = self.world.stack().dynamodb().scan().consistent_read(true);
        let scan = scan.table_name(&self.world.stack().data().users_table);
        let scan = scan.filter_expression("begins_with(pk, :outbox)");
        let outbox = AttributeValue::S("outbox#".to_owned());
        let found = scan.expression_attribute_values(":outbox", outbox).send().await;
        found.expect("a table").items().len()
    }

    async fn until_empty(&self) {
        until(async || self.letters().await == 0).await;
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
            assert_eq!((office.letters().await, office.count(&ada).await), (1, 0), "{fault:?}");
            office.ses.heal();
            office.until_empty().await;
            assert_eq!(office.count(&ada).await, 1, "{fault:?}");
        }
        // It took the message, and nobody heard: the same one again is better than none.
        office.ses.break_next("SendEmail", 1, Fault::ApplyAndDrop);
        let ada = office.register().await;
        office.until_empty().await;
        let mails = office.world.mails(&ada.email).await;
        assert_eq!(mails.len(), 2);
        assert_eq!(token(&mails[0]), token(&mails[1]));
    });
}

#[test]
fn what_the_mailer_can_not_read_or_write_comes_again() {
    run(async {
        let office = Office::open("mailer-tables", std::convert::identity).await;
        // The outbox and the user, the count of messages, the challenge, the outbox again.
        for (operation, messages) in
            [("GetItem", 1), ("UpdateItem", 1), ("PutItem", 1), ("DeleteItem", 2)]
        {
            // As often as the SDK tries it.
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
fn what_ses_refuses_for_good_holds_nobody_up() {
    run(async {
        let office = Office::open("mailer-refused", std::convert::identity).await;
        office.ses.break_next("SendEmail", 1, Fault::Error(400, "MessageRejected"));
        let ada = office.register_until(&office.ses, "SendEmail").await;
        let bob = office.register().await;
        office.world.mail(&bob.email, 1).await;
        until(async || office.letters().await == 1).await;
        assert_eq!(office.count(&ada).await, 0, "it stays for whoever looks into it");
        assert_eq!(office.ses.calls("SendEmail"), 2, "and is not tried again");
    });
}

#[test]
fn a_letter_that_can_not_be_read_holds_nobody_up() {
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
        // One that says nothing known, and one that is about a user who can not be read.
        let id = "01920000-0000-7000-8000-000000000001";
        put(&format!("outbox#{id}"), &[("kind", text("poem"))]).await;
        put(&format!("user#{id}"), &[("user_id", text(id))]).await;
        let written_at = AttributeValue::N("1780000000000".to_owned());
        let about =
            [("kind", text("registered")), ("user_id", text(id)), ("written_at", written_at)];
        put("outbox#01920000-0000-7000-8000-000000000002", &about).await;
        let ada = office.register().await;
        office.world.mail(&ada.email, 1).await;
        until(async || office.letters().await == 2).await;
        let log = office.world.log_text();
        assert_eq!(log.matches("can not be read; it is left").count(), 2, "once each");
    });
}

#[test]
fn a_letter_that_can_not_be_sent_in_time_is_given_up_and_the_next_ones_go_out() {
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
        until(async || office.letters().await == 1).await;
        assert_eq!(office.count(&ada).await, 0);
        // Nothing is lost but time: whoever asks again gets what was not sent.
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
            // The emulator does not tell that a function is gone: its time has to be over.
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
        assert_eq!(office.count(&ada).await, 1, "nobody had got it");

        office.dynamodb.break_all("DeleteItem", Fault::Swallow);
        let bob = office.register_until(&office.dynamodb, "DeleteItem").await;
        die();
        assert_eq!(office.count(&bob).await, 1);
        revive(&office.dynamodb).await;
        assert_eq!(office.count(&bob).await, 2, "once more");
        // Both are good, until one is used.
        let body = |mail| json!({"token": token(mail)});
        let mails = office.world.mails(&bob.email).await;
        let api = office.world.api();
        assert_eq!(api.post("/users/confirm-email", body(&mails[0])).await.status, 204);
        let second = api.post("/users/confirm-email", body(&mails[1])).await;
        assert_eq!(second.code(), "invalid_proof");
    });
}
