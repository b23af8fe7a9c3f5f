//! Functions that are killed in the middle of their work.

use std::time::Duration;

use local::process::Signal;

use crate::support::{
    Answer, World,
    items::ids,
    proxy::{Fault, Proxy},
    run,
};

/// Sends a request and kills the function once its write has been sent and, if it is to be
/// applied, `applied` says so.
async fn killed_during(
    (world, dynamodb): &(World, Proxy),
    (function, operation, fault): (&str, &str, Fault),
    (path, body): (&str, serde_json::Value),
    applied: impl AsyncFn() -> bool,
) {
    let calls = dynamodb.calls(operation);
    dynamodb.break_all(operation, fault);
    let ask = || {
        let request = world.api().request("POST", path).json(&body);
        tokio::spawn(Answer::try_of(request.timeout(Duration::from_secs(3))))
    };
    let mut request = ask();
    while dynamodb.calls(operation) == calls {
        if request.is_finished() {
            // This machine was too slow.
            request = ask();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while fault == Fault::ApplyAndDrop && !applied().await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.stack().signal(function, 1, Signal::Kill).unwrap();
    let answer = request.await.unwrap();
    assert!(
        answer.as_ref().is_err() || answer.as_ref().is_ok_and(|answer| answer.status >= 500),
        "{answer:?}"
    );
    dynamodb.heal();
    world.stack().restart(function, 1).unwrap();
}

/// Sends a refresh and kills the function once it has sent its write.
async fn killed_during_refresh(name: &str, fault: Fault) -> (World, Proxy, String) {
    let fragile = World::behind_proxy(name, &[]).await;
    let (_, tokens) = fragile.0.signed_in().await;
    let body = serde_json::json!({"refresh_token": tokens.refresh});
    killed_during(&fragile, ("refresh", "UpdateItem", fault), ("/refresh", body), async || {
        fragile.0.session(&tokens.refresh).await.is_none_or(|session| session.generation > 0)
    })
    .await;
    let (world, dynamodb) = fragile;
    (world, dynamodb, tokens.refresh)
}

#[test]
fn killed_while_it_logs_out_the_function_does_so_when_it_is_asked_again() {
    run(async {
        for (name, fault) in
            [("log-out-before", Fault::Swallow), ("log-out-after", Fault::ApplyAndDrop)]
        {
            let fragile = World::behind_proxy(name, &[]).await;
            let (_, tokens) = fragile.0.signed_in().await;
            let body = serde_json::json!({"refresh_token": tokens.refresh});
            killed_during(
                &fragile,
                ("refresh", "UpdateItem", fault),
                ("/logout", body),
                async || {
                    fragile.0.session(&tokens.refresh).await.is_some_and(|s| s.revoked.is_some())
                },
            )
            .await;
            let api = fragile.0.api();
            assert_eq!(api.logout(&tokens.refresh).await.status, 204, "{name}");
            assert_eq!(api.refresh(&tokens.refresh).await.code(), "revoked", "{name}");
        }
    });
}

#[test]
fn killed_while_it_keeps_a_session_the_function_leaves_an_orphan_at_most() {
    run(async {
        for (name, fault, orphans) in
            [("sign-in-before", Fault::Swallow, 0), ("sign-in-after", Fault::ApplyAndDrop, 1)]
        {
            let fragile = World::behind_proxy(name, &[]).await;
            let person = fragile.0.person().await;
            let body = serde_json::json!({"name": person.name, "password": person.password});
            let write = ("authenticate", "PutItem", fault);
            killed_during(&fragile, write, ("/authenticate", body), async || {
                !fragile.0.sessions().list(person.id).await.unwrap().sessions.is_empty()
            })
            .await;
            let tokens = fragile.0.sign_in(&person).await;
            assert_eq!(fragile.0.api().refresh(&tokens.refresh).await.status, 200, "{name}");
            let sessions = fragile.0.sessions().list(person.id).await.unwrap().sessions;
            assert_eq!(sessions.len(), 1 + orphans, "{name}");
        }
    });
}

#[test]
fn killed_before_the_write_the_token_is_as_good_as_before() {
    run(async {
        let (world, _proxy, token) = killed_during_refresh("killed-before", Fault::Swallow).await;
        assert_eq!(world.session(&token).await.unwrap().generation, 0);
        let next = world.api().refresh(&token).await.tokens();
        assert_eq!(ids(&next.refresh).generation, 1);
    });
}

#[test]
fn killed_after_the_write_the_token_leads_to_what_was_written() {
    run(async {
        let (world, _proxy, token) =
            killed_during_refresh("killed-after", Fault::ApplyAndDrop).await;
        let next = world.api().refresh(&token).await.tokens();
        assert_eq!(ids(&next.refresh).generation, 1);
        assert_eq!(world.api().refresh(&next.refresh).await.status, 200);
    });
}

#[test]
fn a_restart_between_issue_and_replay_changes_nothing() {
    run(async {
        let world = World::beside("restarted", &[]).await;
        let (_, tokens) = world.signed_in().await;
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        world.stack().restart("refresh", 1).unwrap();
        assert_eq!(world.api().refresh(&tokens.refresh).await.tokens().refresh, next.refresh);
        let live = world.api().refresh(&next.refresh).await.tokens();
        world.age_superseded(&live.refresh, Duration::from_secs(60)).await;
        world.stack().restart("refresh", 1).unwrap();
        assert_eq!(world.api().refresh(&tokens.refresh).await.code(), "reuse_detected");
    });
}
