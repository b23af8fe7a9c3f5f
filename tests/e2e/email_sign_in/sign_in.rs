//! From the message to the session.

use serde_json::json;
use tokio::task::JoinSet;

use super::{ASK, PATH, by_code, by_link, confirm, message, problem};
use crate::support::{Answer, World, dpop::KeyClient, items::ids, ring::parts, run};

#[test]
fn a_link_or_a_code_starts_a_session_that_says_so() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        for evidence in [by_link, by_code] {
            let message = message(world, &person).await;
            assert!(message.text().contains(&person.name), "{}", message.text());
            let mut body = evidence(&message);
            body["device"] = json!("Laptop");
            let answer = confirm(world, &body).await;
            assert_eq!(answer.header("cache-control"), "no-store");
            assert!(answer.json()["device_token"].is_null(), "{answer:?}");
            let tokens = answer.tokens();
            assert_eq!(ids(&tokens.refresh).user_id, person.id);
            assert_eq!(parts(&tokens.access).1["amr"], json!(["email"]));
            let next = world.api().refresh(&tokens.refresh).await.tokens();
            assert_eq!(parts(&next.access).1["amr"], json!(["email"]));
            let sessions = world.api().get("/users/me/sessions", &next.access).await.json();
            let sessions = sessions["sessions"].as_array().unwrap();
            let current = sessions.iter().find(|session| session["current"] == true).unwrap();
            assert_eq!(current["device"], "Laptop");
        }
    });
}

#[test]
fn a_message_is_good_for_one_session_however_often_it_is_sent() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let message = message(world, &person).await;
        let mut requests = JoinSet::new();
        for _ in 0..6 {
            let (api, body) = (world.api(), by_link(&message));
            requests.spawn(async move { api.post(PATH, body).await });
        }
        let answers = requests.join_all().await;
        let good: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(good.len(), 1, "{answers:?}");
        for answer in answers.iter().filter(|answer| ![200, 503].contains(&answer.status)) {
            assert_eq!(answer.problem(), problem(401, "challenge_spent"));
        }
        assert_eq!(world.sessions().list(person.id).await.unwrap().sessions.len(), 1);
        let other_half = confirm(world, &by_code(&message)).await;
        assert_eq!(other_half.problem(), problem(400, "invalid_proof"));
        // Not even once the session has ended.
        let tokens = good[0].tokens();
        assert_eq!(world.api().logout(&tokens.refresh).await.status, 204);
        let again = confirm(world, &by_link(&message)).await;
        assert_eq!(again.problem(), problem(401, "challenge_spent"));
        assert_eq!(world.api().refresh(&tokens.refresh).await.code(), "revoked");
    });
}

#[test]
fn a_spent_message_stays_spent_although_other_sign_ins_made_room() {
    run(async {
        let world = World::beside("email-one-session", &[("RATCHET_MAX_SESSIONS", "1")]).await;
        let shared = World::shared().await;
        let person = shared.person().await;
        let message = message(shared, &person).await;
        let first = confirm(&world, &by_link(&message)).await.tokens();
        let second = world.sign_in(&person).await;
        assert_eq!(world.api().refresh(&first.refresh).await.status, 401);
        let again = confirm(&world, &by_link(&message)).await;
        assert_eq!(again.problem(), problem(401, "challenge_spent"));
        assert_eq!(world.api().refresh(&second.refresh).await.status, 200);
    });
}

#[test]
fn a_proof_of_possession_binds_the_session() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let client = KeyClient::new(world).await;
        let message = message(world, &person).await;
        let unproven = world.api().request("POST", PATH).header("dpop", "garbage");
        let refused = Answer::of(unproven.json(&by_link(&message))).await;
        assert_eq!(refused.problem(), problem(400, "invalid_dpop_proof"));
        let answer = client.post(PATH, &by_link(&message)).await;
        assert_eq!(answer.json()["token_type"], "DPoP", "{answer:?}");
        let tokens = answer.tokens();
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 400);
        assert_eq!(client.refresh(&tokens.refresh).await.status, 200);
    });
}

#[test]
fn another_site_cannot_sign_its_visitors_in_and_uses_nothing_up() {
    run(async {
        let settings = [
            ("RATCHET_CORS_ORIGINS", "https://app.example"),
            ("RATCHET_ISSUER", "https://issuer.example"),
        ];
        let world = World::beside("email-cookie", &settings).await;
        let shared = World::shared().await;
        let person = shared.person().await;
        let mut body = by_code(&message(shared, &person).await);
        body["mode"] = json!("cookie");
        let from = |origin: &str| {
            let request = world.api().request("POST", PATH).header("origin", origin);
            Answer::of(request.header("x-ratchet", "1").json(&body))
        };
        let refused = from("https://evil.example").await;
        assert_eq!(refused.problem(), problem(403, "forbidden_origin"));
        let answer = from("https://app.example").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.json()["refresh_token"].is_null(), "{answer:?}");
        assert!(answer.header("set-cookie").starts_with("__Host-refresh-"), "{answer:?}");
    });
}

#[test]
fn without_the_parameter_there_is_nothing() {
    run(async {
        let world = World::beside("email-off", &[("RATCHET_EMAIL_SIGN_IN", "disabled")]).await;
        for path in [ASK, PATH] {
            let answer = world.api().post(path, json!({"email": "ada@example.com"})).await;
            assert_eq!(answer.problem(), problem(404, "not_found"));
        }
    });
}
