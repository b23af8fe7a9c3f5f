//! Events of the HTTP API, as clients can shape them: any text. Whatever a route reads of a request,
//! the response is one that the gateway understands.

#![no_main]

use std::collections::HashMap;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query},
    routing::{any, post},
};
use libfuzzer_sys::fuzz_target;
use ratchet_core::cors::CorsPolicy;
use ratchet_http::{
    caller::Caller,
    cookie::{Browser, CookiePolicy},
    edge,
};
use ratchet_lambda::http::fuzzing::answer;
use serde_json::Value;

const ORIGIN: &str = "https://app.example";

fn router() -> Router {
    let cors = CorsPolicy { origins: vec![ORIGIN.to_owned()], ..CorsPolicy::default() };
    let refresh = async |caller: Caller, browser: Browser, _: Bytes| format!("{caller:?} {browser:?}");
    let user = async |Path(id): Path<String>, Query(_): Query<HashMap<String, String>>| id;
    let routes = Router::new()
        .route("/refresh", post(refresh))
        .route("/users/{id}", any(user))
        .with_state(CookiePolicy::new("https://issuer.example", &cors.origins));
    edge::around(routes, &cors)
}

fuzz_target!(|event: &str| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let response = runtime.expect("a runtime").block_on(answer(router(), event));
    let response: Value = serde_json::from_str(&response.expect("a response")).expect("JSON");
    let status = response["statusCode"].as_u64().expect("a status");
    assert!((200..500).contains(&status), "{response}");
    let headers = response["headers"].as_object().expect("headers");
    assert!(headers.values().all(Value::is_string), "{response}");
    assert!(response["body"].is_string(), "{response}");
});
