//! A passkey authenticates its user again within a session, and stands in for the password.

use serde_json::{Value, json};

use super::problem;
use crate::support::{
    Answer, World,
    passkey::{Ceremony, Keeper},
    ring::parts,
    run,
};

const OPTIONS: &str = "/users/me/step-up/passkey/options";
const PATH: &str = "/users/me/step-up/passkey";

async fn begin(world: &World, access: &str) -> Answer {
    Answer::of(world.api().request("POST", OPTIONS).bearer_auth(access)).await
}

/// A step-up, and its body.
async fn step_up(world: &World, keeper: &mut Keeper) -> (Answer, Value) {
    let ceremony = Ceremony::of(&begin(world, &keeper.tokens.access).await);
    let body = ceremony.sign_in(&mut keeper.passkey);
    (world.ask("POST", PATH, &keeper.tokens.access, body.clone()).await, body)
}

fn access_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["access_token"].as_str().expect("an access token").to_owned()
}

#[test]
fn a_passkey_steps_the_session_up_and_refreshes_say_so() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let (answer, _) = step_up(world, &mut keeper).await;
        let claims = parts(&access_of(&answer)).1;
        assert_eq!((&claims["amr"], &claims["step_up"]), (&json!(["hwk"]), &json!(true)));
        let next = world.api().refresh(&keeper.tokens.refresh).await.tokens();
        let refreshed = parts(&next.access).1;
        assert_eq!((&refreshed["amr"], &refreshed["step_up"]), (&json!(["hwk"]), &Value::Null));
        assert_eq!(refreshed["auth_time"], claims["auth_time"]);
    });
}

#[test]
fn it_stands_in_for_the_password_also_to_add_another_passkey() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let bare = world.ask("POST", "/users/me/totp", &keeper.tokens.access, json!({})).await;
        assert_eq!(bare.problem(), problem(401, "insufficient_user_authentication"));
        let (answer, _) = step_up(world, &mut keeper).await;
        let access = access_of(&answer);
        let begun = world.ask("POST", "/users/me/totp", &access, json!({})).await;
        assert_eq!(begun.status, 200, "{begun:?}");
        let another = world.begin_passkey_stepped_up(&access).await;
        let body = another.addition(&authenticator::Passkey::create(&another.options), "Laptop");
        assert_eq!(world.add_passkey(&access, &body).await.status, 201);
    });
}

#[test]
fn an_answer_counts_once_for_its_own_session_and_user() {
    run(async {
        let world = World::shared().await;
        let (mut keeper, mut other) = (world.keeper().await, world.keeper().await);
        keeper.passkey.counts = false;
        let (first, body) = step_up(world, &mut keeper).await;
        assert_eq!(first.status, 200, "{first:?}");
        let refused = problem(403, "invalid_passkey");
        let again = world.ask("POST", PATH, &keeper.tokens.access, body).await;
        assert_eq!(again.problem(), refused, "again");
        let ceremony = Ceremony::of(&begin(world, &keeper.tokens.access).await);
        let body = ceremony.sign_in(&mut keeper.passkey);
        let second = world.sign_in(&keeper.person).await;
        for access in [&second.access, &other.tokens.access] {
            let answer = world.ask("POST", PATH, access, body.clone()).await;
            assert_eq!(answer.problem(), refused);
        }
        let foreign = ceremony.sign_in(&mut other.passkey);
        let answer = world.ask("POST", PATH, &keeper.tokens.access, foreign).await;
        assert_eq!(answer.problem(), refused, "another user's passkey");
        let sign_in = world.begin_passkey_sign_in().await.sign_in(&mut keeper.passkey);
        let answer = world.ask("POST", PATH, &keeper.tokens.access, sign_in).await;
        assert_eq!(answer.problem(), refused, "of a sign-in");
        assert_eq!(world.ask("POST", PATH, &keeper.tokens.access, body).await.status, 200);
    });
}

#[test]
fn a_repeated_answer_is_not_taken_for_a_copied_key() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        assert!(keeper.passkey.counts);
        let (first, body) = step_up(world, &mut keeper).await;
        assert_eq!(first.status, 200, "{first:?}");
        let again = world.ask("POST", PATH, &keeper.tokens.access, body).await;
        assert_eq!(again.problem(), problem(403, "invalid_passkey"));
        let id = keeper.person.id.to_string();
        let is_alarm = |line: &str| line.contains("passkey_cloned") && line.contains(&id);
        assert!(!world.log_text().lines().any(is_alarm), "nothing was cloned");
    });
}

#[test]
fn it_revives_no_session_and_needs_a_passkey() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let ceremony = Ceremony::of(&begin(world, &keeper.tokens.access).await);
        assert_eq!(world.api().logout(&keeper.tokens.refresh).await.status, 204);
        let body = ceremony.sign_in(&mut keeper.passkey);
        let ended = world.ask("POST", PATH, &keeper.tokens.access, body).await;
        assert_eq!(ended.problem(), problem(401, "session_ended"));
        let (_, tokens) = world.signed_in().await;
        assert_eq!(begin(world, &tokens.access).await.problem(), problem(409, "no_passkey"));
    });
}
