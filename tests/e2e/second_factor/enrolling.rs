//! Switching a second factor on and off, within a session.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use super::problem;
use crate::support::{
    World,
    factor::{Authenticator, recovery_codes},
    people::now,
    ring::parts,
    run,
};

const TOTP: &str = "/users/me/totp";
const CONFIRM: &str = "/users/me/totp/confirm";
const RECOVERY: &str = "/users/me/totp/recovery-codes";

#[test]
fn a_first_code_switches_it_on_and_ends_the_other_sessions_with_a_letter() {
    run(async {
        let world = World::shared().await;
        let (person, here) = world.signed_in().await;
        let there = world.sign_in(&person).await;
        let me = world.api().get("/users/me", &here.access).await.json();
        assert_eq!(me["second_factor"], false);
        let wrong = world.ask("POST", TOTP, &here.access, json!({"password": "canary no"})).await;
        assert_eq!(wrong.problem(), problem(403, "wrong_password"));

        let body = json!({"password": person.password});
        let begun = world.ask("POST", TOTP, &here.access, body).await.json();
        let secret = begun["secret"].as_str().unwrap();
        let uri = begun["uri"].as_str().unwrap();
        assert!(uri.starts_with("otpauth://totp/ratchet:Person-"), "{begun}");
        assert!(uri.contains(&format!("?secret={secret}&issuer=ratchet&")), "{begun}");
        let svg = begun["qr_svg"].as_str().unwrap();
        assert!(svg.contains("<svg ") && svg.ends_with("</svg>") && svg.len() < 40_000, "{svg}");
        assert_eq!(begun["expires_in"], 600);
        // It is not on before its first code.
        let tokens = world.sign_in(&person).await;
        assert_eq!(parts(&tokens.access).1["amr"], json!(["pwd"]));

        let app = Authenticator::new(secret);
        let body = json!({"code": app.code()});
        let codes = recovery_codes(&world.ask("POST", CONFIRM, &here.access, body).await);
        assert_eq!(codes.len(), 10);
        assert!(
            codes.iter().all(|code| code.len() == 11 && code.as_bytes()[5] == b'-'),
            "{codes:?}"
        );
        for other in [&there, &tokens] {
            assert_eq!(world.api().refresh(&other.refresh).await.code(), "revoked");
        }
        let here = world.api().refresh(&here.refresh).await.tokens();
        let me = world.api().get("/users/me", &here.access).await.json();
        assert_eq!(me["second_factor"], true);
        let email = me["email"].as_str().unwrap();
        let mail = world.mail(email, 1).await;
        assert!(mail.subject.contains("second factor") && mail.subject.contains("switched on"));
    });
}

#[test]
fn nothing_at_rest_shows_a_secret_or_a_code() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let item = world.users_item(&format!("factor#{}", enrolled.person.id)).await.unwrap();
        let text = format!("{item:?}");
        let secret = item["secret"].as_b().unwrap().as_ref();
        assert_eq!(secret.len(), 12 + 20 + 16, "nonce, ciphertext and tag");
        assert!(item["kid"].as_s().is_ok());
        assert_eq!(item["recovery"].as_bs().unwrap().len(), 10);
        for code in &enrolled.recovery {
            assert!(!text.contains(code.as_str()) && !text.contains(&code.replace('-', "")));
        }
    });
}

#[test]
fn a_confirmation_that_is_repeated_says_that_it_is_on_and_how_to_get_new_recovery_codes() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let app = world.begin_totp(&person, &tokens.access).await;
        let body = json!({"code": app.code()});
        recovery_codes(&world.ask("POST", CONFIRM, &tokens.access, body.clone()).await);
        let again = world.ask("POST", CONFIRM, &tokens.access, body).await;
        assert_eq!(again.problem(), problem(409, "second_factor_already_enabled"));
        assert!(again.body.contains("POST /users/me/totp/recovery-codes"), "{again:?}");
        // Another one cannot be set up over it.
        let body = json!({"password": person.password});
        let another = world.ask("POST", TOTP, &tokens.access, body).await;
        assert_eq!(another.problem(), problem(409, "second_factor_already_enabled"));
        let item = world.users_item(&format!("factor#{}", person.id)).await.unwrap();
        assert!(!item.contains_key("pending") && !item.contains_key("expires_at"), "{item:?}");
    });
}

#[test]
fn a_secret_waits_ten_minutes_and_only_the_latest_one_waits() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let nothing = world.ask("POST", CONFIRM, &tokens.access, json!({"code": "123456"})).await;
        assert_eq!(nothing.problem(), problem(409, "second_factor_not_pending"));
        let first = world.begin_totp(&person, &tokens.access).await;
        let second = world.begin_totp(&person, &tokens.access).await;
        let body = json!({"code": first.code()});
        let refused = world.ask("POST", CONFIRM, &tokens.access, body).await;
        assert_eq!(refused.problem(), problem(403, "invalid_code"));
        let over = AttributeValue::N(now().seconds().get().to_string());
        world.set_factor(person.id, "pending_until", over).await;
        let body = json!({"code": second.code()});
        let late = world.ask("POST", CONFIRM, &tokens.access, body).await;
        assert_eq!(late.problem(), problem(409, "second_factor_not_pending"));
        assert!(world.sign_in(&person).await.access.len() > 1, "the password alone is enough");
    });
}

