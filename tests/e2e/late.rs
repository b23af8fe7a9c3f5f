//! A client whose answer was lost comes back after the retry window. It recovers twice within eight
//! rotations. A thief who shares the session is detected by then.

use std::time::Duration;

use ratchet_core::session::RevocationReason;

use crate::support::{Tokens, World, api::Api, items::ids, people::now, run};

const MINUTE: Duration = Duration::from_mins(1);

/// A session on a stack and a client whose answers get lost.
struct Client<'w> {
    world: &'w World,
    api: Api,
    /// The token that the client holds.
    token: String,
    access: String,
}

impl<'w> Client<'w> {
    async fn new(world: &'w World) -> Self {
        let (_, tokens) = world.signed_in().await;
        let api = world.api();
        Self { world, api, token: tokens.refresh, access: tokens.access }
    }

    /// Refreshes, but loses the answer. Returns the token in it.
    async fn loses_an_answer(&self) -> String {
        self.api.refresh(&self.token).await.tokens().refresh
    }

    /// Refreshes, and keeps the new token.
    async fn refreshes(&mut self) -> Tokens {
        let tokens = self.api.refresh(&self.token).await.tokens();
        self.token.clone_from(&tokens.refresh);
        tokens
    }

    /// Loses an answer, and refreshes again after the retry window.
    async fn recovers_late(&mut self) -> Tokens {
        self.loses_an_answer().await;
        self.pass(MINUTE).await;
        self.refreshes().await
    }

    async fn pass(&self, time: Duration) {
        self.world.age_superseded(&self.token, time).await;
    }

    async fn code(&self) -> String {
        self.api.refresh(&self.token).await.code()
    }

    fn events(&self, name: &str) -> usize {
        let id = ids(&self.token).session_id.to_string();
        let name = format!("\"{name}\"");
        let log = self.world.log_text();
        log.lines().filter(|line| line.contains(&id) && line.contains(&name)).count()
    }
}

#[test]
fn a_client_that_lost_an_answer_is_let_in_however_late_it_comes() {
    run(async {
        let world = World::shared().await;
        let hour = Duration::from_hours(1);
        for late in [Duration::from_secs(61), hour, 29 * 24 * hour] {
            let mut client = Client::new(world).await;
            let lost = client.loses_an_answer().await;
            client.pass(late).await;
            let tokens = client.refreshes().await;
            assert_eq!(tokens.refresh, lost, "the live token, not a new one");
            assert_eq!(client.events("recovered_late"), 1);
            assert_eq!(ids(&client.refreshes().await.refresh).generation, 2, "{late:?}");
        }
    });
}

#[test]
fn the_answer_of_a_recovery_may_be_lost_too_and_counts_once() {
    run(async {
        let mut client = Client::new(World::shared().await).await;
        let lost = client.loses_an_answer().await;
        client.pass(MINUTE).await;
        for _ in 0..3 {
            assert_eq!(client.loses_an_answer().await, lost);
            client.pass(MINUTE).await;
        }
        assert_eq!(client.refreshes().await.refresh, lost);
        let session = client.world.session(&client.token).await.unwrap();
        assert_eq!(session.recovered.iter().collect::<Vec<_>>(), [1]);
    });
}

#[test]
fn two_lost_answers_in_a_row_are_forgiven_and_the_third_within_eight_rotations_is_theft() {
    run(async {
        let mut client = Client::new(World::shared().await).await;
        client.recovers_late().await;
        client.recovers_late().await;
        assert_eq!(client.events("recovered_late"), 2);
        assert_eq!(client.events("suspicious_convergence"), 1, "the second within a day");
        client.loses_an_answer().await;
        client.pass(MINUTE).await;
        assert_eq!(client.code().await, "reuse_detected");
        let session = client.world.session(&client.token).await.unwrap();
        assert_eq!(session.revoked.unwrap().reason, RevocationReason::ReuseDetected);
    });
}

#[test]
fn after_eight_rotations_a_recovery_is_forgotten() {
    run(async {
        let mut client = Client::new(World::shared().await).await;
        client.recovers_late().await;
        client.recovers_late().await;
        // The recoveries were of generations 1 and 2.
        while ids(&client.token).generation < 8 {
            client.refreshes().await;
            client.pass(MINUTE).await;
        }
        assert_eq!(ids(&client.recovers_late().await.refresh).generation, 9);
    });
}

#[test]
fn a_token_two_rotations_behind_ends_the_session() {
    run(async {
        let mut client = Client::new(World::shared().await).await;
        let stolen = client.token.clone();
        client.refreshes().await;
        client.refreshes().await;
        client.pass(MINUTE).await;
        let thief = client.world.api();
        assert_eq!(thief.refresh(&stolen).await.code(), "reuse_detected");
        assert_eq!(client.code().await, "reuse_detected");
    });
}

#[test]
fn another_kind_of_client_is_theft_at_once_and_another_version_is_not() {
    run(async {
        let world = World::shared().await;
        let mut client = Client::new(world).await;
        client.api = client.api.as_user_agent("App/4.9.1 (iOS 26.1)");
        client.refreshes().await;
        client.loses_an_answer().await;
        client.pass(MINUTE).await;
        client.api = client.api.as_user_agent("App/5.0 (iOS 26.2)");
        client.refreshes().await;
        client.loses_an_answer().await;
        client.pass(MINUTE).await;
        client.api = client.api.as_user_agent("curl/8.17");
        assert_eq!(client.code().await, "reuse_detected");
    });
}

