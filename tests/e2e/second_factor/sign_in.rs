//! Signing in with a second factor.

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::encoding::{from_base64url, to_base64url};
use serde_json::{Value, json};

use super::{is_signed_in, problem};
use crate::support::{
    Answer, World,
    api::visible,
    dpop::KeyClient,
    factor::{Authenticator, challenge, recovery_codes},
    items::ids,
    mail::token,
    people::{Person, now},
    ring::parts,
    run,
};

const COMPLETE: &str = "/authenticate/second-factor";
const ENROLL: &str = "/authenticate/second-factor/totp";

#[test]
fn password_and_code_start_a_session_that_says_so_also_after_a_refresh() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let body = json!({
            "name": enrolled.person.name, "password": enrolled.person.password, "device": "Laptop",
        });
        let asked = world.api().post("/authenticate", body).await;
        assert_eq!(asked.problem(), problem(401, "second_factor_required"));
        assert!(asked.body.contains("POST /authenticate/second-factor"), "{asked:?}");
        assert!(!asked.body.contains("access_token") && !asked.body.contains("device_token"));
        let challenge = challenge(&asked);
        let before = now().seconds().get();
        let answer = world.complete(&challenge, &enrolled.app.code()).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(
            answer.json()["device_token"].is_string() && answer.json()["recovery_codes"].is_null()
        );
        let tokens = answer.tokens();
        let claims = parts(&tokens.access).1;
        assert_eq!(claims["amr"], json!(["pwd", "otp"]));
        assert!(claims["auth_time"].as_u64().unwrap() >= before, "when both steps were done");
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        assert_eq!(parts(&next.access).1["amr"], json!(["pwd", "otp"]));
        let listed = world.api().get("/users/me/sessions", &next.access).await.json();
        let current =
            listed["sessions"].as_array().unwrap().iter().find(|it| it["current"] == true);
        assert_eq!(current.unwrap()["device"], "Laptop");
        let event = json!({"identitySource": [format!("Bearer {}", next.access)]});
        let context = world.invoke("authorizer", &event).await["context"].clone();
        assert_eq!(context["amr"], "pwd otp");
    });
}

#[test]
fn each_code_counts_once_and_so_does_each_challenge() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let first = world.challenge(&enrolled.person).await;
        let code = enrolled.app.code();
        assert!(is_signed_in(&world.complete(&first, &code).await));
        let again = world.complete(&first, &code).await;
        assert_eq!(again.problem(), problem(401, "challenge_spent"));
        let second = world.challenge(&enrolled.person).await;
        let reused = world.complete(&second, &code).await;
        assert_eq!(reused.problem(), problem(401, "invalid_code"));
        // Not a code of an earlier step either.
        let earlier = world.complete(&second, &enrolled.app.code_after(-30)).await;
        assert_eq!(earlier.problem(), problem(401, "invalid_code"));
        // The challenge is still good, for the next code.
        world.forget_steps(enrolled.person.id).await;
        assert!(is_signed_in(&world.complete(&second, &enrolled.app.code()).await));
        // A spent challenge stays spent with another good code.
        world.forget_steps(enrolled.person.id).await;
        let spent = world.complete(&first, &enrolled.app.code()).await;
        assert_eq!(spent.problem(), problem(401, "challenge_spent"));
    });
}

#[test]
fn a_clock_that_is_one_step_off_is_forgiven_and_two_steps_are_not() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        // In the middle of a step, so that no step ends meanwhile.
        while !(5..20).contains(&(now().seconds().get() % 30)) {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
        let challenge = world.challenge(&enrolled.person).await;
        for seconds in [-60, 60] {
            let refused = world.complete(&challenge, &enrolled.app.code_after(seconds)).await;
            assert_eq!(refused.problem(), problem(401, "invalid_code"), "{seconds}");
        }
        assert!(is_signed_in(&world.complete(&challenge, &enrolled.app.code_after(-30)).await));
        let challenge = world.challenge(&enrolled.person).await;
        assert!(is_signed_in(&world.complete(&challenge, &enrolled.app.code_after(30)).await));
    });
}

