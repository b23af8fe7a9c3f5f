//! Changes that take the access token of a step-up in place of the password.

use serde_json::{Value, json};

use super::problem;
use crate::support::{
    Answer, World,
    factor::{Enrolled, recovery_codes},
    mail::Newcomer,
    people::now,
    ring::{altered, known, signing_secret},
    run,
};

const TOTP: &str = "/users/me/totp";
const RECOVERY: &str = "/users/me/totp/recovery-codes";

fn insufficient() -> (u16, String) {
    problem(401, "insufficient_user_authentication")
}

/// An access token of a step-up with a code of the app, which can be used again at once.
async fn by_code(world: &World, enrolled: &Enrolled) -> String {
    let body = json!({"code": enrolled.app.code()});
    let access = world.stepped_up(&enrolled.tokens.access, body).await;
    world.forget_steps(enrolled.person.id).await;
    access
}

#[test]
fn an_address_is_changed_and_an_account_deleted_after_a_step_up_with_a_code() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let moved = Newcomer::new().email;
        let change = json!({"email": moved});
        let access = by_code(world, &enrolled).await;
        let changed = world.ask("PATCH", "/users/me", &access, change).await;
        assert_eq!(changed.status, 202, "{changed:?}");
        world.mail(&moved, 1).await;
        let deleted = world.ask("DELETE", "/users/me", &access, json!({})).await;
        assert_eq!(deleted.status, 204, "{deleted:?}");
        assert_eq!(world.api().refresh(&enrolled.tokens.refresh).await.code(), "user_disabled");
    });
}

#[test]
fn a_refreshed_token_and_that_of_a_sign_in_are_not_enough() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let challenge = world.challenge(&enrolled.person).await;
        let signed_in = world.complete(&challenge, &enrolled.app.code()).await.tokens();
        world.forget_steps(enrolled.person.id).await;
        by_code(world, &enrolled).await;
        let refreshed = world.api().refresh(&enrolled.tokens.refresh).await.tokens();
        for access in [&signed_in.access, &refreshed.access, &enrolled.tokens.access] {
            for (method, path, body) in [
                ("PATCH", "/users/me", json!({"email": "thief@example.com"})),
                ("PATCH", "/users/me", json!({"email": "thief@example.com", "password": ""})),
                ("DELETE", "/users/me", json!({})),
                ("DELETE", "/users/me", json!({"password": null})),
                ("POST", TOTP, json!({})),
                ("POST", RECOVERY, json!({"code": enrolled.app.code()})),
                ("DELETE", TOTP, json!({"code": enrolled.app.code()})),
            ] {
                let refused = world.ask(method, path, access, body).await;
                assert_eq!(refused.problem(), insufficient(), "{method} {path}");
                let challenge = refused.header("www-authenticate");
                let start = r#"Bearer realm="ratchet", error="insufficient_user_authentication", max_age="300", amr_values=""#;
                assert!(challenge.starts_with(start), "{challenge}");
            }
        }
    });
}

#[test]
fn a_step_up_with_the_password_alone_is_not_enough() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let body = json!({"password": person.password});
        let access = world.stepped_up(&tokens.access, body.clone()).await;
        for (method, path) in [("DELETE", "/users/me"), ("POST", TOTP)] {
            let refused = world.ask(method, path, &access, json!({})).await;
            assert_eq!(refused.problem(), insufficient(), "{method} {path}");
        }
        // A wrong password is wrong, whatever the token says, and the right one is right.
        let wrong = json!({"password": "canary no"});
        let refused = world.ask("POST", TOTP, &access, wrong).await;
        assert_eq!(refused.problem(), problem(403, "wrong_password"));
        assert_eq!(world.ask("POST", TOTP, &access, body).await.status, 200);
    });
}

#[test]
fn two_codes_do_not_switch_the_second_factor_off() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let access = by_code(world, &enrolled).await;
        let code = json!({"code": enrolled.app.code()});
        for (method, path) in [("DELETE", TOTP), ("POST", RECOVERY)] {
            let refused = world.ask(method, path, &access, code.clone()).await;
            assert_eq!(refused.problem(), insufficient(), "{method} {path}");
            let challenge = refused.header("www-authenticate");
            assert!(challenge.ends_with(r#"amr_values="hwk pwd+otp""#), "{challenge}");
        }
        // With the password they do, in the step-up as in the request.
        let both = json!({"password": enrolled.person.password, "code": enrolled.app.code()});
        let access = world.stepped_up(&enrolled.tokens.access, both).await;
        world.forget_steps(enrolled.person.id).await;
        let code = json!({"code": enrolled.app.code()});
        let recovery = recovery_codes(&world.ask("POST", RECOVERY, &access, code).await);
        let body = json!({"recovery_code": recovery[0]});
        assert_eq!(world.ask("DELETE", TOTP, &access, body).await.status, 204);
    });
}

#[test]
fn the_password_is_changed_only_with_the_password() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let access = by_code(world, &enrolled).await;
        for body in [
            json!({"new": "canary is another password"}),
            json!({"current": "", "new": "canary is another password"}),
            json!({"current": "canary no", "new": "canary is another password"}),
        ] {
            let refused = world.ask("POST", "/users/me/password", &access, body).await;
            assert!([400, 403].contains(&refused.status), "{refused:?}");
        }
        assert_eq!(world.try_sign_in(&enrolled.person).await.code(), "second_factor_required");
    });
}

/// A world whose signing key this test knows, and a token of a session in it.
async fn forging(name: &str) -> (World, String) {
    let secret = World::shared().await.secret(name, &known(&[]).to_string()).await;
    let world = World::beside(name, &[("RATCHET_KEY_RING_SECRET", &secret)]).await;
    let (_, tokens) = world.signed_in().await;
    (world, tokens.access)
}

#[test]
fn five_minutes_hold_to_the_second_and_a_passkey_is_enough() {
    run(async {
        let (world, access) = forging("step-up-age").await;
        let delete = |age: u64, claims: Value| {
            let mut claims = claims;
            claims["auth_time"] = json!(now().seconds().get() - age);
            let token = altered(&access, &json!({}), &claims, &signing_secret());
            let world = &world;
            async move { world.ask("DELETE", "/users/me", &token, json!({})).await }
        };
        let passkey = json!({"amr": ["hwk"], "step_up": true});
        assert_eq!(delete(301, passkey.clone()).await.problem(), insufficient());
        for claims in [
            json!({"amr": ["hwk"]}),
            json!({"amr": ["hwk"], "step_up": false}),
            json!({"amr": ["pwd"], "step_up": true}),
            json!({"amr": ["mfa"], "step_up": true}),
            json!({"amr": null, "step_up": true}),
        ] {
            let answer: Answer = delete(0, claims.clone()).await;
            assert_eq!(answer.problem(), insufficient(), "{claims}");
        }
        let malformed = delete(0, json!({"amr": ["hwk"], "step_up": "true"})).await;
        assert_eq!(malformed.problem(), problem(401, "invalid_access_token"));
        // Allows for a slow machine.
        assert_eq!(delete(285, passkey).await.status, 204);
    });
}
