//! From `POST /users` to the first session.

use std::time::Duration;

use serde_json::json;

use super::{INVALID, admin, post, problem};
use crate::support::{
    Answer, World,
    api::visible,
    logs::CANARY,
    mail::{Newcomer, code, token},
    proxy::Fault,
    run,
};

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
        let text = welcome.text();
        assert!(text.contains(&ada.name.to_lowercase()), "which registration it is for: {text}");
        let body = json!({"token": token(&welcome)});
        assert_eq!(api.post("/users/confirm-email", body.clone()).await.status, 204);
        assert_eq!(api.post("/users/confirm-email", body).await.status, 204, "it is done");
        let by_code = json!({"email": ada.email, "code": code(&welcome)});
        let other = api.post("/users/confirm-email", by_code).await;
        assert_eq!(problem(&other), (INVALID.0, INVALID.1.to_owned()), "one of both is enough");

        let tokens = api.authenticate(&ada.name, &ada.password).await.tokens();
        let tokens = api.refresh(&tokens.refresh).await.tokens();
        let shown = api.get("/users/me", &tokens.access).await.json();
        assert_eq!((&shown["name"], &shown["email"]), (&json!(ada.name), &json!(ada.email)));
        assert_eq!(shown["email_confirmed"], true);

        let body = json!({"email": ada.email});
        assert_eq!(api.post("/users/password-reset", body).await.status, 202);
        let reset = world.mail(&ada.email, 2).await;
        let new = format!("{CANARY} other words entirely");
        // A refused password does not use up the message.
        for refused in [CANARY.to_owned(), format!("{}!", ada.name)] {
            let body = json!({"token": token(&reset), "password": refused});
            let refused = api.post("/users/password-reset/confirm", body).await;
            assert_eq!(problem(&refused), (422, "password_refused".to_owned()));
        }
        let body = json!({"email": ada.email, "code": code(&reset), "password": new});
        let path = "/users/password-reset/confirm";
        assert_eq!(api.post(path, body).await.status, 204);
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
fn taken_or_free_the_answer_and_the_calls_are_the_same() {
    run(async {
        let shared = World::shared().await;
        let ada = shared.member().await;
        let (world, proxy) = World::behind_proxy("accounts-calls", &[]).await;
        let operations =
            ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "TransactWriteItems"];
        let calls = || operations.map(|operation| proxy.calls(operation));
        let mut seen = Vec::new();
        let (stranger, awaited) = (Newcomer::new(), Newcomer::new().email);
        let waits = || Newcomer { email: awaited.clone(), ..Newcomer::new() }.body();
        let bodies = [
            waits(),
            waits(),
            waits(),
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
        let addresses =
            [&ada.email, &stranger.email, &awaited].map(|email| json!({"email": email}));
        compare("/users/password-reset", &addresses).await;
        compare("/users/confirm-email/resend", &addresses).await;
        let codes = [&ada.email, &stranger.email, &awaited]
            .map(|email| json!({"email": email, "code": "000000"}));
        let named = [&ada.name, &stranger.name]
            .map(|name| json!({"email": ada.email, "name": name, "code": "000000"}));
        for codes in [&codes[..], &named] {
            compare("/users/confirm-email", codes).await;
            let with_password = codes.iter().map(|body| {
                let mut body = body.clone();
                body["password"] = json!(format!("{CANARY} words enough"));
                body
            });
            let with_password: Vec<_> = with_password.collect();
            compare("/users/password-reset/confirm", &with_password).await;
        }
        assert_eq!(seen[0].1, [2, 0, 1, 0, 0, 1], "a count, two reads and a transaction");
        assert_eq!(seen[1].1, [0, 1, 1, 0, 0, 0], "a count and one letter");
        // Only the owner is notified.
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
fn a_fault_is_a_503_and_nothing_has_happened_or_all_of_it() {
    run(async {
        let shared = World::shared().await;
        let (world, proxy) = World::behind_proxy("accounts-faults", &[]).await;
        let mut registered = Vec::new();
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
            registered.push(ada);
        }
        // Written, but the answer was lost: the SDK's second try is the same transaction.
        let ada = Newcomer::new();
        proxy.break_next("TransactWriteItems", 1, Fault::ApplyAndDrop);
        assert_eq!(world.register(&ada).await.status, 202);
        assert!(shared.mail(&ada.email, 1).await.subject.starts_with("Confirm"));
        // Letters are sent in order. Refused requests have written none.
        for ada in registered {
            assert_eq!(shared.mails(&ada.email).await.len(), 1);
        }
    });
}

#[test]
fn an_administrator_whose_token_does_not_count_any_more_is_no_stranger() {
    run(async {
        let world = World::beside("register-late", &[("RATCHET_ACCESS_TOKEN_SECONDS", "1")]).await;
        let (_, access) = admin(&world).await;
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        let register = world.api().request("POST", "/users").bearer_auth(access);
        let answer = Answer::of(register.json(&Newcomer::new().body())).await;
        assert_eq!(problem(&answer), (401, "expired_access_token".to_owned()));
        assert_eq!(answer.header("is-token-expired"), "true");
    });
}
