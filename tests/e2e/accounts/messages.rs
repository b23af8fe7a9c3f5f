//! The proofs in messages, and the number of messages.

use std::{sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use local::stack::StackOptions;
use ratchet_core::{
    challenge::{CODE_TRIES_PER_DAY, Hashes, LetterSecrets, Proof, Purpose},
    email::EmailAddress,
    entropy::random,
    ids::LetterId,
    key_ring::TagKey,
    letter::{Letter, MAILS_PER_HOUR, Notice, UNCONFIRMED_PER_HOUR},
    password::PhcHash,
};
use ratchet_store::{Challenges, ResetResult};
use serde_json::{Value, json};

use crate::support::{
    Answer, World,
    api::{available, visible},
    logs::CANARY,
    mail::{Newcomer, code, token},
    people::{early_in_the_hour, now},
    run,
    world::cheap,
};

/// How often an address was confirmed, by the security events about a user.
fn confirmations(world: &World, user_id: &str) -> usize {
    let text = world.log_text();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["change"] == "email_confirmed" && line["user_id"] == user_id).count()
}

#[test]
fn one_token_used_twenty_times_at_once_confirms_once() {
    run(async {
        let world = World::shared().await;
        let ada = Newcomer::new();
        world.register(&ada).await;
        let body = json!({"token": token(&world.mail(&ada.email, 1).await)});
        let uses = (0..20).map(|_| {
            let (api, body) = (world.api(), body.clone());
            tokio::spawn(async move {
                available(|| api.post("/users/confirm-email", body.clone())).await.status
            })
        });
        for answer in uses.collect::<Vec<_>>() {
            assert_eq!(answer.await.unwrap(), 204, "a repeated request is done too");
        }
        let tokens = world.api().authenticate(&ada.name, &ada.password).await.tokens();
        let me = world.api().get("/users/me", &tokens.access).await.json();
        assert_eq!(confirmations(world, me["id"].as_str().unwrap()), 1);
    });
}

#[test]
fn the_same_reset_again_is_done_and_another_one_is_refused() {
    run(async {
        let world = World::shared().await;
        let api = world.api();
        let path = "/users/password-reset/confirm";
        for by_code in [false, true] {
            let ada = world.member().await;
            api.post("/users/password-reset", json!({"email": ada.email})).await;
            let mail = world.mail(&ada.email, 2).await;
            let proof = if by_code {
                json!({"email": ada.email, "code": code(&mail)})
            } else {
                json!({"token": token(&mail)})
            };
            let with = |password: &str| {
                let mut body = proof.clone();
                body["password"] = json!(password);
                body
            };
            let (new, other) =
                (format!("{CANARY} words for good"), format!("{CANARY} another set"));
            assert_eq!(api.post(path, with(&new)).await.status, 204);
            let tokens = api.authenticate(&ada.name, &new).await.tokens();
            assert_eq!(api.post(path, with(&new)).await.status, 204, "by code: {by_code}");
            assert_eq!(api.post(path, with(&other)).await.code(), "invalid_proof");
            assert_eq!(api.authenticate(&ada.name, &new).await.status, 200);
            assert_eq!(api.refresh(&tokens.refresh).await.status, 200, "nothing ended again");
            // The other secret of the message is used up.
            let half = if by_code {
                json!({"token": token(&mail), "password": new})
            } else {
                json!({"email": ada.email, "code": code(&mail), "password": new})
            };
            assert_eq!(api.post(path, half).await.code(), "invalid_proof");
            // Once the password has changed again, repeating the request fails.
            let body = json!({"current": new, "new": other, "keep_this_session": true});
            let change = api.request("POST", "/users/me/password").bearer_auth(&tokens.access);
            assert_eq!(Answer::of(change.json(&body)).await.status, 204);
            assert_eq!(api.post(path, with(&new)).await.code(), "invalid_proof");
        }
    });
}

#[test]
fn a_used_message_is_no_way_to_guess_the_password() {
    run(async {
        let world = World::shared().await;
        let (api, ada) = (world.api(), world.member().await);
        api.post("/users/password-reset", json!({"email": ada.email})).await;
        let token = token(&world.mail(&ada.email, 2).await);
        let path = "/users/password-reset/confirm";
        let body = |password: &str| json!({"token": token, "password": password});
        let new = format!("{CANARY} words for good");
        assert_eq!(api.post(path, body(&new)).await.status, 204);
        for number in 0..CODE_TRIES_PER_DAY {
            let guess = api.post(path, body(&format!("{CANARY} guess number {number}"))).await;
            assert_eq!(guess.code(), "invalid_proof");
        }
        assert_eq!(api.post(path, body(&new)).await.code(), "invalid_proof", "the right one too");
    });
}

