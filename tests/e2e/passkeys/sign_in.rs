//! Signing in with a passkey alone.

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::encoding::to_base64url;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::problem;
use crate::support::{
    Answer, World, dpop::KeyClient, items::ids, passkey::ORIGIN, ring::parts, run,
};

const PATH: &str = "/passkeys/authenticate";

#[test]
fn a_passkey_starts_a_session_without_a_name() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let ceremony = world.begin_passkey_sign_in().await;
        assert_eq!(ceremony.options["allowCredentials"], json!([]));
        let mut body = ceremony.sign_in(&mut keeper.passkey);
        body["device"] = json!("Laptop");
        let answer = world.api().post(PATH, body).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.json()["device_token"].is_null());
        let tokens = answer.tokens();
        assert_eq!(ids(&tokens.refresh).user_id, keeper.person.id);
        assert_eq!(parts(&tokens.access).1["amr"], json!(["hwk"]));
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        assert_eq!(parts(&next.access).1["amr"], json!(["hwk"]));
        let sessions = world.api().get("/users/me/sessions", &next.access).await.json();
        let current = sessions["sessions"].as_array().unwrap();
        let current = current.iter().find(|session| session["current"] == true).unwrap();
        assert_eq!(current["device"], "Laptop");
        let listed = world.api().get("/users/me/passkeys", &next.access).await.json();
        assert!(listed["passkeys"][0]["last_used_at"].is_u64());
    });
}

#[test]
fn an_answer_is_good_for_one_session_however_often_it_is_sent() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let body = world.begin_passkey_sign_in().await.sign_in(&mut keeper.passkey);
        let mut requests = JoinSet::new();
        for _ in 0..6 {
            let (api, body) = (world.api(), body.clone());
            requests.spawn(async move { api.post(PATH, body).await });
        }
        let answers = requests.join_all().await;
        let good: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(good.len(), 1, "{answers:?}");
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!(answer.problem(), problem(401, "challenge_spent"));
        }
        let tokens = good[0].tokens();
        let again = world.api().post(PATH, body.clone()).await;
        assert_eq!(again.problem(), problem(401, "challenge_spent"));
        let id = keeper.person.id.to_string();
        let is_alarm = |line: &str| line.contains("passkey_cloned") && line.contains(&id);
        assert!(!world.log_text().lines().any(is_alarm), "nothing was cloned");
        // Not even once the session has ended.
        assert_eq!(world.api().logout(&tokens.refresh).await.status, 204);
        assert_eq!(world.api().post(PATH, body).await.status, 401);
        assert_eq!(world.api().refresh(&tokens.refresh).await.code(), "revoked");
    });
}

#[test]
fn an_answer_of_a_passkey_that_does_not_count_is_spent_too() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        keeper.passkey.counts = false;
        let body = world.begin_passkey_sign_in().await.sign_in(&mut keeper.passkey);
        assert_eq!(world.api().post(PATH, body.clone()).await.status, 200);
        let again = world.api().post(PATH, body).await;
        assert_eq!(again.problem(), problem(401, "challenge_spent"));
        assert_eq!(world.sign_in_with(&mut keeper.passkey).await.status, 200);
    });
}

#[test]
fn a_counter_that_goes_back_is_refused_and_recorded() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        keeper.passkey.counter = 41;
        assert_eq!(world.sign_in_with(&mut keeper.passkey).await.status, 200);
        keeper.passkey.counter = 7;
        let refused = world.sign_in_with(&mut keeper.passkey).await;
        assert_eq!(refused.problem(), problem(401, "invalid_passkey"));
        let id = keeper.person.id.to_string();
        let lines = world.log_text();
        assert!(lines.lines().any(|line| line.contains("passkey_cloned") && line.contains(&id)));
        keeper.passkey.counter = 42;
        assert_eq!(world.sign_in_with(&mut keeper.passkey).await.status, 200);
    });
}

#[test]
fn whatever_is_wrong_the_answer_is_the_same() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let mut other = world.keeper().await;
        let mut bodies = Vec::new();
        let ceremony = world.begin_passkey_sign_in().await;
        let of = |credential: Value| json!({"ceremony": ceremony.text, "credential": credential});
        // A page of another site.
        let credential = keeper.passkey.assertion(&ceremony.options, "https://evil.example");
        bodies.push(of(credential));
        // Another user's handle, with a passkey of one's own.
        let mut credential = keeper.passkey.assertion(&ceremony.options, ORIGIN);
        credential["response"]["userHandle"] = json!(to_base64url(&other.passkey.user_handle));
        bodies.push(of(credential));
        // One's own handle, with the passkey of somebody else.
        let mut credential = other.passkey.assertion(&ceremony.options, ORIGIN);
        credential["response"]["userHandle"] = json!(to_base64url(&keeper.passkey.user_handle));
        bodies.push(of(credential));
        // Somebody who does not exist, and nobody.
        for handle in [json!(to_base64url(&[9; 16])), json!(null)] {
            let mut credential = keeper.passkey.assertion(&ceremony.options, ORIGIN);
            credential["response"]["userHandle"] = handle;
            bodies.push(of(credential));
        }
        // Nobody was verified.
        keeper.passkey.verifies_user = false;
        let credential = keeper.passkey.assertion(&ceremony.options, ORIGIN);
        keeper.passkey.verifies_user = true;
        bodies.push(of(credential));
        // Another challenge.
        let another = world.begin_passkey_sign_in().await;
        bodies.push(of(keeper.passkey.assertion(&another.options, ORIGIN)));
        let mut answers = Vec::new();
        for body in bodies {
            let answer = world.api().post(PATH, body).await;
            assert_eq!(answer.problem(), problem(401, "invalid_passkey"));
            answers.push(answer.body);
        }
        let disabled = world.keeper().await;
        let mut passkey = disabled.passkey;
        let disable = ["users", "disable", disabled.person.name.as_str()];
        world.ratchet(&disable).await.done();
        let answer = world.sign_in_with(&mut passkey).await;
        answers.push(answer.body);
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        // The ceremony is still good.
        let body = ceremony.sign_in(&mut keeper.passkey);
        assert_eq!(world.api().post(PATH, body).await.status, 200);
    });
}

