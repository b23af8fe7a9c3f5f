//! Guessing passwords: the limits, and that strangers do not lock owners out.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use local::{process::Signal, stack::StackOptions};
use ratchet_core::{
    attempts::{AttemptId, AttemptKey, Failures, Throttle, ThrottleDecision},
    entropy::random,
    key_ring::NewKey,
};
use ratchet_store::Attempts;
use serde_json::json;

use crate::support::{
    Answer, Api, World,
    api::visible,
    aws,
    logs::CANARY,
    people::{Person, early_in_the_hour, now},
    proxy::{Fault, Proxy},
    ring::known,
    run,
    world::cheap,
};

/// Delays that do not pass while a test runs.
const LONG: [(&str, &str); 1] = [("RATCHET_FAILURE_DELAY_SECONDS", "3600")];

impl World {
    fn attempts(&self) -> Attempts {
        Attempts::new(self.stack().dynamodb(), self.stack().data().users_table.as_str())
    }

    async fn failures(&self, name: &str) -> Option<Failures> {
        self.attempts().find(&AttemptKey::account(name)).await.expect("a readable counter")
    }

    /// Makes the last attempt at an account look as if it had been this much earlier.
    async fn age_attempts(&self, name: &str, by: Duration) {
        let last = self.failures(name).await.expect("a counter").last.minus(by);
        self.set_attempts(name, "last_at", AttributeValue::N(last.get().to_string())).await;
    }

    async fn set_attempts(&self, name: &str, attribute: &str, value: AttributeValue) {
        let update = self.stack().dynamodb().update_item();
        update
            .table_name(&self.stack().data().users_table)
            .key("pk", AttributeValue::S(AttemptKey::account(name).to_string()))
            .update_expression("SET #name = :value")
            .expression_attribute_names("#name", attribute)
            .expression_attribute_values(":value", value)
            .send()
            .await
            .expect("a changed counter");
    }

    async fn guess(&self, name: &str) -> Answer {
        self.api().authenticate(name, &format!("{CANARY} guessed")).await
    }

    async fn guess_with(&self, name: &str, password: &str, device_token: &str) -> Answer {
        let body = json!({"name": name, "password": password, "device_token": device_token});
        self.api().post("/authenticate", body).await
    }

    async fn device_token(&self, person: &Person) -> String {
        let answer = self.try_sign_in(person).await;
        answer.json()["device_token"].as_str().expect("a device token").to_owned()
    }
}

fn refused(answer: &Answer) -> u64 {
    assert_eq!(answer.problem(), (429, "too_many_attempts".to_owned()), "{answer:?}");
    answer.header("retry-after").parse().expect("seconds")
}

#[test]
fn the_sixth_guess_waits_and_the_right_password_begins_anew() {
    run(async {
        let world = World::beside("guess-delay", &LONG).await;
        let person = world.person().await;
        for _ in 0..5 {
            let answer = world.guess(&person.name).await;
            assert_eq!(answer.problem(), (401, "invalid_credentials".to_owned()));
        }
        let wait = refused(&world.try_sign_in(&person).await);
        assert!((3_500..=3_600).contains(&wait), "{wait}");
        assert_eq!(
            world.failures(&person.name).await.unwrap().count,
            5,
            "a refusal is not counted"
        );
        world.age_attempts(&person.name, Duration::from_secs(3_600)).await;
        assert_eq!(world.try_sign_in(&person).await.status, 200);
        assert_eq!(world.failures(&person.name).await.unwrap().count, 0);
        assert_eq!(world.guess(&person.name).await.status, 401);
    });
}

#[test]
fn unknown_names_are_delayed_and_locked_as_known_ones_are() {
    run(async {
        let world =
            World::beside("guess-unknown", &[LONG[0], ("RATCHET_MAX_FAILURES", "10")]).await;
        let person = world.person().await;
        let nobody = format!("Nobody-{}", person.id);
        for number in 0..12 {
            let (known, unknown) = (world.guess(&person.name).await, world.guess(&nobody).await);
            let (mut known, mut unknown) = (visible(&known), visible(&unknown));
            // The full second may change between the two.
            for answer in [&mut known, &mut unknown] {
                answer.1.retain(|(name, _)| name != "retry-after");
            }
            assert_eq!(known, unknown, "guess {number}");
            if number >= 5 {
                assert_eq!(known.0, 429, "guess {number}");
                let count = AttributeValue::N((number + 1).to_string());
                for name in [&person.name, &nobody] {
                    world.set_attempts(name, "failures", count.clone()).await;
                }
            }
        }
        assert_eq!(world.guess(&nobody).await.code(), "account_locked");
    });
}

