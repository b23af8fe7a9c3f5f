//! The functions' handlers, without an emulator in between.

use std::sync::Arc;

use axum::{Router, body::Body, extract::Request};
use http_body_util::BodyExt as _;
use ratchet_http::{App, edge};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::support::World;

/// `functions/refresh` and `functions/users` behind their edge.
pub(super) struct Service {
    router: Router,
}

/// The shortest retry window there is, so that old tokens come up within a run.
pub(super) const WINDOW_SECONDS: u64 = 5;

impl Service {
    pub(super) fn new(world: &World) -> Self {
        let variables = world.stack().environment().variables();
        let app = App::new(|name| match name {
            "RATCHET_RETRY_WINDOW_SECONDS" => Some(WINDOW_SECONDS.to_string()),
            _ => variables.get(name).cloned(),
        });
        let app = app.expect("the stack's own environment");
        let routes = refresh::routes(&app).expect("routes");
        let routes = routes.merge(users::routes(&app).expect("routes"));
        Self { router: edge::around(routes, Arc::new(app)) }
    }

    async fn call(&self, request: Request) -> (u16, Value) {
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(super) async fn post(&self, path: &str, refresh_token: &str) -> (u16, Value) {
        let body = serde_json::json!({"refresh_token": refresh_token}).to_string();
        let request = Request::post(path).header("content-type", "application/json");
        self.call(request.body(Body::from(body)).expect("a request")).await
    }

    pub(super) async fn end_all(&self, access_token: &str) -> (u16, Value) {
        let request = Request::delete("/users/me/sessions")
            .header("authorization", format!("Bearer {access_token}"));
        self.call(request.body(Body::empty()).expect("a request")).await
    }
}
