//! Many clients with one token at the same time.

use std::{collections::HashSet, time::Duration};

use crate::support::{Api, World, api::available, items::ids, run};

/// All clients present `token` at once. Returns the refresh tokens of the answers.
async fn all_at_once(apis: &[Api], clients: usize, token: &str) -> Vec<String> {
    let requests: Vec<_> = (0..clients)
        .map(|client| {
            let (api, token) = (apis[client % apis.len()].clone(), token.to_owned());
            tokio::spawn(async move { available(|| api.refresh(&token)).await.tokens().refresh })
        })
        .collect();
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await.unwrap());
    }
    answers
}

async fn one_write_wins(world: &World, apis: &[Api], clients: usize) {
    let (_, tokens) = world.signed_in().await;
    let answers = all_at_once(apis, clients, &tokens.refresh).await;
    let different: HashSet<_> = answers.iter().collect();
    assert_eq!(different.len(), 1, "every 200 carries the same successor");
    let session = world.session(&tokens.refresh).await.unwrap();
    assert_eq!(session.generation, 1, "exactly one write won");
    assert_eq!(session.revoked, None);
    assert_eq!(world.api().refresh(&answers[0]).await.status, 200, "the session goes on");
}

#[test]
fn of_twenty_parallel_refreshes_one_write_wins_and_all_get_its_token() {
    run(async {
        let world = World::shared().await;
        for clients in [2, 10, 20, 50] {
            one_write_wins(world, &[world.api()], clients).await;
        }
    });
}

#[test]
fn of_two_hundred_parallel_refreshes_one_write_wins_and_all_get_its_token() {
    run(async {
        // The emulator holds at most a hundred requests for one function; so there are three.
        let world = World::shared().await;
        let (second, third) =
            (World::beside("wide-2", &[]).await, World::beside("wide-3", &[]).await);
        let apis = [world.api(), second.api(), third.api()];
        one_write_wins(world, &apis, 200).await;
    });
}

#[test]
fn twelve_processes_that_share_a_token_file_all_end_with_the_live_token() {
    run(async {
        // Each has read the file at a different time. They refresh one after another within a
        // second, the slowest one with the oldest token.
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let mut file = vec![tokens.refresh];
        for process in 0..12 {
            let read = if process == 11 { &file[0] } else { &file[file.len().saturating_sub(2)] };
            let answer = world.api().refresh(read).await;
            assert_eq!(answer.status, 200, "process {process} is not logged out");
            file.push(answer.tokens().refresh);
        }
        let live = file.last().unwrap();
        let session = world.session(live).await.unwrap();
        assert_eq!(ids(live).generation, session.generation, "the last answer is the live token");
        assert_eq!(session.revoked, None);
        assert_eq!(world.api().refresh(live).await.status, 200);
    });
}

#[test]
fn no_more_than_four_rotations_fit_into_a_window() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let mut live = tokens.refresh.clone();
        for _ in 0..8 {
            live = world.api().refresh(&live).await.tokens().refresh;
        }
        assert_eq!(ids(&live).generation, 4);
        world.age_superseded(&live, Duration::from_secs(60)).await;
        assert_eq!(ids(&world.api().refresh(&live).await.tokens().refresh).generation, 5);
    });
}

#[test]
fn a_sign_in_that_comes_thirty_times_is_thirty_sessions_and_a_log_out_is_one() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let all: Vec<_> = (0..30)
            .map(|_| {
                let (api, person) = (world.api(), person.clone());
                tokio::spawn(async move {
                    let sign_in = || api.authenticate(&person.name, &person.password);
                    available(sign_in).await.tokens().refresh
                })
            })
            .collect();
        let mut tokens = Vec::new();
        for sign_in in all {
            tokens.push(sign_in.await.unwrap());
        }
        let sessions: HashSet<_> = tokens.iter().map(|token| ids(token).session_id).collect();
        assert_eq!(sessions.len(), 30);
        let all: Vec<_> = (0..30)
            .map(|_| {
                let (api, token) = (world.api(), tokens[0].clone());
                tokio::spawn(async move { available(|| api.logout(&token)).await.status })
            })
            .collect();
        for log_out in all {
            assert_eq!(log_out.await.unwrap(), 204);
        }
        let revoked = world.session(&tokens[0]).await.unwrap().revoked;
        assert!(revoked.is_some());
        assert_eq!(world.api().refresh(&tokens[1]).await.status, 200, "the others live");
    });
}
