//! `functions/accounts` and `functions/mailer`, with real messages.

use serde_json::json;

use crate::support::{
    Answer, World,
    api::visible,
    logs::CANARY,
    mail::{Newcomer, code, token},
    people::Person,
    proxy::{Fault, Proxy},
    run,
};

const INVALID: (u16, &str) = (400, "invalid_proof");

fn problem(answer: &Answer) -> (u16, String) {
    answer.problem()
}

async fn admin(world: &World) -> (Person, String) {
    let person = world.person_with(|new| new.user.roles = vec!["admin".to_owned()]).await;
    let access = world.sign_in(&person).await.access;
    (person, access)
}

async fn patch(world: &World, path: &str, access: &str, body: serde_json::Value) -> Answer {
    Answer::of(world.api().request("PATCH", path).bearer_auth(access).json(&body)).await
}

async fn post(world: &World, path: &str, access: &str, body: serde_json::Value) -> Answer {
    Answer::of(world.api().request("POST", path).bearer_auth(access).json(&body)).await
}

#[test]
fn a_user_registers_confirms_signs_in_and_resets_the_password() {
    run(async {
        let world = World::shared().await;
        let api = world.api();
        let ada = Newcomer::new();
        assert_eq!(world.register(&ada).await.status, 202);
        let early = api.authenticate(&ada.name, &ada.password).await;
        assert_eq!(early.code(), "email_not_confirmed");

        let welcome = world.mail(&ada.email, 1).await;
        assert!(welcome.text().contains(&ada.name), "{}", welcome.text());
        let body = json!({"token": token(&welcome)});
        assert_eq!(api.post("/users/confirm-email", body.clone()).await.status, 204);
        let again = api.post("/users/confirm-email", body).await;
        assert_eq!(problem(&again), (INVALID.0, INVALID.1.to_owned()), "single use");

        let tokens = api.authenticate(&ada.name, &ada.password).await.tokens();
        let tokens = api.refresh(&tokens.refresh).await.tokens();
        let shown = api.get("/users/me", &tokens.access).await.json();
        assert_eq!((&shown["name"], &shown["email"]), (&json!(ada.name), &json!(ada.email)));
        assert_eq!(shown["email_confirmed"], true);

        let body = json!({"email": ada.email});
        assert_eq!(api.post("/users/password-reset", body).await.status, 202);
        let reset = world.mail(&ada.email, 2).await;
        let new = format!("{CANARY} other words entirely");
        // What a refused password costs is not the message.
        let body = json!({"token": token(&reset), "password": CANARY});
        let refused = api.post("/users/password-reset/confirm", body).await;
        assert_eq!(problem(&refused), (422, "password_refused".to_owned()));
        let body = json!({"email": ada.email, "code": code(&reset), "password": new});
        let path = "/users/password-reset/confirm";
        assert_eq!(api.post(path, body.clone()).await.status, 204);
        assert_eq!(api.post(path, body).await.code(), "invalid_proof");
        let body = json!({"token": token(&reset), "password": new});
        assert_eq!(api.post(path, body).await.code(), "invalid_proof", "one of both is enough");

        assert_eq!(api.refresh(&tokens.refresh).await.code(), "revoked");
        let old = api.authenticate(&ada.name, &ada.password).await;
        assert_eq!(old.code(), "invalid_credentials");
        assert_eq!(api.authenticate(&ada.name, &new).await.status, 200);
        assert!(world.mail(&ada.email, 3).await.subject.contains("was changed"));
    });
}

#[test]
fn of_two_registrations_of_one_name_exactly_one_wins() {
    run(async {
        let world = World::shared().await;
        let one = Newcomer::new();
        let other = Newcomer { name: one.name.to_lowercase(), ..Newcomer::new() };
        let (first, second) = tokio::join!(world.register(&one), world.register(&other));
        assert_eq!((first.status, second.status), (202, 202));
        let subjects =
            [world.mail(&one.email, 1).await.subject, world.mail(&other.email, 1).await.subject];
        let welcome = subjects.iter().filter(|subject| subject.starts_with("Confirm")).count();
        let refused = subjects.iter().filter(|subject| subject.contains("another name")).count();
        assert_eq!((welcome, refused), (1, 1), "{subjects:?}");
    });
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
            tokio::spawn(async move { api.post("/users/confirm-email", body).await.status })
        });
        let mut won = 0;
        for answer in uses.collect::<Vec<_>>() {
            match answer.await.unwrap() {
                204 => won += 1,
                // A transaction that met others too often is a fault, and may be tried again.
                status => assert!(matches!(status, 400 | 503), "{status}"),
            }
        }
        assert_eq!(won, 1);
    });
}

