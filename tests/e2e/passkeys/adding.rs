//! Adding, listing and renaming passkeys.

use authenticator::Passkey;
use serde_json::{Value, json};

use super::problem;
use crate::support::{
    World,
    passkey::{Ceremony, Keeper, ORIGIN},
    run,
    world::cheap,
};
use local::stack::StackOptions;

const PATH: &str = "/users/me/passkeys";

#[test]
fn a_passkey_is_added_with_the_password_and_listed_and_renamed() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let access = &tokens.access;
        assert_eq!(world.api().get(PATH, access).await.json(), json!({"passkeys": []}));
        let ceremony = world.begin_passkey(&person, access).await;
        assert_eq!(ceremony.options["user"]["name"], person.name);
        let passkey = Passkey::create(&ceremony.options);
        let body = ceremony.addition(&passkey, " My phone ");
        let added = world.add_passkey(access, &body).await;
        assert_eq!(added.status, 201, "{added:?}");
        let entry = added.json();
        assert_eq!((&entry["name"], &entry["backed_up"]), (&json!("My phone"), &json!(false)));
        assert!(entry["created_at"].is_u64() && entry["last_used_at"].is_null());
        assert_eq!(world.api().get(PATH, access).await.json(), json!({"passkeys": [entry]}));
        let path = format!("{PATH}/{}", entry["id"].as_str().unwrap());
        let renamed = world.ask("PATCH", &path, access, json!({"name": "Old phone"})).await;
        assert_eq!((renamed.status, &renamed.json()["name"]), (200, &json!("Old phone")));
        // The other session goes on.
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200);
        let email = format!("{}@example.com", person.name.to_lowercase());
        let mail = world.mail(&email, 1).await;
        assert!(mail.subject.contains("was added"), "{}", mail.subject);
        // The next options name the passkey, so that no authenticator makes two.
        let next = world.begin_passkey(&person, access).await;
        assert_eq!(next.options["excludeCredentials"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_wrong_password_is_refused_and_counted() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let path = "/users/me/passkeys/options";
        for _ in 0..5 {
            let body = json!({"password": "wrong horse battery staple"});
            let refused = world.ask("POST", path, &tokens.access, body).await;
            assert_eq!(refused.problem(), problem(403, "wrong_password"));
        }
        let body = json!({"password": person.password});
        let refused = world.ask("POST", path, &tokens.access, body).await;
        assert_eq!(refused.problem(), problem(429, "too_many_attempts"));
    });
}

#[test]
fn the_same_request_again_finds_the_passkey_and_another_passkey_is_refused() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let ceremony = world.begin_passkey(&person, &tokens.access).await;
        let meanwhile = world.begin_passkey(&person, &tokens.access).await;
        let passkey = Passkey::create(&ceremony.options);
        let body = ceremony.addition(&passkey, "Phone");
        let first = world.add_passkey(&tokens.access, &body).await;
        let again = world.add_passkey(&tokens.access, &body).await;
        assert_eq!((first.status, again.status), (201, 201));
        assert_eq!(first.json(), again.json());
        let other = Passkey::create(&ceremony.options);
        let spent = world.add_passkey(&tokens.access, &ceremony.addition(&other, "Other")).await;
        assert_eq!(spent.problem(), problem(403, "invalid_passkey"));
        // Another ceremony does not add the same passkey again.
        let body = meanwhile.addition(&passkey, "Again");
        let exists = world.add_passkey(&tokens.access, &body).await;
        assert_eq!(exists.problem(), problem(409, "passkey_exists"));
        let next = world.begin_passkey(&person, &tokens.access).await;
        let excluded = world.add_passkey(&tokens.access, &next.addition(&passkey, "Again")).await;
        assert_eq!(excluded.problem(), problem(409, "passkey_exists"));
        let listed = world.api().get(PATH, &tokens.access).await.json();
        assert_eq!(listed["passkeys"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn passkeys_that_are_added_at_the_same_time_are_all_kept() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let mut bodies = Vec::new();
        for name in ["One", "Two", "Three"] {
            let ceremony = world.begin_passkey(&person, &tokens.access).await;
            bodies.push(ceremony.addition(&Passkey::create(&ceremony.options), name));
        }
        let (one, two, three) = tokio::join!(
            world.add_passkey(&tokens.access, &bodies[0]),
            world.add_passkey(&tokens.access, &bodies[1]),
            world.add_passkey(&tokens.access, &bodies[2])
        );
        let done = [one, two, three].iter().filter(|answer| answer.status == 201).count();
        let listed = world.api().get(PATH, &tokens.access).await.json();
        assert_eq!(listed["passkeys"].as_array().unwrap().len(), done);
        for body in bodies {
            assert_eq!(world.add_passkey(&tokens.access, &body).await.status, 201);
        }
        let listed = world.api().get(PATH, &tokens.access).await.json();
        assert_eq!(listed["passkeys"].as_array().unwrap().len(), 3);
    });
}