#[test]
fn of_two_hundred_parallel_guesses_five_are_tried() {
    run(async {
        // The emulator holds at most a hundred requests for one function; so there are three.
        let worlds = [
            World::beside("guess-wide-1", &LONG).await,
            World::beside("guess-wide-2", &LONG).await,
            World::beside("guess-wide-3", &LONG).await,
        ];
        let person = worlds[0].person().await;
        let apis: Vec<Api> = worlds.iter().map(World::api).collect();
        let guesses: Vec<_> = (0..200)
            .map(|number| {
                let (api, name) = (apis[number % apis.len()].clone(), person.name.clone());
                let password = format!("{CANARY} {number}");
                tokio::spawn(async move { api.authenticate(&name, &password).await.status })
            })
            .collect();
        let mut tried = 0;
        for guess in guesses {
            match guess.await.unwrap() {
                401 => tried += 1,
                // Some machines cannot answer two hundred at once within the deadline.
                status => assert!([429, 503].contains(&status), "{status}"),
            }
        }
        assert!(tried <= 5, "{tried} guesses were tried");
        assert_eq!(worlds[0].failures(&person.name).await.unwrap().count, 5);
    });
}

#[test]
fn after_a_hundred_failures_in_succession_only_unlocking_helps() {
    run(async {
        let world = World::beside("guess-lock", &LONG).await;
        let person = world.person().await;
        world.guess(&person.name).await;
        let ninety_nine = AttributeValue::N("99".to_owned());
        world.set_attempts(&person.name, "failures", ninety_nine).await;
        world.age_attempts(&person.name, Duration::from_secs(3_600)).await;
        assert_eq!(world.guess(&person.name).await.status, 401, "the hundredth");
        world.age_attempts(&person.name, Duration::from_secs(300 * 24 * 3_600)).await;
        let locked = world.try_sign_in(&person).await;
        assert_eq!(locked.problem(), (429, "account_locked".to_owned()));
        assert!(!locked.header("retry-after").is_empty());
        world.attempts().forget(&AttemptKey::account(&person.name)).await.unwrap();
        assert_eq!(world.try_sign_in(&person).await.status, 200);
    });
}

#[test]
fn an_administrator_unlocks_an_account_by_enabling_it() {
    run(async {
        let world = World::beside("guess-unlock", &LONG).await;
        let person = world.person().await;
        let admin = world.person_with(|new| new.user.roles = vec!["admin".to_owned()]).await;
        let access = world.sign_in(&admin).await.access;
        for _ in 0..5 {
            world.guess(&person.name).await;
        }
        refused(&world.try_sign_in(&person).await);
        let request = world.api().request("PATCH", &format!("/users/{}", person.id));
        let request = request.bearer_auth(access).json(&json!({"status": "active"}));
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(world.try_sign_in(&person).await.status, 200);
    });
}

#[test]
fn guessing_does_not_lock_the_owners_device_out() {
    run(async {
        let world = World::beside("guess-device", &LONG).await;
        let (owner, other) = (world.person().await, world.person().await);
        let device = world.device_token(&owner).await;
        let foreign = world.device_token(&other).await;
        for _ in 0..5 {
            world.guess(&owner.name).await;
        }
        refused(&world.try_sign_in(&owner).await);
        refused(&world.guess_with(&owner.name, &owner.password, &foreign).await);
        refused(&world.guess_with(&owner.name, &owner.password, "dt1_forged").await);
        let answer = world.guess_with(&owner.name, &owner.password, &device).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        refused(&world.try_sign_in(&owner).await);
        // A stolen device token does not help to guess either.
        for _ in 0..5 {
            assert_eq!(world.guess_with(&owner.name, "canary wrong", &device).await.status, 401);
        }
        refused(&world.guess_with(&owner.name, &owner.password, &device).await);
    });
}