#[test]
fn without_the_right_password_nobody_learns_who_has_a_second_factor() {
    run(async {
        let world = World::shared().await;
        let (with, without) = (world.enrolled().await.person, world.person().await);
        let refused = |name: String| async move {
            visible(&world.api().authenticate(&name, "canary wrong").await)
        };
        let nobody = refused("nobody-at-all".to_owned()).await;
        assert_eq!(refused(with.name.clone()).await, nobody);
        assert_eq!(refused(without.name.clone()).await, nobody);
        // Nor about a user who may not sign in.
        let disabled = AttributeValue::S("disabled".to_owned());
        world.set_user(with.id, "status", disabled).await;
        assert_eq!(visible(&world.try_sign_in(&with).await), nobody);
    });
}

#[test]
fn a_forged_challenge_is_refused_without_a_call() {
    run(async {
        let (world, proxy) = World::behind_proxy("factor-garbage", &[]).await;
        let enrolled = World::shared().await.enrolled().await;
        let challenge = world.challenge(&enrolled.person).await;
        let mut bytes = from_base64url(challenge.strip_prefix("sf1_").unwrap()).unwrap();
        bytes[1] ^= 1;
        let forged = format!("sf1_{}", to_base64url(&bytes));
        let calls = proxy.calls("*");
        let refresh = &enrolled.tokens.refresh;
        for text in ["sf1_", "x", &forged, refresh, &format!("{challenge}A"), &challenge[1..]] {
            let refused = world.complete(text, &enrolled.app.code()).await;
            assert_eq!(refused.problem(), problem(401, "invalid_challenge"), "{text}");
            let refused = world.api().post(ENROLL, json!({"challenge": text})).await;
            assert_eq!(refused.problem(), problem(401, "invalid_challenge"), "{text}");
        }
        assert_eq!(proxy.calls("*"), calls);
        // A challenge is no other token.
        assert_eq!(world.api().refresh(&challenge).await.code(), "malformed");
        assert!(is_signed_in(&world.complete(&challenge, &enrolled.app.code()).await));
    });
}

#[test]
fn the_keys_of_the_ring_alone_make_no_challenge_that_counts() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let challenge = world.challenge(&enrolled.person).await;
        world.forget_challenge(&challenge).await;
        let answer = world.complete(&challenge, &enrolled.app.code()).await;
        assert_eq!(answer.problem(), problem(401, "invalid_challenge"));
        // Neither the code nor an attempt is used up.
        let challenge = world.challenge(&enrolled.person).await;
        assert_eq!(world.complete(&challenge, &enrolled.app.code()).await.status, 200);
    });
}

#[test]
fn a_challenge_does_not_survive_what_ends_all_sessions() {
    run(async {
        let world = World::shared().await;
        for change in ["password", "cut", "disabled"] {
            let enrolled = world.enrolled().await;
            let (person, access) = (&enrolled.person, &enrolled.tokens.access);
            let challenge = world.challenge(person).await;
            match change {
                "password" => {
                    let new = format!("{} and more", person.password);
                    let body =
                        json!({"current": person.password, "new": new, "keep_this_session": true});
                    let changed = world.ask("POST", "/users/me/password", access, body).await;
                    assert_eq!(changed.status, 204);
                }
                "cut" => {
                    let cut = world.api().delete("/users/me/sessions", access).await;
                    assert_eq!(cut.status, 204);
                }
                _ => {
                    let status = AttributeValue::S("disabled".to_owned());
                    world.set_user(person.id, "status", status).await;
                }
            }
            let refused = world.complete(&challenge, &enrolled.app.code()).await;
            assert_eq!(refused.problem(), problem(401, "invalid_challenge"), "{change}");
        }
    });
}

