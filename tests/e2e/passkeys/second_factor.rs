//! A passkey in place of a code, after the password.

use serde_json::{Value, json};

use super::problem;
use crate::support::{
    Answer, World,
    dpop::KeyClient,
    factor::{Enrolled, challenge},
    passkey::{Ceremony, Keeper},
    ring::parts,
    run,
};

const OPTIONS: &str = "/passkeys/options";
const PATH: &str = "/passkeys/authenticate";

/// Somebody with an authenticator app and a passkey.
async fn with_both(world: &World) -> Keeper {
    keep(world, world.enrolled().await).await
}

/// Adds a passkey for somebody with an authenticator app.
async fn keep(world: &World, enrolled: Enrolled) -> Keeper {
    let Enrolled { person, tokens, app, .. } = enrolled;
    let body = json!({"password": person.password, "code": app.code()});
    let stepped_up = world.ask("POST", "/users/me/step-up", &tokens.access, body).await.json();
    let access = stepped_up["access_token"].as_str().expect("an access token");
    let ceremony = world.begin_passkey_stepped_up(access).await;
    world.forget_steps(person.id).await;
    world.keeper_with(person, tokens, &ceremony).await
}

async fn begin(world: &World, challenge: &str) -> Answer {
    world.api().post(OPTIONS, json!({"challenge": challenge})).await
}

fn body(ceremony: &Ceremony, challenge: &str, keeper: &mut Keeper) -> Value {
    let mut body = ceremony.sign_in(&mut keeper.passkey);
    body["challenge"] = json!(challenge);
    body
}

#[test]
fn password_and_passkey_start_a_session_that_says_so() {
    run(async {
        let world = World::shared().await;
        let mut keeper = with_both(world).await;
        let challenge = world.challenge(&keeper.person).await;
        let ceremony = Ceremony::of(&begin(world, &challenge).await);
        assert_eq!(ceremony.options["allowCredentials"].as_array().unwrap().len(), 1);
        let body = body(&ceremony, &challenge, &mut keeper);
        let answer = world.api().post(PATH, body.clone()).await;
        assert!(answer.json()["device_token"].is_string(), "{answer:?}");
        let tokens = answer.tokens();
        assert_eq!(parts(&tokens.access).1["amr"], json!(["pwd", "hwk"]));
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200);
        let again = world.api().post(PATH, body).await;
        assert_eq!(again.problem(), problem(401, "challenge_spent"));
        assert_eq!(begin(world, &challenge).await.problem(), problem(401, "challenge_spent"));
    });
}

#[test]
fn a_challenge_is_spent_by_a_code_or_by_a_passkey() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let app = enrolled.app.clone();
        let mut keeper = keep(world, enrolled).await;
        let challenge = world.challenge(&keeper.person).await;
        let ceremony = Ceremony::of(&begin(world, &challenge).await);
        let body = body(&ceremony, &challenge, &mut keeper);
        assert_eq!(world.complete(&challenge, &app.code()).await.status, 200);
        let spent = world.api().post(PATH, body).await;
        assert_eq!(spent.problem(), problem(401, "challenge_spent"));
    });
}

#[test]
fn a_passkey_needs_the_challenge_of_its_own_user_and_options() {
    run(async {
        let world = World::shared().await;
        let (mut keeper, mut other) = (with_both(world).await, with_both(world).await);
        let mine = world.challenge(&keeper.person).await;
        let theirs = world.challenge(&other.person).await;
        let ceremony = Ceremony::of(&begin(world, &mine).await);
        let invalid = problem(401, "invalid_challenge");
        let with_theirs = body(&ceremony, &theirs, &mut keeper);
        assert_eq!(world.api().post(PATH, with_theirs).await.problem(), invalid);
        let without = ceremony.sign_in(&mut keeper.passkey);
        assert_eq!(world.api().post(PATH, without).await.problem(), invalid);
        let any = world.begin_passkey_sign_in().await;
        let of_any = body(&any, &mine, &mut keeper);
        assert_eq!(world.api().post(PATH, of_any).await.problem(), invalid);
        let with_anothers = body(&ceremony, &mine, &mut other);
        let refused = world.api().post(PATH, with_anothers).await;
        assert_eq!(refused.problem(), problem(401, "invalid_passkey"));
        // A challenge that nobody's password has led to.
        world.forget_challenge(&mine).await;
        let forgotten = body(&ceremony, &mine, &mut keeper);
        assert_eq!(world.api().post(PATH, forgotten).await.problem(), invalid);
        assert_eq!(begin(world, &mine).await.problem(), invalid);
        assert_eq!(begin(world, "sf1_AAAA").await.problem(), invalid);
    });
}

#[test]
fn with_a_second_factor_the_password_alone_adds_no_passkey() {
    run(async {
        let world = World::shared().await;
        let Enrolled { person, tokens, app, .. } = world.enrolled().await;
        let path = "/users/me/passkeys/options";
        let options =
            async |access: &str, body: Value| world.ask("POST", path, access, body).await.problem();
        let refused = problem(401, "insufficient_user_authentication");
        let password = json!({"password": person.password});
        assert_eq!(options(&tokens.access, password).await, refused);
        // Nor does a code alone.
        let code = json!({"code": app.code()});
        let code = world.ask("POST", "/users/me/step-up", &tokens.access, code).await.json();
        let access = code["access_token"].as_str().expect("an access token");
        assert_eq!(options(access, json!({})).await, refused);
    });
}

#[test]
fn who_has_no_passkey_learns_so_and_the_challenge_is_still_good() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let challenge = world.challenge(&enrolled.person).await;
        assert_eq!(begin(world, &challenge).await.problem(), problem(409, "no_passkey"));
        assert_eq!(world.complete(&challenge, &enrolled.app.code()).await.status, 200);
    });
}

#[test]
fn a_passkey_alone_needs_no_code_and_does_not_make_a_password_need_one() {
    run(async {
        let world = World::shared().await;
        let mut both = with_both(world).await;
        let tokens = world.sign_in_with(&mut both.passkey).await.tokens();
        assert_eq!(parts(&tokens.access).1["amr"], json!(["hwk"]));
        let keeper = world.keeper().await;
        let tokens = world.sign_in(&keeper.person).await;
        assert_eq!(parts(&tokens.access).1["amr"], json!(["pwd"]));
    });
}

#[test]
fn a_challenge_that_is_bound_to_a_key_needs_its_proof() {
    run(async {
        let world = World::shared().await;
        let mut keeper = with_both(world).await;
        let client = KeyClient::new(world).await;
        let challenge = challenge(&client.try_sign_in(&keeper.person).await);
        let unproven = begin(world, &challenge).await;
        assert_eq!(unproven.status, 400, "{unproven:?}");
        let options = client.post(OPTIONS, &json!({"challenge": challenge})).await;
        let ceremony = Ceremony::of(&options);
        let body = body(&ceremony, &challenge, &mut keeper);
        assert_eq!(world.api().post(PATH, body.clone()).await.status, 400);
        let answer = client.post(PATH, &body).await;
        assert_eq!(answer.json()["token_type"], "DPoP", "{answer:?}");
    });
}
