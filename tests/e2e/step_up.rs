//! `POST /users/me/step-up`, and changes that take its access token in place of the password.

use serde_json::{Value, json};

use crate::support::{Answer, World, ring::parts};

mod attacks;
mod changes;
mod faults;
mod races;
mod route;

const STEP_UP: &str = "/users/me/step-up";

/// Status and code of a problem.
fn problem(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

impl World {
    async fn step_up(&self, access: &str, body: Value) -> Answer {
        self.ask("POST", STEP_UP, access, body).await
    }

    /// The access token of a step-up that succeeds.
    async fn stepped_up(&self, access: &str, body: Value) -> String {
        access_of(&self.step_up(access, body).await)
    }
}

fn access_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["access_token"].as_str().expect("an access token").to_owned()
}

/// `auth_time`, `amr` and `step_up` of an access token.
fn authentication(access: &str) -> (u64, Value, bool) {
    let claims = parts(access).1;
    let step_up = claims.get("step_up").is_some_and(|it| *it == json!(true));
    (claims["auth_time"].as_u64().expect("a time"), claims["amr"].clone(), step_up)
}
