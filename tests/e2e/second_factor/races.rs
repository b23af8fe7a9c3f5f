//! Requests at the same time.

use tokio::task::JoinSet;

use super::problem;
use crate::support::{Answer, Api, World, items::ids, run};

/// The answers to requests that are sent at the same time.
async fn at_once<F>(requests: impl Iterator<Item = F>) -> Vec<Answer>
where
    F: Future<Output = Answer> + Send + 'static,
{
    requests.collect::<JoinSet<_>>().join_all().await
}

/// Completes a sign-in with a code, or a recovery code.
fn complete(
    api: Api,
    challenge: &str,
    kind: &'static str,
    code: &str,
) -> impl Future<Output = Answer> + Send + 'static {
    let body = serde_json::json!({"challenge": challenge, kind: code});
    async move { api.post("/authenticate/second-factor", body).await }
}

#[test]
fn one_challenge_and_one_code_in_parallel_start_one_session() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let challenge = world.challenge(&enrolled.person).await;
        let code = enrolled.app.code();
        let answers =
            at_once((0..8).map(|_| complete(world.api(), &challenge, "code", &code))).await;
        let good: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert!(good.len() <= 1, "{answers:?}");
        for answer in answers.iter().filter(|answer| answer.status == 401) {
            assert!(["challenge_spent", "invalid_code"].contains(&answer.code().as_str()));
        }
        let tokens = match good.first() {
            Some(answer) => answer.tokens(),
            // Too many at once for this machine: nothing, or one that was not answered.
            None => return,
        };
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200);
    });
}

#[test]
fn one_code_for_several_challenges_in_parallel_starts_one_session() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let mut challenges = Vec::new();
        for _ in 0..4 {
            challenges.push(world.challenge(&enrolled.person).await);
        }
        let code = enrolled.app.code();
        let answers =
            at_once(challenges.iter().map(|it| complete(world.api(), it, "code", &code))).await;
        let good = answers.iter().filter(|answer| answer.status == 200).count();
        assert!(good <= 1, "{answers:?}");
        let recovery = &enrolled.recovery[0];
        let mut challenges = Vec::new();
        for _ in 0..4 {
            challenges.push(world.challenge(&enrolled.person).await);
        }
        let answers = at_once(
            challenges.iter().map(|it| complete(world.api(), it, "recovery_code", recovery)),
        )
        .await;
        let good = answers.iter().filter(|answer| answer.status == 200).count();
        assert!(good <= 1, "{answers:?}");
    });
}

#[test]
fn the_session_that_is_refreshed_between_two_steps_makes_room_for_the_new_one() {
    run(async {
        let world = World::beside("factor-two-steps", &[("RATCHET_MAX_SESSIONS", "1")]).await;
        let enrolled = World::shared().await.enrolled().await;
        let challenge = world.challenge(&enrolled.person).await;
        world.forget_steps(enrolled.person.id).await;
        let phone = world.complete(&challenge, &enrolled.app.code()).await.tokens();
        let challenge = world.challenge(&enrolled.person).await;
        let phone = world.api().refresh(&phone.refresh).await.tokens();
        world.forget_steps(enrolled.person.id).await;
        let laptop = world.complete(&challenge, &enrolled.app.code()).await.tokens();
        assert_eq!(world.api().refresh(&laptop.refresh).await.status, 200);
        assert_eq!(world.api().refresh(&phone.refresh).await.status, 401);
    });
}

#[test]
fn a_spent_challenge_stays_spent_although_other_sign_ins_made_room() {
    run(async {
        let world = World::beside("factor-one-session", &[("RATCHET_MAX_SESSIONS", "1")]).await;
        let enrolled = World::shared().await.enrolled().await;
        let (first, second) =
            (world.challenge(&enrolled.person).await, world.challenge(&enrolled.person).await);
        let one = world.complete(&first, &enrolled.app.code()).await.tokens();
        world.forget_steps(enrolled.person.id).await;
        let two = world.complete(&second, &enrolled.app.code()).await.tokens();
        assert_eq!(world.api().refresh(&one.refresh).await.status, 401);
        world.forget_steps(enrolled.person.id).await;
        let again = world.complete(&first, &enrolled.app.code()).await;
        assert_eq!(again.problem(), problem(401, "challenge_spent"));
        let next = world.api().refresh(&two.refresh).await.tokens();
        assert_eq!(ids(&next.refresh).generation, 1);
    });
}
