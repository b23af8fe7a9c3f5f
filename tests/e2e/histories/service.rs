//! What the clients of a history call.

use std::time::Duration;

use axum::{Router, body::Body, extract::Request};
use http_body_util::BodyExt as _;
use ratchet_core::config::Config;
use ratchet_store::Stores;
use reqwest::RequestBuilder;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::support::{Answer, Api, Tokens, World, aws, people::Person};

/// The routes of `functions/refresh` and `functions/users`.
pub(crate) enum Service {
    /// Their handlers in this process, without an emulator.
    Here { refresh: Router, users: Router },
    /// A running stack.
    Http(Api),
}

/// How long a client waits for an answer over HTTP: longer than a function is ever frozen, so that
/// nothing happens to a token after the operation has ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// The shortest retry window allowed, so that tokens become old within a run.
pub(crate) const WINDOW_SECONDS: u64 = 5;

impl Service {
    pub(crate) async fn here(world: &World) -> Self {
        let variables = world.stack().environment().variables();
        let config = Config::read(|name| match name {
            "RATCHET_RETRY_WINDOW_SECONDS" => Some(WINDOW_SECONDS.to_string()),
            _ => variables.get(name).cloned(),
        });
        let config = config.expect("the stack's own environment");
        let services = world.stack().services();
        let (dynamodb, secrets) = (services.dynamodb().endpoint(), services.secrets().endpoint());
        let aws = aws::settings(dynamodb, secrets).await;
        let stores = Stores::new(&config, &aws);
        Self::Here {
            refresh: refresh::router(refresh::State::new(&stores), &config),
            users: users::router(users::State::new(&stores), &config),
        }
    }

    /// Signs a person in, whatever fails meanwhile.
    pub(crate) async fn sign_in(&self, world: &World, person: &Person) -> Tokens {
        let Self::Http(api) = self else { return world.sign_in(person).await };
        let credentials = serde_json::json!({"name": person.name, "password": person.password});
        let mut tries = 0..40;
        loop {
            let (status, body) =
                over_http(api.request("POST", "/authenticate").json(&credentials)).await;
            let text = |name: &str| body[name].as_str().map(str::to_owned);
            if let (Some(access), Some(refresh)) = (text("access_token"), text("refresh_token")) {
                return Tokens { access, refresh };
            }
            assert!(status == 503 && tries.next().is_some(), "a sign-in: {status} {body}");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    pub(crate) async fn post(&self, path: &str, refresh_token: &str) -> (u16, Value) {
        let body = serde_json::json!({"refresh_token": refresh_token});
        match self {
            Self::Here { refresh, .. } => {
                let request = Request::post(path).header("content-type", "application/json");
                let request = request.body(Body::from(body.to_string())).expect("a request");
                here(refresh, request).await
            }
            Self::Http(api) => over_http(api.request("POST", path).json(&body)).await,
        }
    }

    pub(crate) async fn end_all(&self, access_token: &str) -> (u16, Value) {
        let path = "/users/me/sessions";
        match self {
            Self::Here { users, .. } => {
                let request =
                    Request::delete(path).header("authorization", format!("Bearer {access_token}"));
                here(users, request.body(Body::empty()).expect("a request")).await
            }
            Self::Http(api) => {
                over_http(api.request("DELETE", path).bearer_auth(access_token)).await
            }
        }
    }
}

async fn here(router: &Router, request: Request) -> (u16, Value) {
    let answer = router.clone().oneshot(request).await.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// An answer that was lost, or that the emulator gave for a killed function, is a fault like any
/// other: the request may have been applied.
pub(crate) async fn over_http(request: RequestBuilder) -> (u16, Value) {
    match Answer::try_of(request.timeout(PATIENCE)).await {
        Ok(answer) if answer.status < 500 && answer.status != 429 => {
            (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
        }
        _ => (503, Value::Null),
    }
}