#[test]
fn a_link_that_expired_stays_expired_however_often_others_are_requested() {
    run(async {
        let world = World::shared().await;
        let (api, ada) = (world.api(), world.member().await);
        let asked = json!({"email": ada.email});
        api.post("/users/password-reset", asked.clone()).await;
        let first = token(&world.mail(&ada.email, 2).await);
        world.expire_messages(&ada, Purpose::ResetPassword).await;
        api.post("/users/password-reset", asked).await;
        let second = token(&world.mail(&ada.email, 3).await);
        let reset = async |token: &str| {
            let body = json!({"token": token, "password": format!("{CANARY} words for good")});
            api.post("/users/password-reset/confirm", body).await
        };
        assert_eq!(reset(&first).await.code(), "invalid_proof");
        assert_eq!(reset(&second).await.status, 204);
    });
}

impl World {
    /// Makes all messages of a challenge look as if they had just expired.
    async fn expire_messages(&self, ada: &Newcomer, purpose: Purpose) {
        let name = self.users_item(&format!("name#{}", ada.name.to_lowercase())).await.unwrap();
        let id = name["user_id"].as_s().unwrap();
        let key = format!("challenge#{}#{id}", purpose.as_str());
        let mut item = self.users_item(&key).await.expect("a challenge");
        let Some(AttributeValue::L(messages)) = item.get_mut("messages") else { panic!("none") };
        assert_eq!(messages.len(), 1);
        let Some(AttributeValue::M(message)) = messages.first_mut() else { panic!("no map") };
        let past = (now().seconds().get() - 1).to_string();
        message.insert("expires_at".to_owned(), AttributeValue::N(past));
        self.put_user_item(item).await;
    }
}

/// Wrong codes make the same calls for a known address and an unknown one, however many arrive at
/// once. They write only the counter of their address, so they contend for nothing else.
#[test]
fn ten_codes_at_once_look_the_same_for_a_known_and_an_unknown_address() {
    run(async {
        let shared = World::shared().await;
        let (world, proxy) = World::behind_proxy("accounts-codes", &[]).await;
        let ada = shared.member().await;
        shared.api().post("/users/password-reset", json!({"email": ada.email})).await;
        let mail = shared.mail(&ada.email, 2).await;
        let wrong = if code(&mail) == "000000" { "000001" } else { "000000" };
        let mut seen = Vec::new();
        for email in [&ada.email, &Newcomer::new().email] {
            let operations = ["GetItem", "UpdateItem", "PutItem", "TransactWriteItems"];
            let before = operations.map(|operation| proxy.tries(operation));
            let body = json!({
                "email": email, "code": wrong, "password": format!("{CANARY} words enough"),
            });
            let tries = (0..10).map(|_| {
                let (api, body) = (world.api(), body.clone());
                tokio::spawn(async move { api.post("/users/password-reset/confirm", body).await })
            });
            let mut answers = Vec::new();
            for answer in tries.collect::<Vec<_>>() {
                answers.push(visible(&answer.await.unwrap()));
            }
            let after = operations.map(|operation| proxy.tries(operation));
            let made: Vec<_> =
                after.iter().zip(before).map(|(after, before)| after - before).collect();
            seen.push((answers, made));
        }
        assert_eq!(seen[0], seen[1]);
        // Two counts; the address, four challenges that it could be for, the user twice and the
        // challenge; ten times.
        assert_eq!(seen[0].1, [80, 20, 0, 0]);
        let body = json!({"token": token(&mail), "password": format!("{CANARY} words enough")});
        assert_eq!(shared.api().post("/users/password-reset/confirm", body).await.status, 204);
    });
}

#[test]
fn codes_can_be_tried_ten_times_a_day_and_the_link_still_works() {
    run(async {
        let world = World::shared().await;
        let ada = Newcomer::new();
        world.register(&ada).await;
        let mail = world.mail(&ada.email, 1).await;
        let wrong = if code(&mail) == "000000" { "000001" } else { "000000" };
        let tries = (0..30).map(|_| {
            let (api, body) = (world.api(), json!({"email": ada.email, "code": wrong}));
            tokio::spawn(async move {
                available(|| api.post("/users/confirm-email", body.clone())).await
            })
        });
        for answer in tries.collect::<Vec<_>>() {
            assert_eq!(answer.await.unwrap().code(), "invalid_proof");
        }
        let body = json!({"email": ada.email, "code": code(&mail)});
        assert_eq!(world.api().post("/users/confirm-email", body).await.code(), "invalid_proof");
        let body = json!({"token": token(&mail)});
        assert_eq!(world.api().post("/users/confirm-email", body).await.status, 204);
    });
}