#[test]
fn it_is_switched_off_with_password_and_code_and_then_the_password_is_enough() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let (person, access) = (&enrolled.person, &enrolled.tokens.access);
        let other = world.complete(&world.challenge(person).await, &enrolled.app.code()).await;
        let other = other.tokens();
        let off = |password: &str, code: &str| {
            world.ask("DELETE", TOTP, access, json!({"password": password, "code": code}))
        };
        world.forget_steps(person.id).await;
        let wrong = enrolled.app.wrong_code();
        assert_eq!(
            off("canary no", &enrolled.app.code()).await.problem(),
            problem(403, "wrong_password")
        );
        assert_eq!(off(&person.password, &wrong).await.problem(), problem(403, "invalid_code"));
        let code = enrolled.app.code();
        let both = tokio::join!(off(&person.password, &code), off(&person.password, &code));
        assert_eq!((both.0.status, both.1.status), (204, 204), "{both:?}");
        assert_eq!(off(&person.password, &code).await.status, 204, "the answer may have been lost");
        assert_eq!(world.api().refresh(&other.refresh).await.code(), "revoked");
        assert!(world.users_item(&format!("factor#{}", person.id)).await.is_none());
        assert_eq!(world.api().get("/users/me", access).await.json()["second_factor"], false);
        let tokens = world.sign_in(person).await;
        assert_eq!(parts(&tokens.access).1["amr"], json!(["pwd"]));
        let email = format!("{}@example.com", person.name.to_lowercase());
        let mail = world.mail(&email, 2).await;
        assert!(mail.subject.contains("switched off"), "{}", mail.subject);
    });
}

#[test]
fn recovery_codes_are_replaced_as_a_whole() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let (person, access) = (&enrolled.person, &enrolled.tokens.access);
        let body = json!({"password": person.password, "code": enrolled.app.code()});
        let new = recovery_codes(&world.ask("POST", RECOVERY, access, body.clone()).await);
        assert!(new.iter().all(|code| !enrolled.recovery.contains(code)));
        let again = world.ask("POST", RECOVERY, access, body).await;
        assert_eq!(again.problem(), problem(403, "invalid_code"), "a code counts once");
        let challenge = world.challenge(person).await;
        let former = world.recover(&challenge, &enrolled.recovery[0]).await;
        assert_eq!(former.problem(), problem(401, "invalid_code"));
        // A recovery code gets new ones too, and is used up.
        let body = json!({"password": person.password, "recovery_code": new[0]});
        let newer = recovery_codes(&world.ask("POST", RECOVERY, access, body.clone()).await);
        let again = world.ask("POST", RECOVERY, access, body).await;
        assert_eq!(again.problem(), problem(403, "invalid_code"));
        assert_eq!(world.recover(&challenge, &newer[3]).await.status, 200);
        // Without a second factor there are none.
        let (bob, tokens) = world.signed_in().await;
        let body = json!({"password": bob.password, "code": "123456"});
        let none = world.ask("POST", RECOVERY, &tokens.access, body).await;
        assert_eq!(none.problem(), problem(409, "second_factor_not_enabled"));
    });
}

#[test]
fn it_does_not_survive_the_account_and_survives_a_change_of_the_password() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let (mut person, access) = (enrolled.person.clone(), &enrolled.tokens.access);
        let new = format!("{} and more", person.password);
        let body = json!({"current": person.password, "new": new, "keep_this_session": true});
        let changed = world.ask("POST", "/users/me/password", access, body).await;
        assert_eq!(changed.status, 204, "{changed:?}");
        person.password = new;
        let challenge = world.challenge(&person).await;
        assert_eq!(world.complete(&challenge, &enrolled.app.code()).await.status, 200);
        let body: Value = json!({"password": person.password});
        assert_eq!(world.ask("DELETE", "/users/me", access, body).await.status, 204);
        assert!(world.users_item(&format!("factor#{}", person.id)).await.is_none());
    });
}

#[test]
fn disabled_means_that_nobody_is_asked_and_nobody_can_switch_it_on() {
    run(async {
        let enrolled = World::shared().await.enrolled().await;
        let world = World::beside("factors-off", &[("RATCHET_SECOND_FACTOR", "disabled")]).await;
        let tokens = world.sign_in(&enrolled.person).await;
        for (method, path) in [
            ("POST", TOTP),
            ("DELETE", TOTP),
            ("POST", CONFIRM),
            ("POST", RECOVERY),
            ("POST", "/authenticate/second-factor"),
            ("POST", "/authenticate/second-factor/totp"),
        ] {
            let answer = world.ask(method, path, &tokens.access, json!({})).await;
            assert_eq!(answer.problem(), problem(404, "not_found"), "{path}");
        }
    });
}