#[test]
fn taken_or_free_the_answer_and_the_calls_are_the_same() {
    run(async {
        let shared = World::shared().await;
        let ada = shared.member().await;
        let proxy = Proxy::before(shared.stack().services().dynamodb().endpoint()).await;
        let settings = [("AWS_ENDPOINT_URL_DYNAMODB", &*proxy.endpoint())];
        let world = World::beside("accounts-calls", &settings).await;
        let operations =
            ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "TransactWriteItems"];
        let calls = || operations.map(|operation| proxy.calls(operation));
        let mut seen = Vec::new();
        let stranger = Newcomer::new();
        let bodies = [
            Newcomer::new().body(),
            Newcomer { email: ada.email.clone(), ..Newcomer::new() }.body(),
            Newcomer { name: ada.name.clone(), ..Newcomer::new() }.body(),
            ada.body(),
        ];
        let mut compare = async |path: &str, bodies: &[serde_json::Value]| {
            let mut all = Vec::new();
            for body in bodies {
                let before = calls();
                let answer = visible(&world.api().post(path, body.clone()).await);
                let made: Vec<_> =
                    calls().iter().zip(before).map(|(after, before)| after - before).collect();
                all.push((answer, made));
            }
            for other in &all {
                assert_eq!(other, &all[0], "{path}");
            }
            seen.push(all.remove(0));
        };
        compare("/users", &bodies).await;
        let addresses = [json!({"email": ada.email}), json!({"email": stranger.email})];
        compare("/users/password-reset", &addresses).await;
        compare("/users/confirm-email/resend", &addresses).await;
        let codes =
            [&ada.email, &stranger.email].map(|email| json!({"email": email, "code": "000000"}));
        compare("/users/confirm-email", &codes).await;
        let with_password = codes.map(|mut body| {
            body["password"] = json!(format!("{CANARY} words enough"));
            body
        });
        compare("/users/password-reset/confirm", &with_password).await;
        assert_eq!(seen[0].1, [2, 0, 0, 0, 0, 1], "two reads and a transaction");
        assert_eq!(seen[1].1, [0, 1, 0, 0, 0, 0], "one letter");
        // The owner is told, and nobody else.
        assert!(shared.mail(&ada.email, 2).await.subject.starts_with("You have an account"));
        assert!(shared.mails(&stranger.email).await.is_empty());
    });
}

