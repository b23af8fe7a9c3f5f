//! Requests at the same time.

use serde_json::json;
use tokio::task::JoinSet;

use super::{STEP_UP, authentication, problem};
use crate::support::{Answer, World, run};

#[test]
fn one_code_in_parallel_steps_up_once() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        for body in
            [json!({"code": enrolled.app.code()}), json!({"recovery_code": enrolled.recovery[0]})]
        {
            let requests = (0..6).map(|_| {
                let request = world.api().request("POST", STEP_UP);
                Answer::of(request.bearer_auth(&enrolled.tokens.access).json(&body))
            });
            let answers = requests.collect::<JoinSet<_>>().join_all().await;
            let good = answers.iter().filter(|answer| answer.status == 200).count();
            assert!(good <= 1, "{answers:?}");
            for answer in answers.iter().filter(|answer| ![200, 429, 503].contains(&answer.status))
            {
                assert_eq!(answer.problem(), problem(403, "invalid_code"));
            }
        }
    });
}

#[test]
fn a_step_up_beside_a_log_out_everywhere_leaves_no_session() {
    run(async {
        let world = World::shared().await;
        for _ in 0..5 {
            let (person, here) = world.signed_in().await;
            let there = world.sign_in(&person).await;
            let body = json!({"password": person.password});
            let (stepped_up, ended) =
                tokio::join!(world.step_up(&there.access, body.clone()), async {
                    world.api().delete("/users/me/sessions", &here.access).await
                },);
            assert_eq!(ended.status, 204);
            assert!([200, 401].contains(&stepped_up.status), "{stepped_up:?}");
            // Whichever was first, the session has ended, and its token changes nothing.
            assert_eq!(world.api().refresh(&there.refresh).await.code(), "revoked");
            if stepped_up.status == 200 {
                let access = super::access_of(&stepped_up);
                let again = world.step_up(&access, body).await;
                assert_eq!(again.problem(), problem(401, "session_ended"));
            }
        }
    });
}

#[test]
fn rotations_beside_step_ups_keep_the_latest_one() {
    run(async {
        let world = World::shared().await;
        let (person, mut tokens) = world.signed_in().await;
        world.set_number(&tokens.refresh, "auth_time", 1_700_000_000_000).await;
        let body = json!({"password": person.password});
        for _ in 0..4 {
            let (stepped_up, refreshed) =
                tokio::join!(world.step_up(&tokens.access, body.clone()), async {
                    world.api().refresh(&tokens.refresh).await
                },);
            let at = authentication(&super::access_of(&stepped_up)).0;
            tokens = refreshed.tokens();
            let session = world.session(&tokens.refresh).await.unwrap();
            assert_eq!(session.stepped_up.map(|it| it.at.seconds().get()), Some(at));
        }
        assert!(
            authentication(&world.api().refresh(&tokens.refresh).await.tokens().access).0
                > 1_700_000_000
        );
    });
}