#[test]
fn a_thief_one_step_behind_is_found_by_the_third_late_token() {
    run(async {
        for thief_first in [true, false] {
            let mut owner = Client::new(World::shared().await).await;
            let mut thief = Client { token: owner.token.clone(), access: String::new(), ..owner };
            owner = Client { token: thief.token.clone(), api: thief.world.api(), ..owner };
            if thief_first {
                std::mem::swap(&mut owner, &mut thief);
            }
            // One refreshes. The other comes back later with the previous token.
            let mut late = 0;
            let found = loop {
                owner.refreshes().await;
                owner.pass(MINUTE).await;
                late += 1;
                let answer = thief.api.refresh(&thief.token).await;
                if answer.status != 200 {
                    break answer.code();
                }
                thief.token = answer.tokens().refresh;
                std::mem::swap(&mut owner, &mut thief);
            };
            assert_eq!((late, found.as_str()), (3, "reuse_detected"));
            assert_eq!(owner.code().await, "reuse_detected", "both are signed out");
        }
    });
}

#[test]
fn a_second_copy_of_a_recovered_request_may_arrive_after_the_next_rotation() {
    run(async {
        let mut client = Client::new(World::shared().await).await;
        let late = client.token.clone();
        client.loses_an_answer().await;
        client.pass(MINUTE).await;
        client.refreshes().await;
        let live = client.refreshes().await;
        let copy = client.api.refresh(&late).await.tokens();
        assert_eq!(copy.refresh, live.refresh);
        client.pass(MINUTE).await;
        assert_eq!(client.api.refresh(&late).await.code(), "reuse_detected");
    });
}

#[test]
fn a_session_that_ended_meanwhile_is_not_recovered() {
    run(async {
        let world = World::shared().await;
        let late = async || {
            let client = Client::new(world).await;
            let live = client.loses_an_answer().await;
            client.pass(MINUTE).await;
            (client, live)
        };
        let (client, live) = late().await;
        assert_eq!(world.api().logout(&live).await.status, 204);
        assert_eq!(client.code().await, "revoked");

        let (client, _) = late().await;
        let all = world.api().delete("/users/me/sessions", &client.access).await;
        assert_eq!(all.status, 204);
        assert_eq!(client.code().await, "revoked");

        for (attribute, code) in
            [("expires_at", "expired_idle"), ("absolute_expires_at", "expired_absolute")]
        {
            let (client, _) = late().await;
            let past = now().seconds().get() - 1;
            world.set_number(&client.token, attribute, past).await;
            assert_eq!(client.code().await, code);
            assert_eq!(client.events("recovered_late"), 0);
        }
    });
}

#[test]
fn late_requests_at_the_same_time_are_one_recovery() {
    run(async {
        let client = Client::new(World::shared().await).await;
        let lost = client.loses_an_answer().await;
        client.pass(MINUTE).await;
        let requests: Vec<_> = (0..20)
            .map(|_| {
                let (api, token) = (client.world.api(), client.token.clone());
                tokio::spawn(async move { api.refresh(&token).await.tokens().refresh })
            })
            .collect();
        for request in requests {
            assert_eq!(request.await.unwrap(), lost);
        }
        let session = client.world.session(&client.token).await.unwrap();
        assert_eq!(session.recovered.iter().collect::<Vec<_>>(), [1]);
    });
}

#[test]
fn without_recoveries_a_late_token_is_theft() {
    run(async {
        let settings = [("RATCHET_LATE_RECOVERIES", "0")];
        let world = World::beside("no-late-recoveries", &settings).await;
        let client = Client::new(&world).await;
        client.loses_an_answer().await;
        client.pass(MINUTE).await;
        assert_eq!(client.code().await, "reuse_detected");
    });
}

#[test]
fn where_other_networks_are_refused_a_late_token_from_one_is_refused_and_the_session_lives() {
    run(async {
        let settings = [("RATCHET_CONVERGENCE_FROM_ELSEWHERE", "refuse")];
        let world = World::beside("no-late-convergence", &settings).await;
        let mut client = Client::new(&world).await;
        let lost = client.loses_an_answer().await;
        client.pass(MINUTE).await;
        let text = include_str!("../../events/refresh/forged-token.json");
        let mut event: serde_json::Value = serde_json::from_str(text).unwrap();
        event["body"] = serde_json::json!({"refresh_token": client.token}).to_string().into();
        event["requestContext"]["http"]["sourceIp"] = "203.0.113.77".into();
        event["requestContext"]["http"]["userAgent"] = "ratchet-tests".into();
        event["headers"]["user-agent"] = "ratchet-tests".into();
        let answer = world.invoke("refresh", &event).await;
        assert_eq!(answer["statusCode"], 401, "{answer}");
        assert!(answer["body"].as_str().unwrap().contains("elsewhere"), "{answer}");
        assert_eq!(client.events("suspicious_convergence"), 1);
        assert_eq!(client.refreshes().await.refresh, lost);
    });
}
