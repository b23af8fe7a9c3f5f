//! `/users/me`: password, address, deletion.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::{
    email::EmailAddress,
    entropy::random,
    letter::{Letter, Notice},
    password::PhcHash,
};
use ratchet_store::users::Deletion;
use serde_json::json;

use super::{INVALID, admin, patch, post, problem};
use crate::support::{
    Answer, World,
    logs::CANARY,
    mail::{Newcomer, token},
    people::now,
    proxy::Fault,
    run,
};

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
fn the_same_password_change_again_is_done_and_another_one_is_refused() {
    run(async {
        let world = World::shared().await;
        let (person, here) = world.signed_in().await;
        let path = "/users/me/password";
        let new = format!("{CANARY} quite another one");
        let body = json!({"current": person.password, "new": new, "keep_this_session": true});
        for _ in 0..2 {
            assert_eq!(post(world, path, &here.access, body.clone()).await.status, 204);
        }
        let mut other = body.clone();
        other["new"] = json!(format!("{CANARY} and one more still"));
        assert_eq!(post(world, path, &here.access, other).await.code(), "wrong_password");
        // Another session did not set it, so to that one the old password is simply wrong.
        let there = world.api().authenticate(&person.name, &new).await.tokens();
        assert_eq!(post(world, path, &there.access, body).await.code(), "wrong_password");
        assert_eq!(world.api().authenticate(&person.name, &new).await.status, 200);
    });
}

#[test]
fn the_same_password_change_again_is_done_although_sessions_were_ended_before() {
    run(async {
        let world = World::shared().await;
        let path = "/users/me/password";
        for keep_this_session in [true, false] {
            let person = world.person().await;
            let yesterday = now().seconds().get().saturating_sub(86_400) * 1_000;
            let before = AttributeValue::N(yesterday.to_string());
            world.set_user(person.id, "sessions_valid_after", before).await;
            let here = world.sign_in(&person).await;
            let new = format!("{CANARY} quite another one");
            let body = json!({
                "current": person.password, "new": new, "keep_this_session": keep_this_session,
            });
            for _ in 0..2 {
                assert_eq!(post(world, path, &here.access, body.clone()).await.status, 204);
            }
        }
    });
}

#[test]
fn the_same_password_change_again_is_done_although_it_ended_its_own_session() {
    run(async {
        let world = World::shared().await;
        let (person, here) = world.signed_in().await;
        let path = "/users/me/password";
        let new = format!("{CANARY} quite another one");
        let body = json!({"current": person.password, "new": new});
        for _ in 0..2 {
            assert_eq!(post(world, path, &here.access, body.clone()).await.status, 204);
        }
        // It does not help to guess the password.
        let mut other = body.clone();
        let mut refusals = Vec::new();
        for number in 0..6 {
            other["new"] = json!(format!("{CANARY} guess number {number}"));
            refusals.push(post(world, path, &here.access, other.clone()).await.code());
        }
        assert_eq!(refusals[..5], ["session_ended"; 5]);
        assert_eq!(refusals[5], "too_many_attempts");
        assert_eq!(world.api().authenticate(&person.name, &new).await.status, 200);
        // For a session that ended in another way, the password is not checked.
        let (person, here) = world.signed_in().await;
        assert_eq!(world.api().logout(&here.refresh).await.status, 204);
        let body = json!({"current": "x", "new": person.password});
        assert_eq!(post(world, path, &here.access, body).await.code(), "session_ended");
    });
}

