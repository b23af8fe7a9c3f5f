//! Signing in with a message: `/authenticate/email` and its confirmation.

use std::time::Duration;

use local::mail::Message;
use serde_json::{Value, json};

use crate::support::{
    Answer, World,
    mail::{code, token},
    people::Person,
};

mod ends;
mod faults;
mod refusals;
mod second_factor;
mod sign_in;

const ASK: &str = "/authenticate/email";
const PATH: &str = "/authenticate/email/confirm";

/// Status and code of a problem.
fn problem(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// The address of a person.
fn address(person: &Person) -> String {
    format!("{}@example.com", person.name).to_lowercase()
}

async fn ask(world: &World, email: &str) -> Answer {
    world.api().post(ASK, json!({"email": email})).await
}

/// A message that signs a person in.
async fn message(world: &World, person: &Person) -> Message {
    let email = address(person);
    let sent = async || {
        let mut all = world.mails(&email).await;
        all.retain(|message| message.subject.starts_with("Sign in"));
        all
    };
    let before = sent().await.len();
    assert_eq!(ask(world, &email).await.status, 202);
    for _ in 0..300 {
        // Notices of other changes may arrive meanwhile.
        if let Some(message) = sent().await.into_iter().nth(before) {
            return message;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no message that signs in");
}

fn by_link(message: &Message) -> Value {
    json!({"token": token(message)})
}

fn by_code(message: &Message) -> Value {
    json!({"email": message.to, "code": code(message)})
}

/// A code that is not the message's.
fn wrong_code(message: &Message) -> Value {
    let wrong = if code(message) == "000000" { "000001" } else { "000000" };
    json!({"email": message.to, "code": wrong})
}

async fn confirm(world: &World, body: &Value) -> Answer {
    world.api().post(PATH, body.clone()).await
}
