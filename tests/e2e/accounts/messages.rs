//! What messages prove, and how many there are.

use std::sync::Arc;

use local::stack::StackOptions;
use ratchet_core::{
    challenge::{MAILS_PER_HOUR, MailCode, Proof, Purpose},
    email::EmailAddress,
    entropy::random,
    ids::UserId,
    key_ring::TagKey,
    letter::{Letter, Notice},
    password::PhcHash,
    secret::TokenSecret,
};
use ratchet_store::challenges::{Challenges, Hashes};
use serde_json::json;

use crate::support::{
    World,
    api::available,
    mail::{Newcomer, code, token},
    people::{early_in_the_hour, now},
    run,
    world::cheap,
};

#[test]
fn one_token_used_twenty_times_at_once_confirms_once() {
    run(async {
        let world = World::shared().await;
        let ada = Newcomer::new();
        world.register(&ada).await;
        let body = json!({"token": token(&world.mail(&ada.email, 1).await)});
        let uses = (0..20).map(|_| {
            let (api, body) = (world.api(), body.clone());
            tokio::spawn(async move { api.post("/users/confirm-email", body).await.status })
        });
        let (mut won, mut faults) = (0, 0);
        for answer in uses.collect::<Vec<_>>() {
            match answer.await.unwrap() {
                204 => won += 1,
                // A transaction that met others too often, or a winner that was too slow to say so.
                503 => faults += 1,
                status => assert_eq!(status, 400),
            }
        }
        assert!(won == 1 || won == 0 && faults > 0, "{won} won, {faults} faults");
        assert_eq!(world.api().authenticate(&ada.name, &ada.password).await.status, 200);
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
        // Letters are sent in their order: once this one has arrived, so have the others.
        let last = Newcomer::new();
        world.register(&last).await;
        world.mail(&last.email, 1).await;
        // Beside the one that confirmed the address, which is of another kind.
        assert_eq!(world.mails(&ada.email).await.len(), 1 + MAILS_PER_HOUR);
    });
}

#[test]
fn messages_to_an_address_that_nobody_has_proved_have_no_name_in_them() {
    run(async {
        let world = World::shared().await;
        let chosen = Newcomer::new();
        world.register(&chosen).await;
        let again = Newcomer { email: chosen.email.clone(), ..Newcomer::new() };
        world.register(&again).await;
        let body = json!({"email": chosen.email});
        assert_eq!(world.api().post("/users/password-reset", body).await.status, 202);
        for number in 1..=3 {
            let text = world.mail(&chosen.email, number).await.text();
            for name in [&chosen.name, &again.name] {
                assert!(!text.contains(name), "{text}");
            }
        }
    });
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
        // At the end of an hour the owner is told twice.
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
        let drawn = || {
            let secret = TokenSecret::new(random().unwrap());
            let code = MailCode::new(random().unwrap());
            let key = TagKey::new(&[7; 32]);
            let user_id = UserId::from_bytes([1; 16]);
            let code = code.hash(Purpose::ResetPassword, user_id, &key);
            (Proof::Token(secret.hash()), Hashes { token: secret.hash(), code })
        };
        let person = world.person().await;
        let users = world.users();
        let account = users.find_account(person.id, now()).await.unwrap().unwrap();
        let former = EmailAddress::parse(&Newcomer::new().email).unwrap();
        let open = |email, hashes| {
            challenges.open(Purpose::ResetPassword, person.id, email, hashes, now())
        };
        let reset = async |proof: &Proof| {
            let notice = Notice::PasswordChanged { user_id: person.id };
            let letter = Letter::new(notice, now(), &random().unwrap());
            let new = PhcHash::new("$argon2id$another".to_owned());
            let reset = users.reset_password(person.id, proof, &new, now(), &letter).await;
            reset.unwrap().is_some()
        };
        let (late, hashes) = drawn();
        open(&former, hashes).await.unwrap();
        assert!(!reset(&late).await, "it went to another address");
        for used in [0, 1] {
            let ((first, one), (second, two)) = (drawn(), drawn());
            let (opened, also) = tokio::join!(open(&account.email, one), open(&account.email, two));
            opened.unwrap();
            also.unwrap();
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
        // Tables of its own: all tests come from one network.
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
