//! Guessing codes.

use ratchet_core::attempts::AttemptKey;
use ratchet_store::Attempts;
use serde_json::json;

use super::{is_signed_in, problem};
use crate::support::{World, run};

fn attempts(world: &World) -> Attempts {
    Attempts::new(world.stack().dynamodb(), world.stack().data().users_table.as_str())
}

#[test]
fn wrong_codes_are_counted_for_the_user_whatever_the_challenge_and_delay_the_right_one() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let wrong = enrolled.app.wrong_code();
        for _ in 0..5 {
            // The right password in between forgives nothing.
            let challenge = world.challenge(&enrolled.person).await;
            assert_eq!(
                world.complete(&challenge, &wrong).await.problem(),
                problem(401, "invalid_code")
            );
        }
        let challenge = world.challenge(&enrolled.person).await;
        // Half of these may pass once the second of delay is over.
        let mut refused = 0;
        for _ in 0..4 {
            let answer = world.complete(&challenge, &wrong).await;
            refused += usize::from(answer.problem() == problem(429, "too_many_attempts"));
            if answer.status == 429 {
                assert!(!answer.header("retry-after").is_empty());
            }
        }
        assert!(refused >= 2, "{refused}");
        // Others are not affected, and neither are the user's sessions.
        let other = world.enrolled().await;
        let challenge = world.challenge(&other.person).await;
        assert!(is_signed_in(&world.complete(&challenge, &other.app.code()).await));
        assert_eq!(world.api().refresh(&enrolled.tokens.refresh).await.status, 200);
    });
}

#[test]
fn a_right_code_forgives_three_typing_errors_and_no_more() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let key = AttemptKey::second_factor(enrolled.person.id);
        let count = || async { attempts(world).find(&key).await.unwrap().map(|it| it.count) };
        let challenge = world.challenge(&enrolled.person).await;
        for (errors, left) in [(2, 0), (5, 2)] {
            for _ in 0..errors {
                world.complete(&challenge, &enrolled.app.wrong_code()).await;
            }
            // After five there is a delay of a second.
            tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
            let challenge = world.challenge(&enrolled.person).await;
            world.forget_steps(enrolled.person.id).await;
            let answer = world.complete(&challenge, &enrolled.app.code()).await;
            assert!(is_signed_in(&answer), "{answer:?}");
            assert_eq!(count().await, Some(left), "{errors}");
        }
    });
}

#[test]
fn too_many_wrong_codes_lock_the_second_factor_until_somebody_unlocks_it() {
    run(async {
        let settings = [("RATCHET_MAX_FAILURES", "10"), ("RATCHET_FREE_FAILURES", "20")];
        let world = World::beside("factor-locked", &settings).await;
        let shared = World::shared().await;
        let enrolled = shared.enrolled().await;
        let challenge = world.challenge(&enrolled.person).await;
        for _ in 0..10 {
            let answer = world.complete(&challenge, &enrolled.app.wrong_code()).await;
            assert_eq!(answer.problem(), problem(401, "invalid_code"));
        }
        let code = enrolled.app.code();
        for answer in [
            world.complete(&challenge, &code).await,
            world.recover(&challenge, &enrolled.recovery[0]).await,
        ] {
            assert_eq!(answer.problem(), problem(429, "second_factor_locked"));
        }
        // The password does not unlock it, and neither does a session.
        let body = json!({"password": enrolled.person.password, "code": code});
        let answer = world.ask("DELETE", "/users/me/totp", &enrolled.tokens.access, body).await;
        assert_eq!(answer.problem(), problem(429, "second_factor_locked"));
        shared.ratchet(&["users", "unlock", &enrolled.person.name]).await.done();
        assert!(is_signed_in(&world.complete(&challenge, &enrolled.app.code()).await));
    });
}

#[test]
fn first_codes_cannot_be_guessed_without_limit_either() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let app = world.begin_totp(&person, &tokens.access).await;
        let body = json!({"code": app.wrong_code()});
        let mut refused = 0;
        for _ in 0..9 {
            let answer =
                world.ask("POST", "/users/me/totp/confirm", &tokens.access, body.clone()).await;
            refused += usize::from(answer.problem() == problem(429, "too_many_attempts"));
        }
        assert!(refused >= 2, "{refused}");
    });
}
