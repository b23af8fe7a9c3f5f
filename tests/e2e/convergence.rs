//! A thief and the owner who both stay inside the retry window share one chain. They are detected
//! only because they come from different places.

use crate::support::{World, items::ids, run};

fn events_of(world: &World, refresh_token: &str) -> usize {
    let id = ids(refresh_token).session_id.to_string();
    let log = world.log_text();
    let lines = log.lines().filter(|line| line.contains(&id));
    lines.filter(|line| line.contains("\"suspicious_convergence\"")).count()
}

#[test]
fn the_live_token_given_to_another_user_agent_is_an_event() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let owner = world.api();
        let next = owner.refresh(&tokens.refresh).await.tokens();
        assert_eq!(owner.refresh(&tokens.refresh).await.tokens().refresh, next.refresh);
        assert_eq!(events_of(world, &tokens.refresh), 0, "a retry of one's own is none");
        let thief = owner.as_user_agent("thief/1");
        assert_eq!(thief.refresh(&tokens.refresh).await.tokens().refresh, next.refresh);
        assert_eq!(events_of(world, &tokens.refresh), 1);
    });
}

#[test]
fn the_live_token_given_to_another_network_is_an_event() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        let text = include_str!("../../events/refresh/forged-token.json");
        let mut event: serde_json::Value = serde_json::from_str(text).unwrap();
        event["body"] = serde_json::json!({"refresh_token": tokens.refresh}).to_string().into();
        let caller = &mut event["requestContext"]["http"];
        caller["userAgent"] = "ratchet-tests".into();
        caller["sourceIp"] = "203.0.113.77".into();
        event["headers"]["user-agent"] = "ratchet-tests".into();
        let answer = world.invoke("refresh", &event).await;
        assert!(answer["body"].as_str().unwrap().contains(&next.refresh), "{answer}");
        assert_eq!(events_of(world, &tokens.refresh), 1);
    });
}

#[test]
fn a_client_that_moves_and_rotates_is_no_event() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        world.api().as_user_agent("after an update/2").refresh(&tokens.refresh).await.tokens();
        assert_eq!(events_of(world, &tokens.refresh), 0);
    });
}

#[test]
fn where_the_configuration_says_so_the_other_one_is_refused_and_the_session_lives() {
    run(async {
        let settings = [("RATCHET_CONVERGENCE_FROM_ELSEWHERE", "refuse")];
        let world = World::beside("no-convergence", &settings).await;
        let (_, tokens) = world.signed_in().await;
        let owner = world.api();
        let next = owner.refresh(&tokens.refresh).await.tokens();
        let refusal = owner.as_user_agent("thief/1").refresh(&tokens.refresh).await;
        assert_eq!(refusal.problem(), (401, "elsewhere".to_owned()));
        assert_eq!(owner.refresh(&tokens.refresh).await.tokens().refresh, next.refresh);
        assert_eq!(owner.refresh(&next.refresh).await.status, 200);
    });
}