#[test]
fn a_password_reset_by_mail_leaves_the_second_factor_and_ends_challenges() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let mut person = enrolled.person.clone();
        let challenge = world.challenge(&person).await;
        let email = format!("{}@example.com", person.name.to_lowercase());
        let asked = json!({"email": email});
        assert_eq!(world.api().post("/users/password-reset", asked).await.status, 202);
        person.password = format!("{} reset", person.password);
        // The first message said that the factor was switched on.
        let body =
            json!({"token": token(&world.mail(&email, 2).await), "password": person.password});
        assert_eq!(world.api().post("/users/password-reset/confirm", body).await.status, 204);
        let refused = world.complete(&challenge, &enrolled.app.code()).await;
        assert_eq!(refused.problem(), problem(401, "invalid_challenge"));
        let challenge = world.challenge(&person).await;
        assert!(is_signed_in(&world.complete(&challenge, &enrolled.app.code()).await));
    });
}

#[test]
fn the_reset_that_first_proves_a_mailbox_removes_a_strangers_second_factor() {
    run(async {
        let setting = [("RATCHET_REQUIRE_CONFIRMED_EMAIL", "false")];
        let world = World::beside("factors-stranger", &setting).await;
        let stranger = world.person_with(|new| new.user.email_confirmed = false).await;
        let access = world.sign_in(&stranger).await.access;
        let app = world.begin_totp(&stranger, &access).await;
        let body = json!({"code": app.code()});
        let confirmed = world.ask("POST", "/users/me/totp/confirm", &access, body).await;
        assert_eq!(confirmed.status, 200, "{confirmed:?}");
        let email = format!("{}@example.com", stranger.name.to_lowercase());
        world.api().post("/users/password-reset", json!({"email": email})).await;
        let link = token(&world.mail(&email, 2).await);
        let owner = Person { password: "the owner's own sentence".to_owned(), ..stranger };
        let body = json!({"token": link, "password": owner.password});
        assert_eq!(world.api().post("/users/password-reset/confirm", body).await.status, 204);
        let tokens = world.sign_in(&owner).await;
        assert_eq!(parts(&tokens.access).1["amr"], json!(["pwd"]));
        assert!(world.users_item(&format!("factor#{}", owner.id)).await.is_none());
    });
}

#[test]
fn a_recovery_code_signs_in_once_and_a_letter_says_how_many_are_left() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let challenge = world.challenge(&enrolled.person).await;
        let typed = enrolled.recovery[2].to_uppercase().replace('-', " ");
        let answer = world.recover(&challenge, &typed).await;
        assert_eq!(parts(&answer.tokens().access).1["amr"], json!(["pwd", "otp"]));
        let challenge = world.challenge(&enrolled.person).await;
        let again = world.recover(&challenge, &enrolled.recovery[2]).await;
        assert_eq!(again.problem(), problem(401, "invalid_code"));
        assert!(is_signed_in(&world.recover(&challenge, &enrolled.recovery[3]).await));
        let email = format!("{}@example.com", enrolled.person.name.to_lowercase());
        let mail = world.mail(&email, 2).await;
        assert!(mail.subject.contains("recovery code"), "{}", mail.subject);
        assert!(mail.html.contains("recovery codes are left"), "{}", mail.html);
    });
}

#[test]
fn a_browser_completes_its_sign_in_with_a_cookie_from_its_own_origin_only() {
    run(async {
        let origin = "https://app.example";
        let world = World::beside("factor-cookie", &[("RATCHET_CORS_ORIGINS", origin)]).await;
        let enrolled = World::shared().await.enrolled().await;
        let challenge = world.challenge(&enrolled.person).await;
        let body = json!({"challenge": challenge, "code": enrolled.app.code(), "mode": "cookie"});
        let request = |origin: &str| {
            let request = world.api().request("POST", COMPLETE).header("origin", origin);
            request.header("x-ratchet", "1").json(&body)
        };
        let foreign = Answer::of(request("https://evil.example")).await;
        assert_eq!(foreign.problem(), problem(403, "forbidden_origin"));
        let answer = Answer::of(request(origin)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.json()["refresh_token"].is_null());
        assert!(answer.header("set-cookie").contains("refresh"), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), origin);
    });
}