#[test]
fn nothing_but_name_address_and_password_can_be_registered() {
    run(async {
        let world = World::shared().await;
        for (name, value) in
            [("roles", json!(["admin"])), ("id", json!("x")), ("email_confirmed", json!(true))]
        {
            let mut body = Newcomer::new().body();
            body[name] = value;
            assert_eq!(world.api().post("/users", body).await.code(), "malformed_request");
        }
        for (name, value) in [
            ("name", "a b"),
            ("name", "https://evil.example"),
            ("email", "nobody"),
            ("email", "a@b"),
        ] {
            let mut body = Newcomer::new().body();
            body[name] = json!(value);
            assert_eq!(world.api().post("/users", body).await.code(), "malformed_request");
        }
        let short = json!({"name": "x", "email": "x@example.com", "password": CANARY});
        assert_eq!(world.api().post("/users", short).await.code(), "password_refused");
        let closed = World::beside("closed", &[("RATCHET_SELF_SIGN_UP", "disabled")]).await;
        let refused = closed.register(&Newcomer::new()).await;
        assert_eq!(refused.problem(), (401, "missing_access_token".to_owned()));
        let (_, access) = admin(world).await;
        assert_eq!(post(&closed, "/users", &access, Newcomer::new().body()).await.status, 202);
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
            tokio::spawn(async move { api.post("/users/confirm-email", body).await })
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
fn a_changed_password_ends_the_other_sessions() {
    run(async {
        let world = World::shared().await;
        let (person, here) = world.signed_in().await;
        let there = world.sign_in(&person).await;
        let new = format!("{CANARY} quite another one");
        let path = "/users/me/password";
        let wrong = json!({"current": "not this one at all", "new": new});
        assert_eq!(post(world, path, &here.access, wrong).await.code(), "wrong_password");
        let body = json!({"current": person.password, "new": new, "keep_this_session": true});
        assert_eq!(post(world, path, &here.access, body).await.status, 204);
        assert_eq!(world.api().refresh(&there.refresh).await.code(), "revoked");
        let here = world.api().refresh(&here.refresh).await.tokens();
        let body = json!({"current": new, "new": format!("{CANARY} and one more still")});
        assert_eq!(post(world, path, &here.access, body).await.status, 204);
        assert_eq!(world.api().refresh(&here.refresh).await.code(), "revoked");
        assert_eq!(world.api().get("/users/me", &here.access).await.code(), "session_ended");
    });
}

#[test]
fn whoever_has_an_access_token_guesses_no_more_than_a_stranger_and_locks_nobody_out() {
    run(async {
        let settings = [("RATCHET_FREE_FAILURES", "3"), ("RATCHET_FAILURE_DELAY_SECONDS", "60")];
        let world = World::beside("guessing-inside", &settings).await;
        let (person, tokens) = world.signed_in().await;
        let guess =
            json!({"current": "not this one at all", "new": format!("{CANARY} quite another one")});
        for _ in 0..3 {
            let refusal = post(&world, "/users/me/password", &tokens.access, guess.clone()).await;
            assert_eq!(refusal.problem(), (403, "wrong_password".to_owned()));
        }
        // One counter for all that ask for the password; the right one is not tried either.
        let delete = world.api().request("DELETE", "/users/me").bearer_auth(&tokens.access);
        let delete = delete.json(&json!({"password": person.password}));
        let refusal = Answer::of(delete).await;
        assert_eq!(refusal.problem(), (429, "too_many_attempts".to_owned()));
        assert!(!refusal.header("retry-after").is_empty());
        assert_eq!(world.try_sign_in(&person).await.status, 200, "the owner is not locked out");
    });
}

#[test]
fn another_address_takes_effect_when_it_is_confirmed_and_the_former_is_told() {
    run(async {
        let world = World::shared().await;
        let ada = world.member().await;
        let tokens = world.api().authenticate(&ada.name, &ada.password).await.tokens();
        let new = Newcomer::new().email;
        let body = json!({"email": new, "password": "wrong words, but enough"});
        let refused = patch(world, "/users/me", &tokens.access, body).await;
        assert_eq!(refused.problem(), (403, "wrong_password".to_owned()));
        let body = json!({"email": new, "password": ada.password});
        assert_eq!(patch(world, "/users/me", &tokens.access, body).await.status, 202);
        assert!(world.mail(&ada.email, 2).await.subject.contains("about to change"));
        let mail = world.mail(&new, 1).await;
        let shown = world.api().get("/users/me", &tokens.access).await.json();
        assert_eq!((&shown["email"], &shown["pending_email"]), (&json!(ada.email), &json!(new)));
        let body = json!({"token": token(&mail)});
        assert_eq!(world.api().post("/users/confirm-email", body).await.status, 204);
        let shown = world.api().get("/users/me", &tokens.access).await.json();
        assert_eq!((&shown["email"], &shown["pending_email"]), (&json!(new), &json!(null)));
        assert!(world.mail(&ada.email, 3).await.subject.contains("was changed"));
        // The former address is free again.
        let heir = Newcomer { email: ada.email.clone(), ..Newcomer::new() };
        world.register(&heir).await;
        assert!(world.mail(&ada.email, 4).await.subject.starts_with("Confirm"));
    });
}

#[test]
fn a_deleted_user_is_gone_and_the_name_is_somebody_elses() {
    run(async {
        let world = World::shared().await;
        let ada = world.member().await;
        let tokens = world.api().authenticate(&ada.name, &ada.password).await.tokens();
        let id = world.api().get("/users/me", &tokens.access).await.json()["id"].clone();
        let delete = |password: &str| {
            let request = world.api().request("DELETE", "/users/me").bearer_auth(&tokens.access);
            Answer::of(request.json(&json!({"password": password})))
        };
        assert_eq!(delete("not the password at all").await.code(), "wrong_password");
        assert_eq!(delete(&ada.password).await.status, 204);
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 401);
        let gone = world.api().authenticate(&ada.name, &ada.password).await;
        assert_eq!(gone.code(), "invalid_credentials");
        assert_eq!(world.register(&ada).await.status, 202);
        let mail = world.mail(&ada.email, 3).await;
        let body = json!({"token": token(&mail)});
        assert_eq!(world.api().post("/users/confirm-email", body).await.status, 204);
        let tokens = world.api().authenticate(&ada.name, &ada.password).await.tokens();
        let again = world.api().get("/users/me", &tokens.access).await.json()["id"].clone();
        assert_ne!(id, again, "a `sub` is never used again");
    });
}

#[test]
fn administrators_and_nobody_else_disable_and_set_roles() {
    run(async {
        let world = World::shared().await;
        let (boss, access) = admin(world).await;
        let (person, tokens) = world.signed_in().await;
        let path = format!("/users/{}", person.id);
        for answer in [
            world.api().get(&path, &tokens.access).await,
            patch(world, &path, &tokens.access, json!({"roles": ["admin"]})).await,
            world.api().delete(&path, &tokens.access).await,
            world.api().delete(&format!("{path}/sessions"), &tokens.access).await,
            patch(world, &format!("/users/{}", boss.id), &access, json!({"roles": []})).await,
        ] {
            assert_eq!(answer.problem(), (403, "forbidden".to_owned()));
        }
        let listed = format!("/users?name={}", person.name);
        let seen = world.api().get(&listed, &access).await.json();
        assert_eq!(seen["users"][0]["status"], "active");
        assert!(seen["users"][0]["email"].is_string() && seen["users"][1].is_null(), "{seen}");
        let seen = world.api().get(&listed, &tokens.access).await.json();
        assert!(seen["users"][0]["email"].is_null(), "{seen}");

        let shown = patch(world, &path, &access, json!({"roles": ["editor"]})).await;
        assert_eq!(shown.json()["roles"], json!(["editor"]));
        let tokens = world.api().refresh(&tokens.refresh).await.tokens();
        let (_, claims) = crate::support::ring::parts(&tokens.access);
        assert_eq!(claims["roles"], json!(["editor"]), "fresh at every refresh");

        assert_eq!(world.api().delete(&format!("{path}/sessions"), &access).await.status, 204);
        assert_eq!(world.api().refresh(&tokens.refresh).await.code(), "revoked");
        let tokens = world.sign_in(&person).await;
        let shown = patch(world, &path, &access, json!({"status": "disabled"})).await;
        assert_eq!(shown.json()["status"], "disabled");
        assert_eq!(world.api().refresh(&tokens.refresh).await.code(), "user_disabled");
        assert_eq!(world.try_sign_in(&person).await.code(), "invalid_credentials");
        patch(world, &path, &access, json!({"status": "active"})).await;
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 401, "dead stays dead");
        assert_eq!(world.try_sign_in(&person).await.status, 200);
        assert_eq!(world.api().delete(&path, &access).await.status, 204);
        assert_eq!(world.api().get(&path, &access).await.code(), "not_found");
        // A role that was taken away is not enough while the token lasts.
        let roles = aws_sdk_dynamodb::types::AttributeValue::L(Vec::new());
        world.set_user(boss.id, "roles", roles).await;
        assert_eq!(world.api().get(&path, &access).await.code(), "forbidden");
    });
}

#[test]
fn a_fault_is_a_503_and_nothing_has_happened_or_all_of_it() {
    run(async {
        let shared = World::shared().await;
        let proxy = Proxy::before(shared.stack().services().dynamodb().endpoint()).await;
        let settings = [("AWS_ENDPOINT_URL_DYNAMODB", &*proxy.endpoint())];
        let world = World::beside("accounts-faults", &settings).await;
        for fault in [Fault::Refuse, Fault::THROTTLED, Fault::INTERNAL, Fault::Swallow] {
            let ada = Newcomer::new();
            for operation in ["GetItem", "TransactWriteItems"] {
                proxy.break_all(operation, fault);
                let answer = world.register(&ada).await;
                proxy.heal();
                assert_eq!(answer.problem(), (503, "unavailable".to_owned()), "{fault:?}");
                assert_eq!(answer.header("retry-after"), "1");
            }
            assert_eq!(world.register(&ada).await.status, 202, "{fault:?}");
            assert!(shared.mail(&ada.email, 1).await.subject.starts_with("Confirm"));
            proxy.break_all("PutItem", fault);
            let body = json!({"email": ada.email});
            let answer = world.api().post("/users/password-reset", body).await;
            proxy.heal();
            assert_eq!(answer.problem(), (503, "unavailable".to_owned()), "{fault:?}");
        }
        // Written, but nobody heard of it: the SDK's second try is the same transaction.
        let ada = Newcomer::new();
        proxy.break_next("TransactWriteItems", 1, Fault::ApplyAndDrop);
        assert_eq!(world.register(&ada).await.status, 202);
        assert!(shared.mail(&ada.email, 1).await.subject.starts_with("Confirm"));
    });
}

#[test]
fn an_address_is_not_flooded() {
    run(async {
        let world = World::shared().await;
        let ada = world.member().await;
        for _ in 0..12 {
            let body = json!({"email": ada.email});
            assert_eq!(world.api().post("/users/password-reset", body).await.status, 202);
        }
        // Letters are sent in their order: once this one has arrived, so have the others.
        let last = Newcomer::new();
        world.register(&last).await;
        world.mail(&last.email, 1).await;
        let count = world.mails(&ada.email).await.len();
        assert!((3..=12).contains(&count), "{count}: six an hour, of two hours at most");
    });
}
