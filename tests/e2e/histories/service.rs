//! The functions' handlers, called without an emulator.

use axum::{Router, body::Body, extract::Request};
use http_body_util::BodyExt as _;
use ratchet_core::config::Config;
use ratchet_store::Stores;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::support::{World, aws};

/// `functions/refresh` and `functions/users`.
pub(super) struct Service {
    refresh: Router,
    users: Router,
}

/// The shortest retry window allowed, so that tokens become old within a run.
pub(super) const WINDOW_SECONDS: u64 = 5;

impl Service {
    pub(super) async fn new(world: &World) -> Self {
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
        Self {
            refresh: refresh::router(refresh::State::new(&stores), &config),
            users: users::router(users::State::new(&stores), &config),
        }
    }

    async fn call(router: &Router, request: Request) -> (u16, Value) {
        let answer = router.clone().oneshot(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(super) async fn post(&self, path: &str, refresh_token: &str) -> (u16, Value) {
        let body = serde_json::json!({"refresh_token": refresh_token}).to_string();
        let request = Request::post(path).header("content-type", "application/json");
        Self::call(&self.refresh, request.body(Body::from(body)).expect("a request")).await
    }

    pub(super) async fn end_all(&self, access_token: &str) -> (u16, Value) {
        let request = Request::delete("/users/me/sessions")
            .header("authorization", format!("Bearer {access_token}"));
        Self::call(&self.users, request.body(Body::empty()).expect("a request")).await
    }
}