/// Tag keys expire with the sessions of their time, but a device is known for a year.
#[test]
fn a_device_is_known_after_the_key_that_tagged_its_token_has_ended() {
    run(async {
        let shared = World::shared().await;
        let secret = shared.secret("guess-ended-ring", &known(&[]).to_string()).await;
        let settings = [LONG[0], ("RATCHET_KEY_RING_SECRET", secret.as_str())];
        let before = World::beside("guess-before", &settings).await;
        let owner = before.person().await;
        let device = before.device_token(&owner).await;
        let mut ring = known(&[NewKey::tag().unwrap().expose()]);
        ring["keys"][1]["exp"] = json!(now().seconds().get() - 1);
        shared.replace_secret(&secret, &ring.to_string()).await;
        let after = World::beside("guess-after", &settings).await;
        for _ in 0..5 {
            after.guess(&owner.name).await;
        }
        refused(&after.try_sign_in(&owner).await);
        let answer = after.guess_with(&owner.name, &owner.password, &device).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    });
}

#[test]
fn a_device_that_has_not_signed_in_since_all_sessions_ended_is_a_strangers() {
    run(async {
        let world = World::beside("guess-cut", &LONG).await;
        let owner = world.person().await;
        let end_all = async || {
            let tokens = world.sign_in(&owner).await;
            let ended = world.api().delete("/users/me/sessions", &tokens.access).await;
            assert_eq!(ended.status, 204);
        };
        end_all().await;
        let device = world.device_token(&owner).await;
        for _ in 0..5 {
            assert_eq!(world.guess_with(&owner.name, "canary wrong", &device).await.status, 401);
        }
        refused(&world.guess_with(&owner.name, &owner.password, &device).await);
        end_all().await;
        let answer = world.guess_with(&owner.name, &owner.password, &device).await;
        assert_eq!(answer.status, 200, "what was counted with it before is over: {answer:?}");
        for _ in 0..5 {
            assert_eq!(world.guess_with(&owner.name, "canary wrong", &device).await.status, 401);
        }
        assert_eq!(world.failures(&owner.name).await.unwrap().count, 5, "as a stranger's");
        refused(&world.try_sign_in(&owner).await);
    });
}

#[test]
fn the_device_of_an_earlier_user_of_the_name_is_a_strangers() {
    run(async {
        let world = World::beside("guess-renamed", &LONG).await;
        let first = world.person().await;
        let device = world.device_token(&first).await;
        let second = world.person().await;
        world.rename(&second, &first).await;
        for _ in 0..5 {
            assert_eq!(world.guess_with(&first.name, "canary wrong", &device).await.status, 401);
        }
        assert_eq!(world.failures(&first.name).await.unwrap().count, 5);
        refused(&world.guess(&first.name).await);
    });
}

impl World {
    /// Gives the name of `former` to `heir`.
    async fn rename(&self, heir: &Person, former: &Person) {
        let put = self.stack().dynamodb().put_item();
        put.table_name(&self.stack().data().users_table)
            .item("pk", AttributeValue::S(format!("name#{}", former.name.to_lowercase())))
            .item("user_id", AttributeValue::S(heir.id.to_string()))
            .send()
            .await
            .expect("a moved name");
    }
}

#[test]
fn stuffing_many_names_from_one_network_is_refused_whatever_it_says_of_itself() {
    run(async {
        let shared = World::shared().await;
        let options = StackOptions {
            name: "guess-network".to_owned(),
            services: Some(std::sync::Arc::clone(shared.stack().services())),
            concurrency: 1,
            ..StackOptions::default()
        };
        let options = options.with("RATCHET_NETWORK_FREE_FAILURES", 10);
        let world = World::start(cheap(options.with("RATCHET_FAILURE_DELAY_SECONDS", 3_600))).await;
        let person = world.person().await;
        early_in_the_hour().await;
        for _ in 0..12 {
            assert_eq!(
                world.try_sign_in(&person).await.status,
                200,
                "what succeeds is not counted"
            );
        }
        for number in 0..13 {
            let request = world.api().request("POST", "/authenticate");
            let request = request.header("x-forwarded-for", format!("203.0.113.{number}"));
            let name = format!("somebody-{number}");
            let body = json!({"name": name, "password": format!("{CANARY} {number}")});
            let answer = Answer::of(request.json(&body)).await;
            if number < 10 {
                assert_eq!(answer.status, 401, "{number}");
            } else {
                refused(&answer);
                assert_eq!(world.failures(&name).await, None, "the account is left as it is");
            }
        }
        refused(&world.try_sign_in(&person).await);
    });
}

