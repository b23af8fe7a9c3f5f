//! Functions that are killed in the middle of their work.

use std::time::Duration;

use local::process::Signal;

use crate::support::{
    Answer, World,
    items::ids,
    proxy::{Fault, Proxy},
    run,
};

/// Asks for a refresh and kills the function once it has sent its write.
async fn killed_during_refresh(name: &str, fault: Fault) -> (World, Proxy, String) {
    let dynamodb =
        Proxy::before(World::shared().await.stack().services().dynamodb().endpoint()).await;
    let endpoint = dynamodb.endpoint();
    let world = World::beside(name, &[("AWS_ENDPOINT_URL_DYNAMODB", &endpoint)]).await;
    let (_, tokens) = world.signed_in().await;
    let calls = dynamodb.calls("UpdateItem");
    dynamodb.break_all("UpdateItem", fault);
    let request = world
        .api()
        .request("POST", "/refresh")
        .json(&serde_json::json!({"refresh_token": tokens.refresh}))
        .timeout(Duration::from_secs(3));
    let request = tokio::spawn(Answer::try_of(request));
    while dynamodb.calls("UpdateItem") == calls {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if fault == Fault::ApplyAndDrop {
        while world.session(&tokens.refresh).await.is_some_and(|session| session.generation == 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    world.stack().signal("refresh", 1, Signal::Kill).unwrap();
    let answer = request.await.unwrap();
    assert!(
        answer.as_ref().is_err() || answer.as_ref().is_ok_and(|answer| answer.status >= 500),
        "{answer:?}"
    );
    dynamodb.heal();
    world.stack().restart("refresh", 1).unwrap();
    (world, dynamodb, tokens.refresh)
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
        world.age_superseded(&next.refresh, Duration::from_secs(60)).await;
        world.stack().restart("refresh", 1).unwrap();
        assert_eq!(world.api().refresh(&tokens.refresh).await.code(), "reuse_detected");
    });
}
