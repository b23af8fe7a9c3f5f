use std::collections::HashMap;

use axum::{
    Extension,
    body::Bytes,
    extract::{Path, Query},
    routing::{self, post},
};
use proptest::{collection, option, prelude::*};
use ratchet_core::cors::CorsPolicy;
use ratchet_http::caller::Caller;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::*;

/// A request as the gateway sends it (payload format 2.0).
fn event() -> Value {
    json!({
        "version": "2.0", "routeKey": "ANY /refresh", "rawPath": "/refresh", "rawQueryString": "",
        "cookies": ["theme=dark", "__Host-refresh=rt1_x"],
        "headers": {"host": "api.example", "user-agent": "curl/8", "x-forwarded-for": "198.51.100.1"},
        "requestContext": {
            "http": {"method": "POST", "path": "/refresh", "sourceIp": "203.0.113.77"},
            "domainName": "api.example", "requestId": "x", "routeKey": "ANY /refresh",
            "stage": "$default", "timeEpoch": 0
        },
        "isBase64Encoded": false, "body": "{}",
    })
}

/// A server whose routes read every part of a request.
fn server() -> Server {
    behind(None)
}

fn behind(proxies: Option<&str>) -> Server {
    let refresh = async |caller: Caller, invocation: Extension<Invocation>, request: Request| {
        let cookie = request.headers().get("cookie").and_then(|value| value.to_str().ok());
        format!("{:?} {} {cookie:?}", caller.source_ip, invocation.request_id)
    };
    let user =
        async |Path(id): Path<String>, Query(_): Query<HashMap<String, String>>, _: Bytes| id;
    let cors =
        CorsPolicy { origins: vec!["https://app.example".to_owned()], ..CorsPolicy::default() };
    let routes =
        Router::new().route("/refresh", post(refresh)).route("/users/{id}", routing::any(user));
    let router = edge::around(routes, &cors);
    Server::new(router, proxies.map(|proxies| proxies.parse().unwrap()))
}

/// Serves an event, and checks that the gateway can make a response of the answer.
async fn answer(event: &str) -> Value {
    let response = server().serve(event, "7").await.expect("no event fails an invocation");
    let response = serde_json::to_value(response).unwrap();
    let status = response["statusCode"].as_u64().unwrap();
    assert!((200..500).contains(&status), "{response}");
    for (name, value) in response["headers"].as_object().unwrap() {
        http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        http::HeaderValue::from_str(value.as_str().unwrap()).unwrap();
    }
    assert_eq!(response["headers"]["x-content-type-options"], "nosniff", "{response}");
    assert!(response["cookies"].as_array().unwrap().iter().all(Value::is_string));
    assert!(response["body"].is_string() && response["isBase64Encoded"].is_boolean());
    response
}

#[tokio::test]
async fn the_gateways_source_address_cookies_and_request_id_arrive() {
    let response = answer(&event().to_string()).await;
    let seen = r#"Some(203.0.113.77) 7 Some("theme=dark; __Host-refresh=rt1_x")"#;
    assert_eq!((&response["statusCode"], &response["body"]), (&json!(200), &json!(seen)));
}

#[tokio::test]
async fn only_the_header_of_a_trusted_proxy_says_where_a_request_comes_from() {
    let (gateway, client) = ("Some(203.0.113.77)", "Some(198.51.100.1)");
    for (proxies, header, value, seen) in [
        (None, "x-forwarded-for", "198.51.100.1", gateway),
        (None, "forwarded", "for=198.51.100.1", gateway),
        (Some("X-Forwarded-For:1"), "x-forwarded-for", "198.51.100.1, 203.0.113.77", client),
        (
            Some("X-Forwarded-For:1"),
            "x-forwarded-for",
            "\u{ff}, 198.51.100.1, 203.0.113.77",
            client,
        ),
        (Some("X-Forwarded-For:1"), "x-forwarded-for", "x", gateway),
        (Some("CF-Connecting-IP"), "cf-connecting-ip", "198.51.100.1", client),
        (Some("CF-Connecting-IP"), "x-forwarded-for", "198.51.100.1", gateway),
    ] {
        let mut event = event();
        event["headers"] = json!({header: value});
        let response = behind(proxies).serve(&event.to_string(), "7").await.unwrap();
        let response = serde_json::to_value(response).unwrap();
        let body = response["body"].as_str().unwrap();
        assert!(body.starts_with(seen), "{proxies:?} {header}: {value}: {body}");
    }
}