/// A stack with tables of its own, behind a proxy that appends the client's address.
async fn behind_trusted_proxy(name: &str, network_free_failures: u32) -> World {
    let shared = World::shared().await;
    let options = StackOptions {
        name: name.to_owned(),
        services: Some(std::sync::Arc::clone(shared.stack().services())),
        concurrency: 1,
        ..StackOptions::default()
    };
    let options = options.with("RATCHET_NETWORK_FREE_FAILURES", network_free_failures);
    let options = options.with("RATCHET_FAILURE_DELAY_SECONDS", 3_600);
    World::start(cheap(options.with("RATCHET_TRUSTED_PROXIES", "X-Forwarded-For:1"))).await
}

impl World {
    /// Guesses at another account each time.
    async fn guess_from(&self, forwarded_for: &str) -> Answer {
        let name = format!("somebody-{:032x}", u128::from_be_bytes(random().unwrap()));
        let request = self.api().request("POST", "/authenticate");
        let request = request.header("x-forwarded-for", forwarded_for);
        Answer::of(request.json(&json!({"name": name, "password": CANARY}))).await
    }
}

#[test]
fn behind_a_trusted_proxy_each_client_has_its_own_budget() {
    run(async {
        let world = behind_trusted_proxy("guess-proxy", 2).await;
        early_in_the_hour().await;
        for client in ["198.51.100.1", "198.51.100.2", "2001:db8::1"] {
            for number in 0..2 {
                // A client can put anything before the address that the proxy appends.
                let forwarded_for = format!("203.0.113.{number}, {client}");
                assert_eq!(world.guess_from(&forwarded_for).await.status, 401, "{client}");
            }
            refused(&world.guess_from(&format!("192.0.2.1, {client}")).await);
        }
    });
}

#[test]
fn the_networks_of_one_ipv6_site_share_a_larger_budget() {
    run(async {
        let world = behind_trusted_proxy("guess-site", 1).await;
        early_in_the_hour().await;
        for network in 0..16 {
            let answer = world.guess_from(&format!("2001:db8:1:{network:x}::1")).await;
            assert_eq!(answer.status, 401, "{network}");
        }
        refused(&world.guess_from("2001:db8:1:ffff::1").await);
        assert_eq!(world.guess_from("2001:db8:2:ffff::1").await.status, 401, "another site");
        // A refusal by the site was not counted for the network.
        let network = Some("2001:db8:1:ffff::1".parse().unwrap());
        let counter = world.attempts().find(&AttemptKey::network(network, now())).await.unwrap();
        assert_eq!(counter.map_or(0, |failures| failures.count), 0);
    });
}

#[test]
fn a_counter_that_cannot_be_written_is_a_fault_and_no_free_guess() {
    run(async {
        let faulty = super::faults::faulty("faults-attempts").await;
        for fault in super::faults::LASTING.into_iter().chain([Fault::ApplyAndDrop]) {
            let person = faulty.world.person().await;
            let sign_in = faulty.world.try_sign_in(&person);
            super::faults::unavailable(&faulty, "UpdateItem", fault, sign_in).await;
            assert_eq!(faulty.world.try_sign_in(&person).await.status, 200, "{fault:?}");
        }
        for fault in super::faults::PASSING {
            let person = faulty.world.person().await;
            faulty.dynamodb.break_next("UpdateItem", 1, fault);
            assert_eq!(faulty.world.try_sign_in(&person).await.status, 200, "{fault:?}");
        }
    });
}

