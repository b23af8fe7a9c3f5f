//! The clean-up after a new password or a deletion, if the request itself cannot finish it.

use std::time::Duration;

use ratchet_core::session::RevocationReason;
use serde_json::json;

use super::post;
use crate::support::{
    Answer, Tokens, World,
    logs::CANARY,
    mail::{Newcomer, token},
    people::now,
    proxy::Fault,
    run,
};

/// Faults that keep a request from listing the sessions that it ends.
const FAULTS: [Fault; 3] = [Fault::Delay(Duration::from_secs(5)), Fault::THROTTLED, Fault::DENIED];

/// The sum of a metric in a function's log.
fn counted(world: &World, function: &str, name: &str) -> u64 {
    world.metric_lines(function).iter().filter_map(|line| line[name].as_u64()).sum()
}

/// Somebody with two sessions.
struct Scene {
    ada: Newcomer,
    here: Tokens,
    there: Tokens,
}

impl Scene {
    async fn new(shared: &World) -> Self {
        let ada = shared.member().await;
        let sign_in = async || shared.api().authenticate(&ada.name, &ada.password).await.tokens();
        let (here, there) = (sign_in().await, sign_in().await);
        Self { ada, here, there }
    }

    /// Sends a request whose clean-up fails, and waits until the mailer has done it. Meanwhile, the
    /// tokens of the other session are not presented.
    async fn is_finished_later(
        &self,
        (world, fault): (&World, Fault),
        answer: impl Future<Output = Answer>,
        reason: RevocationReason,
    ) {
        let shared = World::shared().await;
        let left = counted(world, "accounts", "clean_ups_left");
        let finished = counted(shared, "mailer", "clean_ups_finished");
        let begun = now();
        let answer = answer.await;
        assert_eq!(answer.status, 204, "{fault:?}: {answer:?}");
        assert!(now() < begun.plus(Duration::from_millis(2_800)), "{fault:?}");
        assert_eq!(counted(world, "accounts", "clean_ups_left"), left + 1, "{fault:?}");
        for _ in 0..300 {
            if counted(shared, "mailer", "clean_ups_finished") > finished {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let there = shared.session(&self.there.refresh).await.unwrap();
        assert_eq!(there.revoked.map(|revoked| revoked.reason), Some(reason), "{fault:?}");
        assert!(counted(shared, "mailer", "clean_ups_finished") > finished, "{fault:?}");
        let refused = shared.api().refresh(&self.there.refresh).await;
        assert_eq!(refused.status, 401, "{fault:?}: {refused:?}");
    }
}

#[test]
fn a_changed_password_is_done_and_the_mailer_revokes_what_the_request_could_not() {
    run(async {
        let shared = World::shared().await;
        let (world, proxy) = World::behind_proxy("clean-up-change", &[]).await;
        for fault in FAULTS {
            let scene = Scene::new(shared).await;
            proxy.break_all("Query", fault);
            let new = format!("{CANARY} quite another one");
            let body = json!({
                "current": scene.ada.password, "new": new, "keep_this_session": true,
            });
            let request = post(&world, "/users/me/password", &scene.here.access, body);
            let reason = RevocationReason::PasswordChanged;
            scene.is_finished_later((&world, fault), request, reason).await;
            proxy.heal();
            assert_eq!(shared.api().refresh(&scene.here.refresh).await.status, 200, "it is spared");
        }
    });
}

#[test]
fn a_reset_password_is_done_and_unlocks_the_account_whatever_becomes_of_the_sessions() {
    run(async {
        let shared = World::shared().await;
        let (world, proxy) = World::behind_proxy(
            "clean-up-reset",
            &[("RATCHET_FREE_FAILURES", "2"), ("RATCHET_FAILURE_DELAY_SECONDS", "3600")],
        )
        .await;
        for fault in FAULTS {
            let scene = Scene::new(shared).await;
            let ada = &scene.ada;
            let locked = async |name: &str, password: &str| {
                world.api().authenticate(name, password).await.status == 429
            };
            // Users sign in with either, and each has its own counter.
            for name in [&ada.name, &ada.email] {
                for _ in 0..2 {
                    assert!(!locked(name, "canary not this one").await);
                }
                assert!(locked(name, &ada.password).await, "{name}");
            }
            let asked = json!({"email": ada.email});
            assert_eq!(shared.api().post("/users/password-reset", asked).await.status, 202);
            let new = format!("{CANARY} words that unlock");
            let token = token(&shared.mail(&ada.email, 2).await);
            let body = json!({"token": token, "password": new});
            proxy.break_all("Query", fault);
            proxy.break_all("DeleteItem", fault);
            let api = world.api();
            let request = api.post("/users/password-reset/confirm", body);
            let reason = RevocationReason::PasswordChanged;
            scene.is_finished_later((&world, fault), request, reason).await;
            proxy.heal();
            for name in [&ada.name, &ada.email] {
                assert_eq!(api.authenticate(name, &new).await.status, 200, "{name}");
            }
        }
    });
}

#[test]
fn a_deleted_users_sessions_are_revoked_although_the_request_could_not() {
    run(async {
        let shared = World::shared().await;
        let (world, proxy) = World::behind_proxy("clean-up-delete", &[]).await;
        for fault in FAULTS {
            let scene = Scene::new(shared).await;
            proxy.break_all("Query", fault);
            let api = world.api();
            let request = api.request("DELETE", "/users/me").bearer_auth(&scene.here.access);
            let request = Answer::of(request.json(&json!({"password": scene.ada.password})));
            scene.is_finished_later((&world, fault), request, RevocationReason::UserDisabled).await;
            proxy.heal();
        }
    });
}

/// The transaction is applied, all answers are lost, and so is the clean-up.
#[test]
fn a_change_whose_answers_were_lost_is_done_and_cleaned_up() {
    run(async {
        let shared = World::shared().await;
        let (world, proxy) = World::behind_proxy("clean-up-lost", &[]).await;
        let scene = Scene::new(shared).await;
        proxy.break_next("TransactWriteItems", 1, Fault::ApplyAndDrop);
        proxy.break_all("Query", Fault::THROTTLED);
        let new = format!("{CANARY} quite another one");
        let body = json!({"current": scene.ada.password, "new": new, "keep_this_session": true});
        let request = post(&world, "/users/me/password", &scene.here.access, body.clone());
        let reason = RevocationReason::PasswordChanged;
        scene.is_finished_later((&world, Fault::ApplyAndDrop), request, reason).await;
        let again = post(&world, "/users/me/password", &scene.here.access, body).await;
        assert_eq!(again.status, 204, "{again:?}");
        proxy.heal();
        assert_eq!(shared.api().authenticate(&scene.ada.name, &new).await.status, 200);
    });
}
