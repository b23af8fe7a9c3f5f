//! What a step-up answers, and what it changes.

use ratchet_core::session::RevocationReason;
use serde_json::json;

use super::{STEP_UP, access_of, authentication, problem};
use crate::support::{Answer, World, dpop::KeyClient, items::ids, people::now, ring::parts, run};

#[test]
fn a_code_refreshes_auth_time_and_amr_in_this_and_in_later_tokens() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let tokens = enrolled.tokens;
        world.set_number(&tokens.refresh, "auth_time", 1_700_000_000_000).await;
        let before = world.session(&tokens.refresh).await.unwrap();
        let begun = now().seconds().get();
        let answer = world.step_up(&tokens.access, json!({"code": enrolled.app.code()})).await;
        let access = access_of(&answer);
        let body = answer.json();
        assert_eq!(
            (body["token_type"].as_str(), body["expires_in"].as_u64()),
            (Some("Bearer"), Some(300))
        );
        assert!((150..300).contains(&body["refresh_after"].as_u64().unwrap()), "{body}");
        assert_eq!(body.as_object().unwrap().len(), 4, "no refresh token: {body}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let (at, amr, step_up) = authentication(&access);
        assert!(begun <= at && at <= now().seconds().get());
        assert_eq!((amr, step_up), (json!(["otp"]), true));
        let (old, new) = (parts(&tokens.access).1, parts(&access).1);
        for claim in ["iss", "sub", "aud", "client_id", "sid", "name", "roles"] {
            assert_eq!(old[claim], new[claim], "{claim}");
        }
        // The session is the same, and so is its end.
        let after = world.session(&tokens.refresh).await.unwrap();
        assert_eq!(after.stepped_up.map(|it| it.at.seconds().get()), Some(at));
        assert_eq!(ratchet_core::session::Session { stepped_up: None, ..after }, before);
        // A refresh repeats both, and is no step-up.
        let mut refresh = tokens.refresh;
        for _ in 0..2 {
            let next = world.api().refresh(&refresh).await.tokens();
            assert_eq!(authentication(&next.access), (at, json!(["otp"]), false));
            refresh = next.refresh;
        }
    });
}

#[test]
fn a_password_is_enough_without_a_second_factor_and_only_without() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let body = json!({"password": person.password});
        let access = world.stepped_up(&tokens.access, body.clone()).await;
        let (_, amr, step_up) = authentication(&access);
        assert_eq!((amr, step_up), (json!(["pwd"]), true));
        let with_code = world.step_up(&tokens.access, json!({"code": "123456"})).await;
        assert_eq!(with_code.problem(), problem(409, "second_factor_not_enabled"));

        let enrolled = world.enrolled().await;
        let body = json!({"password": enrolled.person.password});
        let refused = world.step_up(&enrolled.tokens.access, body).await;
        assert_eq!(refused.problem(), problem(401, "insufficient_user_authentication"));
        let challenge = r#"Bearer realm="ratchet", error="insufficient_user_authentication", amr_values="otp hwk""#;
        assert_eq!(refused.header("www-authenticate"), challenge);
        let body = json!({"password": enrolled.person.password, "code": enrolled.app.code()});
        let access = world.stepped_up(&enrolled.tokens.access, body).await;
        assert_eq!(authentication(&access).1, json!(["pwd", "otp"]));
    });
}

#[test]
fn each_step_up_says_only_what_was_proved_then() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let (id, access) = (enrolled.person.id, &enrolled.tokens.access);
        let both = json!({"password": enrolled.person.password, "code": enrolled.app.code()});
        assert_eq!(authentication(&world.stepped_up(access, both).await).1, json!(["pwd", "otp"]));
        world.forget_steps(id).await;
        let code = json!({"code": enrolled.app.code()});
        assert_eq!(authentication(&world.stepped_up(access, code).await).1, json!(["otp"]));
        let next = world.api().refresh(&enrolled.tokens.refresh).await.tokens();
        assert_eq!(authentication(&next.access).1, json!(["otp"]));
    });
}

#[test]
fn a_recovery_code_counts_once_and_is_announced() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let access = &enrolled.tokens.access;
        let email = world.api().get("/users/me", access).await.json()["email"].clone();
        let body = json!({"recovery_code": enrolled.recovery[0]});
        let stepped_up = world.stepped_up(access, body.clone()).await;
        assert_eq!(authentication(&stepped_up).1, json!(["otp"]));
        let again = world.step_up(access, body).await;
        assert_eq!(again.problem(), problem(403, "invalid_code"));
        // The first message says that the second factor is on.
        let mail = world.mail(email.as_str().unwrap(), 2).await;
        assert!(mail.subject.contains("recovery code") && mail.text().contains("9 recovery codes"));
        let item = world.users_item(&format!("factor#{}", enrolled.person.id)).await.unwrap();
        assert_eq!(item["recovery"].as_bs().unwrap().len(), 9);
    });
}

