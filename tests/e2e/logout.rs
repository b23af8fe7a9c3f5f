//! `POST /logout`.

use serde_json::json;

use crate::support::{World, run};

#[test]
fn after_log_out_no_token_of_the_session_is_good() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        assert_eq!(world.api().logout(&next.refresh).await.status, 204);
        for token in [&tokens.refresh, &next.refresh] {
            assert_eq!(world.api().refresh(token).await.problem(), (401, "revoked".to_owned()));
        }
    });
}

#[test]
fn logging_out_again_and_with_an_older_token_is_the_same() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        for token in [&tokens.refresh, &next.refresh, &tokens.refresh] {
            assert_eq!(world.api().logout(token).await.status, 204);
        }
        let revoked = world.session(&tokens.refresh).await.unwrap().revoked.unwrap();
        assert_eq!(revoked.reason.as_str(), "logged_out");
    });
}

#[test]
fn what_is_no_refresh_token_is_told_so() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        for token in ["", "x", &tokens.access] {
            let refusal = world.api().logout(token).await;
            assert_eq!(refusal.problem(), (400, "malformed_request".to_owned()), "{token}");
        }
        let refusal = world.api().post("/logout", json!({})).await;
        assert_eq!(refusal.problem(), (400, "malformed_request".to_owned()));
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200);
    });
}

#[test]
fn the_events_of_a_session_are_logged_with_their_schema() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        world.api().refresh(&tokens.refresh).await.tokens();
        world.api().logout(&next.refresh).await;
        world.api().authenticate(&person.name, "canary wrong").await;
        let log = world.log_text();
        let id = person.id.to_string();
        let lines: Vec<serde_json::Value> = log
            .lines()
            .filter(|line| line.contains(&id) && line.contains("\"event\""))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let has = |event: &str, name: &str, value: &str| {
            lines.iter().any(|line| {
                line["event"] == event && line["target"] == "security" && line[name] == value
            })
        };
        let session = crate::support::items::ids(&tokens.refresh).session_id.to_string();
        assert!(has("session_created", "session_id", &session), "{lines:?}");
        assert!(has("refreshed_in_retry_window", "session_id", &session), "{lines:?}");
        assert!(has("session_revoked", "reason", "logged_out"), "{lines:?}");
        assert!(has("login_failed", "reason", "wrong_password"), "{lines:?}");
        // The same as metrics, in CloudWatch's embedded format.
        let metric = log.lines().filter(|line| line.contains("\"_aws\"")).any(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Ratchet"
                && line["login_failed"] == 1
        });
        assert!(metric, "{log}");
    });
}
