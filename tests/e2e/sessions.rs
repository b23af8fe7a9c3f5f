//! `/users/me/sessions`: users list and end their own sessions.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::support::{
    Answer, Tokens, World,
    items::ids,
    people::{Person, now},
    proxy::Fault,
    run,
};

fn id(tokens: &Tokens) -> String {
    ids(&tokens.refresh).session_id.to_string()
}

async fn list(world: &World, tokens: &Tokens) -> Vec<Value> {
    let answer = world.api().get("/users/me/sessions", &tokens.access).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["sessions"].as_array().unwrap().clone()
}

async fn three_sessions(world: &World) -> (Person, [Tokens; 3]) {
    let person = world.person().await;
    let one = world.sign_in(&person).await;
    let two = world.sign_in(&person).await;
    let three = world.sign_in(&person).await;
    (person, [one, two, three])
}

#[test]
fn a_caller_sees_every_live_session_and_which_one_is_the_current() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let body = json!({"name": person.name, "password": person.password, "device": "Phone"});
        let phone = world.api().as_user_agent("phone/1").post("/authenticate", body).await.tokens();
        let laptop = world.sign_in(&person).await;
        let ended = world.sign_in(&person).await;
        world.api().logout(&ended.refresh).await;
        let phone = world.api().as_user_agent("phone/2").refresh(&phone.refresh).await.tokens();

        let sessions = list(world, &laptop).await;
        assert_eq!(sessions.len(), 2);
        assert_eq!(sessions[0]["id"], id(&phone), "the one refreshed last comes first");
        assert_eq!(sessions[0]["current"], false);
        assert_eq!(sessions[0]["device"], "Phone");
        assert_eq!(sessions[0]["user_agent"], "phone/2");
        assert_eq!(sessions[0]["network"], "127.0.0.0/24");
        assert_eq!(sessions[1]["id"], id(&laptop));
        assert_eq!(sessions[1]["current"], true);
        for session in sessions {
            let at = |name: &str| session[name].as_u64().unwrap();
            assert!(at("signed_in_at") <= at("refreshed_at"));
            assert!(at("refreshed_at") < at("idle_expires_at"));
            assert!(at("idle_expires_at") <= at("absolute_expires_at"));
        }
    });
}

#[test]
fn one_session_can_be_ended_from_another() {
    run(async {
        let world = World::shared().await;
        let (_, [one, two, three]) = three_sessions(world).await;
        let path = format!("/users/me/sessions/{}", id(&one));
        assert_eq!(world.api().delete(&path, &two.access).await.status, 204);
        assert_eq!(world.api().refresh(&one.refresh).await.code(), "revoked");
        assert_eq!(world.api().refresh(&three.refresh).await.status, 200);
        assert_eq!(
            world.api().delete(&path, &two.access).await.problem(),
            (404, "not_found".to_owned())
        );
    });
}

#[test]
fn somebody_elses_session_is_as_unknown_as_one_that_never_was() {
    run(async {
        let world = World::shared().await;
        let ((_, mine), (_, theirs)) = (world.signed_in().await, world.signed_in().await);
        let never = "01920000-0000-7000-8000-000000000000";
        let none = [never, "x", "%ff", "%00"].map(str::to_owned);
        for other in none.into_iter().chain([id(&theirs), id(&theirs).to_uppercase()]) {
            let path = format!("/users/me/sessions/{other}");
            let refusal = world.api().delete(&path, &mine.access).await;
            assert_eq!(refusal.problem(), (404, "not_found".to_owned()), "{other}");
        }
        assert_eq!(world.api().refresh(&theirs.refresh).await.status, 200);
    });
}

#[test]
fn all_other_sessions_can_be_ended_at_once() {
    run(async {
        let world = World::shared().await;
        let (person, [one, two, three]) = three_sessions(world).await;
        let path = "/users/me/sessions?except=current";
        assert_eq!(world.api().delete(path, &two.access).await.status, 204);
        for gone in [&one, &three] {
            assert_eq!(world.api().refresh(&gone.refresh).await.code(), "revoked");
        }
        assert_eq!(world.api().refresh(&two.refresh).await.status, 200, "the spared one lives on");
        let later = world.sign_in(&person).await;
        assert_eq!(world.api().refresh(&later.refresh).await.status, 200);
    });
}