#[test]
fn a_token_of_one_purpose_is_worth_nothing_for_another() {
    run(async {
        let world = World::shared().await;
        let ada = Newcomer::new();
        world.register(&ada).await;
        let token = token(&world.mail(&ada.email, 1).await);
        let body = json!({"token": token, "password": ada.password});
        let refused = world.api().post("/users/password-reset/confirm", body).await;
        assert_eq!(refused.code(), "invalid_proof");
        let mut forged = token;
        forged.replace_range(30..31, if &forged[30..31] == "A" { "B" } else { "A" });
        let refused = world.api().post("/users/confirm-email", json!({"token": forged})).await;
        assert_eq!(refused.code(), "invalid_proof");
    });
}

#[test]
fn an_address_is_not_flooded() {
    run(async {
        let world = World::shared().await;
        early_in_the_hour().await;
        let ada = world.member().await;
        for _ in 0..12 {
            let body = json!({"email": ada.email});
            assert_eq!(world.api().post("/users/password-reset", body).await.status, 202);
        }
        world.until_sent().await;
        // Beside the one that confirmed the address, which is of another kind.
        assert_eq!(world.mails(&ada.email).await.len(), 1 + MAILS_PER_HOUR);
    });
}

impl World {
    /// Letters are sent in order: once this one has arrived, so have those before it.
    async fn until_sent(&self) {
        let last = Newcomer::new();
        self.register(&last).await;
        self.mail(&last.email, 1).await;
    }
}

#[test]
fn an_address_that_nobody_confirmed_gets_six_messages_whatever_routes_ask_for_them() {
    run(async {
        // Users may sign in without confirmation, and make changes that send notices.
        let open = [("RATCHET_REQUIRE_CONFIRMED_EMAIL", "false")];
        let world = World::beside("accounts-unconfirmed", &open).await;
        early_in_the_hour().await;
        let (api, ada) = (world.api(), Newcomer::new());
        world.register(&ada).await;
        let body = json!({"email": ada.email});
        let mut password = ada.password.clone();
        for number in 0..4 {
            let stranger = Newcomer { email: ada.email.clone(), ..Newcomer::new() };
            assert_eq!(world.register(&stranger).await.status, 202);
            api.post("/users/confirm-email/resend", body.clone()).await;
            let tokens = api.authenticate(&ada.name, &password).await.tokens();
            let new = format!("{CANARY} words number {number}");
            let change = json!({"current": password, "new": new});
            let changed = api.request("POST", "/users/me/password").bearer_auth(tokens.access);
            assert_eq!(Answer::of(changed.json(&change)).await.status, 204);
            password = new;
            api.post("/users/password-reset", body.clone()).await;
            // The next change would use up a reset that has not been sent yet.
            World::shared().await.until_sent().await;
        }
        let mails = world.mails(&ada.email).await;
        assert_eq!(mails.len(), UNCONFIRMED_PER_HOUR);
        for mail in mails {
            assert!(!mail.text().contains(&ada.name), "as the stranger wrote it: {}", mail.text());
        }
    });
}

#[test]
fn of_names_only_the_registered_one_is_in_messages_to_an_unconfirmed_address_and_is_no_link() {
    run(async {
        let world = World::shared().await;
        let taken = world.person().await.name;
        let chosen = Newcomer { name: format!("www.Evil.example-{}", unique()), ..Newcomer::new() };
        world.register(&chosen).await;
        let again = Newcomer { name: taken.clone(), ..chosen.clone() };
        world.register(&again).await;
        let body = json!({"email": chosen.email});
        assert_eq!(world.api().post("/users/password-reset", body).await.status, 202);
        let shown = chosen.name.to_lowercase().replace('.', "\u{b7}");
        for number in 1..=3 {
            let text = world.mail(&chosen.email, number).await.text();
            for name in [&chosen.name, &chosen.name.to_lowercase(), &taken] {
                assert!(!text.contains(name), "{text}");
            }
            assert_eq!(text.contains(&shown), number != 2, "{text}");
        }
    });
}

fn unique() -> u32 {
    u32::from_be_bytes(random().unwrap())
}