#[test]
fn a_ceremony_adds_nothing_to_another_user_or_session_or_after_log_out_everywhere() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let ceremony = world.begin_passkey(&person, &tokens.access).await;
        let passkey = Passkey::create(&ceremony.options);
        let body = ceremony.addition(&passkey, "Phone");
        let (_, stranger) = world.signed_in().await;
        let second = world.sign_in(&person).await;
        for access in [&stranger.access, &second.access] {
            let refused = world.add_passkey(access, &body).await;
            assert_eq!(refused.problem(), problem(403, "invalid_passkey"));
        }
        let others = world.api().delete("/users/me/sessions?except=current", &tokens.access).await;
        assert_eq!(others.status, 204);
        let refused = world.add_passkey(&tokens.access, &body).await;
        assert_eq!(refused.problem(), problem(403, "invalid_passkey"), "it is from before");
        // What signs in adds nothing.
        let sign_in = world.begin_passkey_sign_in().await;
        let body = json!({
            "ceremony": sign_in.text, "name": "Phone",
            "credential": passkey.registration(&ceremony.options, ORIGIN),
        });
        let refused = world.add_passkey(&tokens.access, &body).await;
        assert_eq!(refused.problem(), problem(403, "invalid_passkey"));
    });
}

#[test]
fn a_ceremony_that_the_keys_of_the_ring_alone_have_made_adds_nothing() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let ceremony = world.begin_passkey(&person, &tokens.access).await;
        let body = ceremony.addition(&Passkey::create(&ceremony.options), "Phone");
        world.forget_ceremony(&ceremony).await;
        let refused = world.add_passkey(&tokens.access, &body).await;
        assert_eq!(refused.problem(), problem(403, "invalid_passkey"));
    });
}

#[test]
fn wrong_answers_of_authenticators_are_refused() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let Ceremony { text, options } = world.begin_passkey(&person, &tokens.access).await;
        let mut passkey = Passkey::create(&options);
        let other = world.begin_passkey(&person, &tokens.access).await;
        let add = async |credential: Value| {
            let body = json!({"ceremony": text, "credential": credential, "name": "Phone"});
            world.add_passkey(&tokens.access, &body).await.problem()
        };
        let refused = problem(403, "invalid_passkey");
        let elsewhere = passkey.registration(&options, "https://evil.example");
        assert_eq!(add(elsewhere).await, refused, "a page of another site");
        let of_another = passkey.registration(&other.options, ORIGIN);
        assert_eq!(add(of_another).await, refused, "of another ceremony");
        passkey.verifies_user = false;
        assert_eq!(add(passkey.registration(&options, ORIGIN)).await, refused, "nobody verified");
        assert_eq!(add(json!({"id": "x"})).await, problem(400, "malformed_request"));
        let forged = json!({
            "ceremony": format!("pk1_{}", "A".repeat(200)), "name": "Phone",
            "credential": passkey.registration(&options, ORIGIN),
        });
        assert_eq!(world.add_passkey(&tokens.access, &forged).await.problem(), refused);
        let listed = world.api().get(PATH, &tokens.access).await.json();
        assert_eq!(listed, json!({"passkeys": []}));
    });
}

#[test]
fn a_user_has_at_most_twenty() {
    run(async {
        let world = World::shared().await;
        let Keeper { person, tokens, .. } = world.keeper().await;
        let pk = format!("passkeys#{}", person.id);
        let mut item = world.users_item(&pk).await.unwrap();
        let keys = item["keys"].as_l().unwrap().clone();
        let many = std::iter::repeat_n(keys[0].clone(), 20).collect();
        item.insert("keys".to_owned(), aws_sdk_dynamodb::types::AttributeValue::L(many));
        world.put_user_item(item).await;
        let ceremony = world.begin_passkey(&person, &tokens.access).await;
        let body = ceremony.addition(&Passkey::create(&ceremony.options), "One more");
        let refused = world.add_passkey(&tokens.access, &body).await;
        assert_eq!(refused.problem(), problem(409, "too_many_passkeys"));
    });
}

#[test]
fn names_are_checked_and_unknown_passkeys_are_not_found() {
    run(async {
        let world = World::shared().await;
        let keeper = world.keeper().await;
        let rename = async |id: &str, name: &str| {
            let path = format!("{PATH}/{id}");
            world.ask("PATCH", &path, &keeper.tokens.access, json!({"name": name})).await.problem()
        };
        for name in ["", "\u{7}", &"x".repeat(65)] {
            assert_eq!(rename(&keeper.id, name).await, problem(400, "malformed_request"));
        }
        let nobodys = "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg";
        for id in [nobodys, "x"] {
            assert_eq!(rename(id, "Phone").await, problem(404, "not_found"));
        }
        let other = world.keeper().await;
        assert_eq!(rename(&other.id, "Mine").await, problem(404, "not_found"));
    });
}

#[test]
fn without_a_relying_party_there_are_no_passkeys() {
    run(async {
        let shared = World::shared().await;
        let options = StackOptions::beside(shared.stack(), "passkeys-off");
        let options = options.with("RATCHET_PASSKEY_RP_ID", "");
        let world = World::start(cheap(options)).await;
        let (person, tokens) = world.signed_in().await;
        let body = json!({"password": person.password});
        let answer = world.ask("POST", "/users/me/passkeys/options", &tokens.access, body).await;
        assert_eq!(answer.problem(), problem(404, "not_found"));
        let answer = world.api().post("/passkeys/options", json!({})).await;
        assert_eq!(answer.problem(), problem(404, "not_found"));
    });
}