#[test]
fn somebody_with_an_access_token_guesses_no_more_than_a_stranger_and_locks_nobody_out() {
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
        // One counter for all routes that require the password; the right one is refused too.
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
fn an_address_that_a_thief_asked_for_is_forgotten_with_the_password() {
    run(async {
        let world = World::shared().await;
        for how in ["changed", "reset", "disabled"] {
            let ada = world.member().await;
            let tokens = world.api().authenticate(&ada.name, &ada.password).await.tokens();
            let thief = Newcomer::new().email;
            let body = json!({"email": thief, "password": ada.password});
            assert_eq!(patch(world, "/users/me", &tokens.access, body).await.status, 202, "{how}");
            let stolen = json!({"token": token(&world.mail(&thief, 1).await)});
            let new = format!("{CANARY} quite another one");
            match how {
                "changed" => {
                    let body =
                        json!({"current": ada.password, "new": new, "keep_this_session": true});
                    let path = "/users/me/password";
                    assert_eq!(post(world, path, &tokens.access, body).await.status, 204);
                }
                "reset" => {
                    let body = json!({"email": ada.email});
                    world.api().post("/users/password-reset", body).await;
                    let body =
                        json!({"token": token(&world.mail(&ada.email, 3).await), "password": new});
                    let path = "/users/password-reset/confirm";
                    assert_eq!(world.api().post(path, body).await.status, 204);
                }
                _ => {
                    let me = world.api().get("/users/me", &tokens.access).await.json();
                    let path = format!("/users/{}", me["id"].as_str().unwrap());
                    let (_, admin) = admin(world).await;
                    for status in ["disabled", "active"] {
                        let changed = patch(world, &path, &admin, json!({"status": status})).await;
                        assert_eq!(changed.status, 200);
                        assert_eq!(changed.json()["pending_email"], json!(null));
                    }
                }
            }
            let late = world.api().post("/users/confirm-email", stolen).await;
            assert_eq!(problem(&late), (INVALID.0, INVALID.1.to_owned()), "{how}");
        }
    });
}

#[test]
fn what_a_password_proved_is_not_done_after_another_has_replaced_it() {
    run(async {
        let world = World::shared().await;
        let (person, _) = world.signed_in().await;
        let users = world.users();
        let account = users.find_account(person.id, now()).await.unwrap().unwrap();
        let proved = &account.password_hash;
        let letter = || {
            let notice = Notice::PasswordChanged { user_id: person.id };
            Letter::new(notice, now(), &random().unwrap())
        };
        let thief = EmailAddress::parse(&Newcomer::new().email).unwrap();
        let new = PhcHash::new("$argon2id$another".to_owned());
        assert!(users.change_password(person.id, proved, &new, None, &letter()).await.unwrap());
        let [told, asked] = [letter(), letter()];
        let late = users.ask_email_change(person.id, proved, &thief, [&told, &asked]).await;
        assert!(!late.unwrap());
        let gone = letter();
        assert!(!users.delete(Deletion::proved(&account), Some(&gone)).await.unwrap());
        let deleted = users.delete(Deletion::of(&account), Some(&gone)).await.unwrap();
        assert!(deleted, "an administrator may");
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

impl World {
    /// Resets a member's password by the message that comes for it, the `number`th.
    async fn reset(&self, ada: &Newcomer, number: usize, password: &str) -> Answer {
        let api = World::shared().await.api();
        let asked = api.post("/users/password-reset", json!({"email": ada.email})).await;
        assert_eq!(asked.status, 202);
        let mail = World::shared().await.mail(&ada.email, number).await;
        let body = json!({"token": token(&mail), "password": password});
        self.api().post("/users/password-reset/confirm", body).await
    }
}

#[test]
fn a_reset_password_unlocks_the_account() {
    run(async {
        let settings = [("RATCHET_FREE_FAILURES", "2"), ("RATCHET_FAILURE_DELAY_SECONDS", "3600")];
        let world = World::beside("accounts-unlock", &settings).await;
        let ada = World::shared().await.member().await;
        for status in [401, 401, 429] {
            let guess = world.api().authenticate(&ada.name, "canary not this one").await;
            assert_eq!(guess.status, status);
        }
        assert_eq!(world.api().authenticate(&ada.name, &ada.password).await.status, 429);
        let new = format!("{CANARY} words that unlock");
        assert_eq!(world.reset(&ada, 2, &new).await.status, 204);
        assert_eq!(world.api().authenticate(&ada.name, &new).await.status, 200);
    });
}

#[test]
fn a_refresh_in_flight_does_not_outlive_a_reset_password() {
    run(async {
        let shared = World::shared().await;
        let (world, proxy) = World::behind_proxy("accounts-in-flight", &[]).await;
        // The write of the rotation comes after the reset, or else the read of the user does.
        for operation in ["UpdateItem", "GetItem"] {
            let ada = shared.member().await;
            let tokens = shared.api().authenticate(&ada.name, &ada.password).await.tokens();
            let asked = json!({"email": ada.email});
            assert_eq!(shared.api().post("/users/password-reset", asked).await.status, 202);
            let body = json!({
                "token": token(&shared.mail(&ada.email, 2).await),
                "password": format!("{CANARY} words for {operation}"),
            });
            let calls = proxy.calls(operation);
            proxy.break_all(operation, Fault::Delay(Duration::from_millis(400)));
            let (api, refresh) = (world.api(), tokens.refresh.clone());
            let in_flight = tokio::spawn(async move { api.refresh(&refresh).await });
            proxy.arrived(operation, calls, &in_flight).await;
            let reset = shared.api().post("/users/password-reset/confirm", body).await;
            assert_eq!(reset.status, 204);
            proxy.heal();
            let answer = in_flight.await.unwrap();
            let newest = if answer.status == 200 {
                answer.tokens().refresh
            } else {
                // Or there was no time left.
                assert!(matches!(answer.status, 401 | 503), "{operation}: {answer:?}");
                tokens.refresh.clone()
            };
            for token in [&tokens.refresh, &newest] {
                assert_eq!(world.api().refresh(token).await.status, 401, "{operation}");
            }
            assert!(shared.session(&tokens.refresh).await.unwrap().revoked.is_some());
        }
    });
}
