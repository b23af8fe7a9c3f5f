//! Tokens and codes that must not step up, or not again.

use ratchet_core::ids::SessionId;
use serde_json::json;

use super::{authentication, problem};
use crate::support::{
    World,
    items::ids,
    people::now,
    ring::{altered, known, signing_secret},
    run,
};

#[test]
fn a_code_counts_once_among_sign_ins_and_step_ups() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let (id, access) = (enrolled.person.id, &enrolled.tokens.access);
        let code = json!({"code": enrolled.app.code()});
        world.stepped_up(access, code.clone()).await;
        let again = world.step_up(access, code).await;
        assert_eq!(again.problem(), problem(403, "invalid_code"));
        // A code that has signed in does not step up, and the other way round.
        world.forget_steps(id).await;
        let code = enrolled.app.code();
        let challenge = world.challenge(&enrolled.person).await;
        assert_eq!(world.complete(&challenge, &code).await.status, 200);
        let used = world.step_up(access, json!({"code": code})).await;
        assert_eq!(used.problem(), problem(403, "invalid_code"));
        world.forget_steps(id).await;
        let code = enrolled.app.code();
        world.stepped_up(access, json!({"code": code})).await;
        let challenge = world.challenge(&enrolled.person).await;
        let used = world.complete(&challenge, &code).await;
        assert_eq!(used.problem(), problem(401, "invalid_code"));
    });
}

#[test]
fn somebody_elses_code_and_password_do_not_step_up() {
    run(async {
        let world = World::shared().await;
        let (victim, thief) = (world.enrolled().await, world.enrolled().await);
        let access = &victim.tokens.access;
        let code = world.step_up(access, json!({"code": thief.app.code()})).await;
        assert_eq!(code.problem(), problem(403, "invalid_code"));
        let recovery = world.step_up(access, json!({"recovery_code": thief.recovery[0]})).await;
        assert_eq!(recovery.problem(), problem(403, "invalid_code"));
        let body = json!({"password": thief.person.password, "code": victim.app.code()});
        let password = world.step_up(access, body).await;
        assert_eq!(password.problem(), problem(403, "wrong_password"));
        // The code after a wrong password is not used up.
        world.stepped_up(access, json!({"code": victim.app.code()})).await;
        let stepped_up = world.session(&thief.tokens.refresh).await.unwrap().stepped_up;
        assert_eq!(stepped_up, None);
    });
}

#[test]
fn forged_expired_and_foreign_tokens_step_up_nothing() {
    run(async {
        let secret = World::shared().await.secret("step-up-forged", &known(&[]).to_string()).await;
        let world = World::beside("step-up-forged", &[("RATCHET_KEY_RING_SECRET", &secret)]).await;
        let (person, tokens) = world.signed_in().await;
        let (other, theirs) = world.signed_in().await;
        let body = json!({"password": person.password});
        let key = signing_secret();
        let with = |claims| altered(&tokens.access, &json!({}), &claims, &key);
        let past = now().seconds().get() - 1_000;
        let session = ids(&theirs.refresh).session_id.to_string();
        let gone = SessionId::from_bytes([9; 16]).to_string();
        for (token, code) in [
            (format!("{}x", tokens.access), "invalid_access_token"),
            (
                altered(
                    &tokens.access,
                    &json!({}),
                    &json!({}),
                    b"another key of 32 bytes, or more",
                ),
                "invalid_access_token",
            ),
            (with(json!({"iat": past, "exp": past + 300})), "expired_access_token"),
            (with(json!({"iss": "https://elsewhere.example"})), "stale_access_token"),
            (with(json!({"aud": "another"})), "stale_access_token"),
            (
                altered(&tokens.access, &json!({"typ": "JWT"}), &json!({}), &key),
                "invalid_access_token",
            ),
            // A session of another user, and none.
            (with(json!({"sid": session})), "session_ended"),
            (with(json!({"sid": gone})), "session_ended"),
            (with(json!({"sub": other.id.to_string()})), "session_ended"),
        ] {
            let refused = world.step_up(&token, body.clone()).await;
            assert_eq!(refused.problem(), problem(401, code));
        }
        for refresh in [&tokens.refresh, &theirs.refresh] {
            assert_eq!(world.session(refresh).await.unwrap().stepped_up, None);
        }
        let refresh_token = world.step_up(&tokens.refresh, body).await;
        assert_eq!(refresh_token.problem(), problem(401, "invalid_access_token"));
    });
}

#[test]
fn a_step_up_of_one_session_says_nothing_about_another() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let challenge = world.challenge(&enrolled.person).await;
        let other = world.complete(&challenge, &enrolled.app.code()).await.tokens();
        world.forget_steps(enrolled.person.id).await;
        world.set_number(&other.refresh, "auth_time", 1_700_000_000_000).await;
        world.stepped_up(&enrolled.tokens.access, json!({"code": enrolled.app.code()})).await;
        let other = world.api().refresh(&other.refresh).await.tokens();
        let (at, amr, _) = authentication(&other.access);
        assert_eq!((at, amr), (1_700_000_000, json!(["pwd", "otp"])));
    });
}

#[test]
fn a_changed_password_and_a_cut_end_stepped_up_sessions_too() {
    run(async {
        let world = World::shared().await;
        let (person, here) = world.signed_in().await;
        let there = world.sign_in(&person).await;
        let body = json!({"password": person.password});
        let stepped_up = world.stepped_up(&there.access, body.clone()).await;
        let new = "canary is the password after";
        let change = json!({"current": person.password, "new": new, "keep_this_session": true});
        let changed = world.ask("POST", "/users/me/password", &here.access, change).await;
        assert_eq!(changed.status, 204);
        assert_eq!(world.api().refresh(&there.refresh).await.code(), "revoked");
        let refused = world.step_up(&stepped_up, json!({"password": new})).await;
        assert_eq!(refused.problem(), problem(401, "session_ended"));
        // In the session that was kept, the new password counts.
        let old = world.step_up(&here.access, body).await;
        assert_eq!(old.problem(), problem(403, "wrong_password"));
        world.stepped_up(&here.access, json!({"password": new})).await;
        assert_eq!(world.api().delete("/users/me/sessions", &here.access).await.status, 204);
        assert_eq!(world.api().refresh(&here.refresh).await.code(), "revoked");
        let refused = world.step_up(&here.access, json!({"password": new})).await;
        assert_eq!(refused.problem(), problem(401, "session_ended"));
    });
}