#[test]
fn what_strangers_register_does_not_use_up_the_owners_messages() {
    run(async {
        let world = World::shared().await;
        let ada = world.member().await;
        for _ in 0..8 {
            let stranger = Newcomer { email: ada.email.clone(), ..Newcomer::new() };
            assert_eq!(world.register(&stranger).await.status, 202);
        }
        let body = json!({"email": ada.email});
        assert_eq!(world.api().post("/users/password-reset", body).await.status, 202);
        let told = world.mail(&ada.email, 2).await;
        assert!(told.text().contains("belongs to an account already"), "{}", told.text());
        let mut number = 3;
        // Around the end of an hour the owner is notified twice.
        while !world.mail(&ada.email, number).await.html.contains("rm1_") {
            number += 1;
        }
        assert!(number <= 4, "{number}");
    });
}

#[test]
fn a_message_to_another_address_proves_nothing_and_of_two_at_once_both_are_good() {
    run(async {
        let world = World::shared().await;
        let challenges =
            Challenges::new(world.stack().dynamodb(), &world.stack().data().users_table);
        let person = world.person().await;
        let users = world.users();
        let account = users.find_account(person.id, now()).await.unwrap().unwrap();
        let former = EmailAddress::parse(&Newcomer::new().email).unwrap();
        let drawn = || {
            let (letter, key) =
                (LetterId::generate(now(), &random().unwrap()), TagKey::new(&[7; 32]));
            let secrets = LetterSecrets::derive(&key, letter, Purpose::ResetPassword, person.id);
            let hashes = secrets.hashes(&key);
            (Proof::Token(hashes.token), (letter, hashes))
        };
        let open = async |email, (letter, hashes): (LetterId, Hashes)| {
            let message = (letter, &[hashes][..]);
            challenges.open(Purpose::ResetPassword, person.id, email, message, now()).await.unwrap()
        };
        let reset = async |proof: &Proof| {
            let notice = Notice::PasswordChanged { user_id: person.id };
            let letter = Letter::new(notice, now(), &random().unwrap());
            let new = PhcHash::new("$argon2id$another".to_owned());
            let reset = users.reset_password(person.id, proof, &new, now(), &letter).await;
            matches!(reset.unwrap(), ResetResult::Reset)
        };
        let (late, message) = drawn();
        open(&former, message).await;
        assert!(!reset(&late).await, "it went to another address");
        for used in [0, 1] {
            // Letters from before a proof was used are used up.
            tokio::time::sleep(Duration::from_millis(2)).await;
            let ((first, one), (second, two)) = (drawn(), drawn());
            tokio::join!(open(&account.email, one), open(&account.email, two));
            assert!(reset([&first, &second][used]).await, "{used}");
        }
    });
}

#[test]
fn one_network_may_ask_so_much_of_accounts_and_right_proofs_do_not_count() {
    run(async {
        let shared = World::shared().await;
        let services = Arc::clone(shared.stack().services());
        let options = StackOptions {
            name: "accounts-network".to_owned(),
            services: Some(services),
            concurrency: 1,
            ..StackOptions::default()
        };
        // Separate tables, because all tests come from one network.
        let options = options
            .with("RATCHET_NETWORK_FREE_FAILURES", 4)
            .with("RATCHET_FAILURE_DELAY_SECONDS", 3_600);
        let world = World::start(cheap(options)).await;
        early_in_the_hour().await;
        let api = world.api();
        let ada = world.member().await;
        let stranger = Newcomer::new();
        let address = json!({"email": stranger.email});
        assert_eq!(api.post("/users/password-reset", address.clone()).await.status, 202);
        assert_eq!(api.post("/users/confirm-email/resend", address.clone()).await.status, 202);
        let code = json!({"email": stranger.email, "code": "000000"});
        assert_eq!(api.post("/users/confirm-email", code.clone()).await.code(), "invalid_proof");
        let mut reset = code.clone();
        reset["password"] = json!(ada.password);
        for (path, body) in [
            ("/users", stranger.body()),
            ("/users/password-reset", address.clone()),
            ("/users/confirm-email/resend", address),
            ("/users/confirm-email", code),
            ("/users/password-reset/confirm", reset),
        ] {
            let refused = api.post(path, body).await;
            assert_eq!(refused.problem(), (429, "too_many_attempts".to_owned()), "{path}");
            assert!(!refused.header("retry-after").is_empty(), "{path}");
        }
        assert_eq!(api.authenticate(&ada.name, &ada.password).await.status, 200);
    });
}