#[test]
fn everything_can_be_ended_at_once_and_signing_in_again_works() {
    run(async {
        let world = World::shared().await;
        let (person, [one, two, three]) = three_sessions(world).await;
        assert_eq!(world.api().delete("/users/me/sessions", &two.access).await.status, 204);
        for gone in [&one, &two, &three] {
            assert_eq!(world.api().refresh(&gone.refresh).await.code(), "revoked");
        }
        let again = world.sign_in(&person).await;
        assert_eq!(world.api().refresh(&again.refresh).await.status, 200);
    });
}

#[test]
fn a_cut_ends_sessions_that_the_clean_up_never_saw() {
    run(async {
        // A session that an earlier sign-in writes just after the clean-up has listed the sessions.
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        // Its number is low: by whose clock it was made does not matter.
        let cut = AttributeValue::N("7".to_owned());
        world.set_user(person.id, "sessions_valid_after", cut).await;
        assert_eq!(world.api().refresh(&tokens.refresh).await.code(), "revoked");
        let session = world.session(&tokens.refresh).await.unwrap();
        assert_eq!(session.revoked.unwrap().reason.as_str(), "ended_everywhere");
    });
}

#[test]
fn a_sign_in_under_way_is_ended_by_a_cut_that_it_has_not_seen() {
    run(async {
        let (world, dynamodb) = World::behind_proxy("late-sign-in", &[]).await;
        let (person, tokens) = world.signed_in().await;
        // The user has been read and the password checked, but the session is not written yet.
        dynamodb.break_next("PutItem", 1, Fault::Delay(Duration::from_millis(300)));
        let calls = dynamodb.calls("PutItem");
        let (api, late) = (world.api(), person.clone());
        let late = tokio::spawn(async move { api.authenticate(&late.name, &late.password).await });
        dynamodb.arrived("PutItem", calls, &late).await;
        assert_eq!(world.api().delete("/users/me/sessions", &tokens.access).await.status, 204);
        let late = late.await.unwrap().tokens();
        assert_eq!(world.api().refresh(&late.refresh).await.code(), "revoked");
        let again = world.sign_in(&person).await;
        assert_eq!(world.api().refresh(&again.refresh).await.status, 200);
    });
}

#[test]
fn a_cut_by_a_clock_that_is_ahead_hides_no_later_one() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let ahead = AttributeValue::N((now().get() + 600_000).to_string());
        world.set_user(person.id, "sessions_valid_after", ahead).await;
        let tokens = world.sign_in(&person).await;
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200, "it saw that cut");
        let other = world.sign_in(&person).await;
        world.api().delete("/users/me/sessions?except=current", &other.access).await;
        assert_eq!(world.api().refresh(&tokens.refresh).await.code(), "revoked");
        assert_eq!(world.api().delete("/users/me/sessions", &other.access).await.status, 204);
        assert_eq!(world.api().refresh(&other.refresh).await.code(), "revoked");
        let again = world.sign_in(&person).await;
        assert_eq!(world.api().refresh(&again.refresh).await.status, 200);
    });
}

#[test]
fn a_write_of_a_new_session_that_comes_late_brings_nothing_back() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let new = world.session(&tokens.refresh).await.unwrap();
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        world.sessions().create(&new).await.unwrap();
        assert_eq!(world.api().refresh(&next.refresh).await.status, 200, "it is not set back");
        world.api().logout(&next.refresh).await;
        world.sessions().create(&new).await.unwrap();
        assert_eq!(world.api().refresh(&tokens.refresh).await.code(), "revoked");
    });
}

#[test]
fn an_access_token_of_an_ended_session_manages_nothing() {
    run(async {
        let world = World::shared().await;
        let (_, [one, two, _]) = three_sessions(world).await;
        world.api().logout(&one.refresh).await;
        let path = format!("/users/me/sessions/{}", id(&two));
        for answer in [
            world.api().get("/users/me/sessions", &one.access).await,
            world.api().delete(&path, &one.access).await,
            world.api().delete("/users/me/sessions", &one.access).await,
        ] {
            assert_eq!(answer.problem(), (401, "session_ended".to_owned()));
        }
        assert_eq!(world.api().refresh(&two.refresh).await.status, 200);
    });
}

#[test]
fn sessions_need_an_access_token_and_a_known_query() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let refusal = Answer::of(world.api().request("GET", "/users/me/sessions")).await;
        assert_eq!(refusal.code(), "missing_access_token");
        for query in ["except=", "except=all", "except=current&except=current"] {
            let path = format!("/users/me/sessions?{query}");
            let refusal = world.api().delete(&path, &tokens.access).await;
            assert_eq!(refusal.problem(), (400, "malformed_request".to_owned()), "{query}");
        }
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200);
    });
}
