//! `functions/accounts` and `functions/mailer`, with real messages.

use crate::support::{Answer, World, people::Person};

mod administration;
mod clean_up;
mod expiry;
mod messages;
mod own;
mod registration;
mod waiting;

const INVALID: (u16, &str) = (400, "invalid_proof");

fn problem(answer: &Answer) -> (u16, String) {
    answer.problem()
}

async fn admin(world: &World) -> (Person, String) {
    let person = world.person_with(|new| new.user.roles = vec!["admin".to_owned()]).await;
    let access = world.sign_in(&person).await.access;
    (person, access)
}

async fn patch(world: &World, path: &str, access: &str, body: serde_json::Value) -> Answer {
    Answer::of(world.api().request("PATCH", path).bearer_auth(access).json(&body)).await
}

async fn post(world: &World, path: &str, access: &str, body: serde_json::Value) -> Answer {
    Answer::of(world.api().request("POST", path).bearer_auth(access).json(&body)).await
}