#[test]
fn an_attempt_whose_write_was_applied_unheard_is_counted_once() {
    run(async {
        let shared = World::shared().await;
        let proxy = Proxy::before(shared.stack().services().dynamodb().endpoint()).await;
        let secrets = shared.stack().services().secrets().endpoint();
        let settings = aws::settings(&proxy.endpoint(), secrets).await;
        let table = shared.stack().data().users_table.as_str();
        let attempts = Attempts::new(settings.dynamodb(), table);
        let throttle = Throttle { free: 1, delay: Duration::from_secs(60), max: 10 };
        let key = AttemptKey::account("counted once");
        proxy.break_next("UpdateItem", 2, Fault::ApplyAndDrop);
        let attempt = AttemptId::new(random().unwrap());
        let decision = attempts.take(&key, &throttle, attempt, now()).await.unwrap();
        assert_eq!(decision, ThrottleDecision::Allow);
        assert_eq!(attempts.find(&key).await.unwrap().unwrap().count, 1);
        assert_eq!(proxy.tries("UpdateItem"), 3);
        let attempt = AttemptId::new(random().unwrap());
        let decision = attempts.take(&key, &throttle, attempt, now()).await.unwrap();
        assert!(matches!(decision, ThrottleDecision::Wait(_)), "{decision:?}");
    });
}

#[test]
fn a_damaged_counter_is_a_generic_500_and_other_accounts_are_served() {
    run(async {
        let world = World::shared().await;
        let (damaged, healthy) = (world.person().await, world.person().await);
        for (attribute, value) in [
            ("failures", AttributeValue::S("none".to_owned())),
            ("last_at", AttributeValue::Bool(true)),
        ] {
            world.attempts().forget(&AttemptKey::account(&damaged.name)).await.unwrap();
            world.guess(&damaged.name).await;
            world.set_attempts(&damaged.name, attribute, value).await;
            let answer = world.try_sign_in(&damaged).await;
            assert_eq!(answer.problem(), (500, "internal".to_owned()), "{attribute}");
            assert_eq!(world.try_sign_in(&healthy).await.status, 200);
        }
    });
}

#[test]
fn a_counter_that_was_cleaned_up_early_starts_at_nothing_and_one_that_lingers_still_counts() {
    run(async {
        let world = World::beside("guess-ttl", &LONG).await;
        let person = world.person().await;
        for _ in 0..5 {
            world.guess(&person.name).await;
        }
        let past = AttributeValue::N((now().seconds().get() - 1).to_string());
        world.set_attempts(&person.name, "expires_at", past).await;
        refused(&world.try_sign_in(&person).await);
        world.attempts().forget(&AttemptKey::account(&person.name)).await.unwrap();
        assert_eq!(world.try_sign_in(&person).await.status, 200);
    });
}

#[test]
fn killed_beside_the_counter_the_function_loses_one_attempt_at_most() {
    run(async {
        // Before the write, and after it, while the user is read.
        for (name, operation, counted) in
            [("guess-killed-before", "UpdateItem", 0), ("guess-killed-after", "GetItem", 1)]
        {
            let (world, proxy) = World::behind_proxy(name, &LONG).await;
            let person = world.person().await;
            proxy.break_all(operation, Fault::Swallow);
            let body = json!({"name": person.name, "password": format!("{CANARY} guessed")});
            let request = world.api().request("POST", "/authenticate").json(&body);
            let request = tokio::spawn(Answer::try_of(request.timeout(Duration::from_secs(10))));
            let count = async || world.failures(&person.name).await.map_or(0, |found| found.count);
            proxy.arrived(operation, 0, &request).await;
            while count().await < counted {
                assert!(!request.is_finished(), "{name}: answered before {operation}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            world.stack().signal("authenticate", 1, Signal::Kill).unwrap();
            assert!(request.await.unwrap().map_or(true, |answer| answer.status >= 500));
            proxy.heal();
            world.stack().restart("authenticate", 1).unwrap();
            assert_eq!(count().await, counted, "{name}");
            for _ in counted..5 {
                assert_eq!(world.guess(&person.name).await.status, 401, "{name}");
            }
            refused(&world.guess(&person.name).await);
        }
    });
}