#[test]
fn a_ceremony_that_is_forged_or_for_something_else_is_refused() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let adding = world.begin_passkey(&keeper.person, &keeper.tokens.access).await;
        let ceremony = world.begin_passkey_sign_in().await;
        let credential = keeper.passkey.assertion(&ceremony.options, ORIGIN);
        let forged = ceremony.text.replacen("pk1_Ag", "pk1_AQ", 1);
        for text in ["", "pk1_", "sf1_AAAA", &forged, &adding.text, &keeper.tokens.refresh] {
            let body = json!({"ceremony": text, "credential": credential});
            let refused = world.api().post(PATH, body).await;
            assert_eq!(refused.problem(), problem(401, "invalid_challenge"), "{text:.12}");
        }
    });
}

#[test]
fn an_unconfirmed_address_is_told_to_who_has_the_passkey() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let no = AttributeValue::Bool(false);
        world.set_user(keeper.person.id, "email_confirmed", no).await;
        let refused = world.sign_in_with(&mut keeper.passkey).await;
        assert_eq!(refused.problem(), problem(401, "email_not_confirmed"));
        keeper.passkey.verifies_user = false;
        let refused = world.sign_in_with(&mut keeper.passkey).await;
        assert_eq!(refused.problem(), problem(401, "invalid_passkey"));
    });
}

#[test]
fn the_session_ends_with_all_others() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let tokens = world.sign_in_with(&mut keeper.passkey).await.tokens();
        let ended = world.api().delete("/users/me/sessions", &keeper.tokens.access).await;
        assert_eq!(ended.status, 204);
        assert_eq!(world.api().refresh(&tokens.refresh).await.code(), "revoked");
        // The passkey is still good.
        assert_eq!(world.sign_in_with(&mut keeper.passkey).await.status, 200);
    });
}

#[test]
fn a_proof_of_possession_binds_the_session() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let client = KeyClient::new(world).await;
        let ceremony = world.begin_passkey_sign_in().await;
        let answer = client.post(PATH, &ceremony.sign_in(&mut keeper.passkey)).await;
        assert_eq!(answer.json()["token_type"], "DPoP", "{answer:?}");
        let tokens = answer.tokens();
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 400);
        assert_eq!(client.refresh(&tokens.refresh).await.status, 200);
    });
}

#[test]
fn a_wrong_proof_of_possession_is_refused_alike_for_every_user_and_for_nobody() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let ceremony = world.begin_passkey_sign_in().await;
        let mut answers = Vec::new();
        for handle in [keeper.passkey.user_handle.clone(), vec![9; 16]] {
            let mut body = ceremony.sign_in(&mut keeper.passkey);
            body["credential"]["response"]["userHandle"] = json!(to_base64url(&handle));
            let request = world.api().request("POST", PATH).header("dpop", "x").json(&body);
            answers.push(Answer::of(request).await);
        }
        for answer in &answers {
            assert_eq!(answer.problem(), problem(400, "invalid_dpop_proof"));
        }
        assert_eq!(answers[0].body, answers[1].body);
    });
}

#[test]
fn a_browser_signs_in_with_a_cookie_from_its_own_origin_only() {
    run(async {
        let origin = "https://app.example";
        let world = World::beside("passkey-cookie", &[("RATCHET_CORS_ORIGINS", origin)]).await;
        let mut keeper = World::shared().await.keeper().await;
        let ceremony = world.begin_passkey_sign_in().await;
        let mut body = ceremony.sign_in(&mut keeper.passkey);
        body["mode"] = json!("cookie");
        let request = |origin: &str| {
            let request = world.api().request("POST", PATH).header("origin", origin);
            request.header("x-ratchet", "1").json(&body)
        };
        let foreign = Answer::of(request("https://evil.example")).await;
        assert_eq!(foreign.problem(), problem(403, "forbidden_origin"));
        let answer = Answer::of(request(origin)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.json()["refresh_token"].is_null());
        assert!(answer.header("set-cookie").contains("refresh"), "{answer:?}");
    });
}