#[tokio::test]
async fn an_event_that_is_no_request_is_a_400_with_problem_details() {
    for event in ["null", r#"{"Records": []}"#, r#"{"rawPath": "/\ud800"}"#] {
        let response = answer(event).await;
        assert_eq!(response["statusCode"], 400, "{event}");
        assert_eq!(response["headers"]["content-type"], "application/problem+json");
        assert_eq!(response["headers"]["cache-control"], "no-store");
        let problem: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        assert_eq!(problem["code"], "malformed_request");
    }
}

#[tokio::test]
async fn headers_with_several_values_are_joined_and_cookies_are_not() {
    let headers =
        [("vary", "origin"), ("vary", "accept"), ("set-cookie", "a=1"), ("set-cookie", "b=2")];
    let mut response = Bytes::from_static(&[0xff]).into_response();
    for (name, value) in headers {
        let value = http::HeaderValue::from_static(value);
        response.headers_mut().append(http::HeaderName::from_static(name), value);
    }
    let response = serde_json::to_value(response::read(response).await.unwrap()).unwrap();
    assert_eq!(response["headers"]["vary"], "origin, accept");
    assert_eq!(response["headers"].get("set-cookie"), None);
    assert_eq!(response["cookies"], json!(["a=1", "b=2"]));
    assert_eq!((&response["body"], &response["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
}

/// Stands for a UTF-16 surrogate without its other half, which JSON can contain and no string can.
const LONE_SURROGATE: char = '\u{e000}';

/// Strings that parsers of requests trip over.
const KNOWN: [&str; 29] = [
    "",
    "/",
    "//",
    "*",
    "?",
    "#",
    "[",
    "http,https",
    "1",
    "%",
    "%f",
    "a b",
    "<\">",
    "\u{0}",
    "\r\n",
    "é",
    "GET",
    "POST",
    "OPTIONS",
    "/refresh",
    "/users/1",
    "__Host-refresh=rt1_x",
    "host",
    "cookie",
    "https://app.example",
    "null",
    "192.0.2.1",
    "e30=",
    "\u{e000}",
];

/// Known strings and any others.
fn string() -> impl Strategy<Value = String> {
    prop_oneof![prop::sample::select(&KNOWN).prop_map(str::to_owned), any::<String>()]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        string().prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            collection::btree_map(string(), inner, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// A member of an event: of its own type, of another, or absent.
fn member(own: impl Strategy<Value = Value>) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![8 => own.prop_map(Some), 1 => json_value().prop_map(Some), 1 => Just(None)]
}

/// Events with any content.
fn any_event() -> impl Strategy<Value = String> {
    let text = || member(string().prop_map(Value::String));
    let headers = collection::btree_map(string(), member(string().prop_map(Value::String)), 0..6)
        .prop_map(|headers| headers.into_iter().collect::<Value>());
    let cookies = collection::vec(text(), 0..4).prop_map(Value::from);
    let http = (text(), text())
        .prop_map(|(method, source_ip)| object([("method", method), ("sourceIp", source_ip)]));
    let context = member(http).prop_map(|http| object([("http", http)]));
    let members = (
        text(),
        text(),
        member(headers),
        member(cookies),
        member(context),
        text(),
        member(any::<bool>().prop_map(Value::Bool)),
    );
    members.prop_map(|(path, query, headers, cookies, context, body, is_base64_encoded)| {
        let event = object([
            ("rawPath", path),
            ("rawQueryString", query),
            ("headers", headers),
            ("cookies", cookies),
            ("requestContext", context),
            ("body", body),
            ("isBase64Encoded", is_base64_encoded),
        ]);
        event.to_string().replace(LONE_SURROGATE, r"\ud800")
    })
}

fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

proptest! {
    #[test]
    fn any_event_has_a_response(event in any_event()) {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(answer(&event));
    }

    #[test]
    fn any_query_and_any_foreign_header_leave_the_request_alone(
        query in string(), header in string(), value in string(),
        cookie in option::of(string()),
    ) {
        let mut event = event();
        event["rawQueryString"] = json!(query);
        event["headers"][&header] = json!(value);
        event["cookies"].as_array_mut().unwrap().extend(cookie.map(Value::from));
        let event = event.to_string().replace(LONE_SURROGATE, r"\ud800");
        prop_assume!(!query.contains(LONE_SURROGATE) && !header.contains(LONE_SURROGATE));
        let response =
            Builder::new_current_thread().enable_all().build().unwrap().block_on(answer(&event));
        prop_assert_eq!(&response["statusCode"], &json!(200));
    }
}