#[test]
fn a_challenge_with_a_key_needs_a_proof_of_the_same_key() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let (client, thief) = (KeyClient::new(world).await, KeyClient::new(world).await);
        let challenge = challenge(&client.try_sign_in(&enrolled.person).await);
        let body = json!({"challenge": challenge, "code": enrolled.app.code()});
        let bare = world.api().post(COMPLETE, body.clone()).await;
        assert_eq!(bare.problem(), problem(400, "invalid_dpop_proof"));
        let stolen = thief.post(COMPLETE, &body).await;
        assert_eq!(stolen.problem(), problem(400, "invalid_dpop_proof"));
        let answer = client.post(COMPLETE, &body).await;
        assert_eq!(answer.json()["token_type"], "DPoP", "{answer:?}");
        assert!(parts(&answer.tokens().access).1["cnf"]["jkt"].is_string());
    });
}

#[test]
fn a_known_device_stays_known_through_a_second_factor() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let person = &enrolled.person;
        let challenge = world.challenge(person).await;
        let answer = world.complete(&challenge, &enrolled.app.code()).await.json();
        let device = answer["device_token"].as_str().unwrap().to_owned();
        // Strangers hold up the account, and the device is counted on its own.
        for _ in 0..8 {
            world.api().authenticate(&person.name, "canary wrong").await;
        }
        let body =
            json!({"name": person.name, "password": person.password, "device_token": device});
        let known = world.api().post("/authenticate", body).await;
        assert_eq!(known.problem(), problem(401, "second_factor_required"));
    });
}

#[test]
fn required_leads_a_user_without_one_through_setting_it_up() {
    run(async {
        let world =
            World::beside("factors-required", &[("RATCHET_SECOND_FACTOR", "required")]).await;
        let shared = World::shared().await;
        let (person, before) = shared.signed_in().await;
        let asked = world.try_sign_in(&person).await;
        assert_eq!(asked.problem(), problem(401, "second_factor_enrollment_required"));
        let challenge = challenge(&asked);
        let early = world.complete(&challenge, "123456").await;
        assert_eq!(early.problem(), problem(409, "second_factor_not_pending"));
        let forged = self::challenge(&world.try_sign_in(&person).await);
        world.forget_challenge(&forged).await;
        let refused = world.api().post(ENROLL, json!({"challenge": forged})).await;
        assert_eq!(refused.problem(), problem(401, "invalid_challenge"));
        let begun = world.api().post(ENROLL, json!({"challenge": challenge})).await;
        assert_eq!(begun.status, 200, "{begun:?}");
        let refused = world.complete(&forged, "123456").await;
        assert_eq!(refused.problem(), problem(401, "invalid_challenge"));
        // Where none is required, nobody sets one up before the first session.
        let refused = shared.api().post(ENROLL, json!({"challenge": challenge})).await;
        assert_eq!(refused.problem(), problem(401, "invalid_challenge"));
        let app = Authenticator::new(begun.json()["secret"].as_str().unwrap());
        let wrong = world.complete(&challenge, &app.wrong_code()).await;
        assert_eq!(wrong.problem(), problem(401, "invalid_code"));
        let answer = world.complete(&challenge, &app.code()).await;
        let codes = recovery_codes(&answer);
        let tokens = answer.tokens();
        assert_eq!(parts(&tokens.access).1["amr"], json!(["pwd", "otp"]));
        assert_eq!(world.api().refresh(&before.refresh).await.code(), "revoked");
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        assert_eq!(ids(&next.refresh).generation, 1, "its own session has not ended");
        // The answer was lost: the challenge is spent, and the factor is on.
        for answer in [
            world.complete(&challenge, &app.code()).await,
            world.api().post(ENROLL, json!({"challenge": challenge})).await,
        ] {
            assert_eq!(answer.problem(), problem(401, "challenge_spent"));
        }
        let asked = world.try_sign_in(&person).await;
        assert_eq!(asked.problem(), problem(401, "second_factor_required"));
        let challenge = self::challenge(&asked);
        let refused = world.api().post(ENROLL, json!({"challenge": challenge})).await;
        assert_eq!(refused.problem(), problem(401, "invalid_challenge"));
        assert!(is_signed_in(&world.recover(&challenge, &codes[0]).await));
        let me: Value = world.api().get("/users/me", &next.access).await.json();
        let mail = world.mail(me["email"].as_str().unwrap(), 1).await;
        assert!(mail.subject.contains("switched on"));
    });
}
