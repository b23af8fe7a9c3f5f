//! A message is the first of two steps for users with a second factor.

use serde_json::json;

use super::{PATH, by_code, by_link, confirm, message, problem};
use crate::support::{
    Answer, World,
    dpop::KeyClient,
    factor::{Authenticator, challenge, recovery_codes},
    passkey::Ceremony,
    ring::parts,
    run,
};

#[test]
fn message_and_code_start_a_session_that_says_so() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let message = message(world, &enrolled.person).await;
        let asked = confirm(world, &by_code(&message)).await;
        assert_eq!(asked.problem(), problem(401, "second_factor_required"));
        let again = confirm(world, &by_code(&message)).await;
        assert_eq!(again.problem(), problem(401, "challenge_spent"));
        let challenge = challenge(&asked);
        let wrong = world.complete(&challenge, &enrolled.app.wrong_code()).await;
        assert_eq!(wrong.problem(), problem(401, "invalid_code"));
        let answer = world.complete(&challenge, &enrolled.app.code()).await;
        assert!(answer.json()["device_token"].is_null(), "{answer:?}");
        let tokens = answer.tokens();
        assert_eq!(parts(&tokens.access).1["amr"], json!(["otp", "email"]));
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        assert_eq!(parts(&next.access).1["amr"], json!(["otp", "email"]));
        let spent = world.complete(&challenge, &enrolled.app.code_after(30)).await;
        assert_eq!(spent.problem(), problem(401, "challenge_spent"));
    });
}

#[test]
fn a_passkey_does_in_place_of_the_code() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let app = world.begin_totp(&keeper.person, &keeper.tokens.access).await;
        let body = json!({"code": app.code()});
        let path = "/users/me/totp/confirm";
        assert_eq!(world.ask("POST", path, &keeper.tokens.access, body).await.status, 200);
        let message = message(world, &keeper.person).await;
        let challenge = challenge(&confirm(world, &by_link(&message)).await);
        let begun = world.api().post("/passkeys/options", json!({"challenge": challenge})).await;
        let mut body = Ceremony::of(&begun).sign_in(&mut keeper.passkey);
        body["challenge"] = json!(challenge);
        let answer = world.api().post("/passkeys/authenticate", body).await;
        assert!(answer.json()["device_token"].is_null(), "{answer:?}");
        assert_eq!(parts(&answer.tokens().access).1["amr"], json!(["hwk", "email"]));
    });
}

#[test]
fn the_challenge_is_bound_to_the_key_of_the_message() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let client = KeyClient::new(world).await;
        let message = message(world, &enrolled.person).await;
        let challenge = challenge(&client.post(PATH, &by_link(&message)).await);
        let body = json!({"challenge": challenge, "code": enrolled.app.code()});
        let path = "/authenticate/second-factor";
        let unproven = Answer::of(world.api().request("POST", path).json(&body)).await;
        assert_eq!(unproven.status, 400, "{unproven:?}");
        let answer = client.post(path, &body).await;
        assert_eq!(answer.json()["token_type"], "DPoP", "{answer:?}");
    });
}

#[test]
fn log_out_everywhere_ends_the_challenge() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let message = message(world, &enrolled.person).await;
        let challenge = challenge(&confirm(world, &by_link(&message)).await);
        let ended = world.api().delete("/users/me/sessions", &enrolled.tokens.access).await;
        assert_eq!(ended.status, 204);
        let refused = world.complete(&challenge, &enrolled.app.code()).await;
        assert_eq!(refused.problem(), problem(401, "invalid_challenge"));
    });
}

#[test]
fn where_one_is_required_it_is_set_up_after_the_message() {
    run(async {
        let required =
            World::beside("email-required", &[("RATCHET_SECOND_FACTOR", "required")]).await;
        let shared = World::shared().await;
        let person = shared.person().await;
        let message = message(shared, &person).await;
        let asked = confirm(&required, &by_link(&message)).await;
        assert_eq!(asked.problem(), problem(401, "second_factor_enrollment_required"));
        let challenge = challenge(&asked);
        let path = "/authenticate/second-factor/totp";
        let begun = required.api().post(path, json!({"challenge": challenge})).await;
        let app = Authenticator::new(begun.json()["secret"].as_str().unwrap());
        let answer = required.complete(&challenge, &app.code()).await;
        assert_eq!(recovery_codes(&answer).len(), 10);
        assert_eq!(parts(&answer.tokens().access).1["amr"], json!(["otp", "email"]));
    });
}