#[test]
fn wrong_passwords_and_codes_are_counted_and_locked_as_on_other_routes() {
    run(async {
        let settings = [("RATCHET_FREE_FAILURES", "2"), ("RATCHET_MAX_FAILURES", "10")];
        let world = World::beside("step-up-guessing", &settings).await;
        let (person, tokens) = world.signed_in().await;
        let wrong = json!({"password": "canary no"});
        for _ in 0..2 {
            let answer = world.step_up(&tokens.access, wrong.clone()).await;
            assert_eq!(answer.problem(), problem(403, "wrong_password"));
        }
        // The counter is that of the session's other confirmations.
        let body = json!({"password": person.password});
        let refused = world.step_up(&tokens.access, body.clone()).await;
        assert_eq!(refused.problem(), problem(429, "too_many_attempts"));
        let refused = world.ask("DELETE", "/users/me", &tokens.access, body).await;
        assert_eq!(refused.problem(), problem(429, "too_many_attempts"));

        let enrolled = World::shared().await.enrolled().await;
        let access = &enrolled.tokens.access;
        let wrong = json!({"code": enrolled.app.wrong_code()});
        for _ in 0..2 {
            let answer = world.step_up(access, wrong.clone()).await;
            assert_eq!(answer.problem(), problem(403, "invalid_code"));
        }
        let right = json!({"code": enrolled.app.code()});
        let refused = world.step_up(access, right).await;
        assert_eq!(refused.problem(), problem(429, "too_many_attempts"));
        // The counter is that of sign-ins.
        let challenge = world.challenge(&enrolled.person).await;
        let refused = world.complete(&challenge, &enrolled.app.code()).await;
        assert_eq!(refused.problem(), problem(429, "too_many_attempts"));
    });
}

#[test]
fn a_bound_session_needs_its_proof_and_gets_a_bound_token() {
    run(async {
        let world = World::shared().await;
        let (client, person) = (KeyClient::new(world).await, world.person().await);
        let tokens = client.sign_in(&person).await;
        let body = json!({"password": person.password});
        let bearer = world.step_up(&tokens.access, body.clone()).await;
        assert_eq!(bearer.status, 401, "{bearer:?}");
        assert!(world.session(&tokens.refresh).await.unwrap().stepped_up.is_none());
        let send = |access: String, body: serde_json::Value, path: &'static str| {
            let client = &client;
            async move {
                client.send(("POST", path), Some(&access), |request| request.json(&body)).await
            }
        };
        let answer: Answer = send(tokens.access.clone(), body, STEP_UP).await;
        assert_eq!(answer.json()["token_type"], "DPoP");
        let access = access_of(&answer);
        assert_eq!(parts(&access).1["cnf"], parts(&tokens.access).1["cnf"]);
        assert_eq!(client.get("/users/me", &access).await.status, 200);
        // The challenge has the scheme of the token.
        let refused: Answer = send(access, json!({}), "/users/me/totp").await;
        assert_eq!(refused.problem(), problem(401, "insufficient_user_authentication"));
        let challenge = refused.header("www-authenticate");
        let expected = r#"DPoP realm="ratchet", error="insufficient_user_authentication", max_age="300", amr_values="otp hwk", algs="#;
        assert!(challenge.starts_with(expected), "{challenge}");
    });
}

#[test]
fn where_second_factors_are_disabled_the_password_is_enough() {
    run(async {
        let settings = [("RATCHET_SECOND_FACTOR", "disabled")];
        let world = World::beside("step-up-disabled", &settings).await;
        let enrolled = World::shared().await.enrolled().await;
        let access = &enrolled.tokens.access;
        let code = world.step_up(access, json!({"code": enrolled.app.code()})).await;
        assert_eq!(code.problem(), problem(409, "second_factor_not_enabled"));
        let body = json!({"password": enrolled.person.password});
        assert_eq!(authentication(&world.stepped_up(access, body).await).1, json!(["pwd"]));
    });
}

#[test]
fn an_ended_session_and_a_disabled_user_do_not_step_up() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let (id, tokens) = (enrolled.person.id, &enrolled.tokens);
        let session = ids(&tokens.refresh).session_id;
        let reason = RevocationReason::EndedByUser;
        world.sessions().revoke(id, session, reason, now()).await.unwrap();
        let body = json!({"code": enrolled.app.code()});
        let ended = world.step_up(&tokens.access, body.clone()).await;
        assert_eq!(ended.problem(), problem(401, "session_ended"));
        // No code was used up.
        let challenge = world.challenge(&enrolled.person).await;
        let tokens = world.complete(&challenge, &enrolled.app.code()).await.tokens();
        world.forget_steps(id).await;
        let status = aws_sdk_dynamodb::types::AttributeValue::S("disabled".to_owned());
        world.set_user(id, "status", status).await;
        let disabled = world.step_up(&tokens.access, body).await;
        assert_eq!(disabled.problem(), problem(401, "session_ended"));
        assert!(world.session(&tokens.refresh).await.unwrap().stepped_up.is_none());
    });
}

#[test]
fn it_is_recorded_with_its_methods_and_without_secrets() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        world.stepped_up(&enrolled.tokens.access, json!({"code": enrolled.app.code()})).await;
        let log = world.log_text();
        let session = ids(&enrolled.tokens.refresh).session_id.to_string();
        let is_ours = |line: &&str| line.contains("\"stepped_up\"") && line.contains(&session);
        let line = log.lines().find(is_ours).expect("the event");
        assert!(line.contains(r#""amr":"otp""#), "{line}");
    });
}
