//! Who gets no message, and proofs that sign nobody in.

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::{
    challenge::{CODE_TRIES_PER_DAY, Purpose},
    letter::MAILS_PER_HOUR,
};
use serde_json::json;

use super::{address, ask, by_code, by_link, confirm, message, problem, wrong_code};
use crate::support::{
    World,
    api::visible,
    logs::CANARY,
    mail::{Newcomer, token},
    people::{early_in_the_hour, now},
    run,
};

#[test]
fn only_a_confirmed_address_of_an_active_user_gets_a_message_and_nobody_sees_the_difference() {
    run(async {
        let world = World::shared().await;
        let (active, disabled) = (world.person().await, world.person().await);
        world.ratchet(&["users", "disable", disabled.name.as_str()]).await.done();
        let unconfirmed = world.person_with(|new| new.user.email_confirmed = false).await;
        let (waiting, unknown) = (Newcomer::new(), Newcomer::new());
        assert_eq!(world.register(&waiting).await.status, 202);
        world.mail(&waiting.email, 1).await;
        let addresses = [
            address(&disabled),
            address(&unconfirmed),
            waiting.email.clone(),
            unknown.email.clone(),
            address(&active),
        ];
        let mut answers = Vec::new();
        for email in &addresses {
            answers.push(visible(&ask(world, email).await));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        // Users whose address is not confirmed are asked to confirm it.
        for (email, number) in [(address(&unconfirmed), 1), (waiting.email.clone(), 2)] {
            let mail = world.mail(&email, number).await;
            assert!(mail.subject.starts_with("Confirm"), "{}", mail.subject);
            let refused = confirm(world, &by_link(&mail)).await;
            assert_eq!(refused.problem(), problem(400, "invalid_proof"));
        }
        let mail = world.mail(&address(&active), 1).await;
        assert!(mail.subject.starts_with("Sign in"), "{}", mail.subject);
        // That letter was the last one.
        for email in [address(&disabled), unknown.email.clone()] {
            assert!(world.mails(&email).await.is_empty(), "{email}");
        }
        let mut refusals = Vec::new();
        for email in &addresses {
            let mut body = wrong_code(&mail);
            body["email"] = json!(email);
            let refused = confirm(world, &body).await;
            assert_eq!(refused.problem(), problem(400, "invalid_proof"), "{email}");
            refusals.push(visible(&refused));
        }
        refusals.dedup();
        assert_eq!(refusals.len(), 1, "{refusals:?}");
    });
}

#[test]
fn a_request_and_a_wrong_code_make_the_same_calls_for_any_address() {
    run(async {
        let (world, proxy) = World::behind_proxy("email-calls", &[]).await;
        let shared = World::shared().await;
        let person = shared.person().await;
        let wrong = wrong_code(&message(shared, &person).await);
        let operations = ["GetItem", "UpdateItem", "PutItem", "TransactWriteItems"];
        let mut seen = Vec::new();
        for email in [address(&person), Newcomer::new().email] {
            let before = operations.map(|operation| proxy.tries(operation));
            assert_eq!(ask(&world, &email).await.status, 202);
            let asked = operations.map(|operation| proxy.tries(operation));
            let mut body = wrong.clone();
            body["email"] = json!(email);
            assert_eq!(confirm(&world, &body).await.code(), "invalid_proof");
            let after = operations.map(|operation| proxy.tries(operation));
            let made = |from: [usize; 4], to: [usize; 4]| -> Vec<usize> {
                to.iter().zip(from).map(|(to, from)| to - from).collect()
            };
            seen.push((made(before, asked), made(asked, after)));
        }
        assert_eq!(seen[0], seen[1]);
        // The count and the letter. Then two counts; the address, four challenges that it could be
        // for, the challenge and the user.
        assert_eq!(seen[0], (vec![0, 1, 1, 0], vec![7, 2, 0, 0]));
    });
}

#[test]
fn codes_can_be_tried_ten_times_a_day_and_the_link_still_works() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let message = message(world, &person).await;
        for _ in 0..CODE_TRIES_PER_DAY {
            let refused = confirm(world, &wrong_code(&message)).await;
            assert_eq!(refused.problem(), problem(400, "invalid_proof"));
        }
        let right = confirm(world, &by_code(&message)).await;
        assert_eq!(right.problem(), problem(400, "invalid_proof"), "even the right one");
        assert_eq!(confirm(world, &by_link(&message)).await.status, 200);
        assert!(world.log_text().matches("wrong_message").count() >= CODE_TRIES_PER_DAY);
    });
}

#[test]
fn an_address_gets_six_messages_an_hour() {
    run(async {
        early_in_the_hour().await;
        let world = World::shared().await;
        let person = world.person().await;
        let mut last = message(world, &person).await;
        for _ in 1..MAILS_PER_HOUR {
            last = message(world, &person).await;
        }
        assert_eq!(ask(world, &address(&person)).await.status, 202);
        let other = world.person().await;
        message(world, &other).await;
        assert_eq!(world.mails(&address(&person)).await.len(), MAILS_PER_HOUR);
        assert_eq!(confirm(world, &by_code(&last)).await.status, 200);
    });
}

#[test]
fn a_message_is_for_its_own_purpose_and_time() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let email = address(&person);
        let reset = json!({"email": email});
        assert_eq!(world.api().post("/users/password-reset", reset).await.status, 202);
        let reset = world.mail(&email, 1).await;
        for body in [by_link(&reset), by_code(&reset)] {
            assert_eq!(confirm(world, &body).await.problem(), problem(400, "invalid_proof"));
        }
        let mail = message(world, &person).await;
        let body = json!({"token": token(&mail), "password": format!("{CANARY} words for good")});
        let refused = world.api().post("/users/password-reset/confirm", body).await;
        assert_eq!(refused.problem(), problem(400, "invalid_proof"));
        expire(world, &format!("challenge#{}#{}", Purpose::EmailSignIn.as_str(), person.id)).await;
        for body in [by_link(&mail), by_code(&mail)] {
            assert_eq!(confirm(world, &body).await.problem(), problem(400, "invalid_proof"));
        }
    });
}

#[test]
fn what_is_malformed_or_forged_is_refused() {
    run(async {
        let world = World::shared().await;
        let both = json!({"token": "rm1_AAAA", "email": "ada@example.com", "code": "123456"});
        let named = json!({"email": "ada@example.com", "code": "123456", "name": "ada"});
        let long = json!({"token": "rm1_AAAA", "device": "x".repeat(41)});
        for body in [json!({}), json!({"code": "123456"}), both, named, long] {
            let refused = confirm(world, &body).await;
            assert_eq!(refused.problem(), problem(400, "malformed_request"), "{body}");
        }
        for token in ["rm1_AAAA", "x"] {
            let refused = confirm(world, &json!({"token": token})).await;
            assert_eq!(refused.problem(), problem(400, "invalid_proof"));
        }
    });
}

/// Makes the messages of a challenge look as if they had just expired.
async fn expire(world: &World, key: &str) {
    let mut item = world.users_item(key).await.expect("a challenge");
    let Some(AttributeValue::L(messages)) = item.get_mut("messages") else { panic!("none") };
    let past = (now().seconds().get() - 1).to_string();
    for message in messages {
        let AttributeValue::M(message) = message else { panic!("no map") };
        message.insert("expires_at".to_owned(), AttributeValue::N(past.clone()));
    }
    world.put_user_item(item).await;
}
