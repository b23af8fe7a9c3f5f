use serde_json::{Value, json};

use super::*;

/// An event of the gateway with other members.
fn event(changes: Value) -> String {
    let mut event = json!({
        "version": "2.0", "routeKey": "ANY /refresh", "rawPath": "/refresh", "rawQueryString": "",
        "headers": {"host": "api.example", "x-forwarded-proto": "https", "user-agent": "curl/8"},
        "requestContext": {"http": {"method": "POST", "path": "/refresh", "sourceIp": "192.0.2.1"},
            "domainName": "api.example", "stage": "$default"},
        "isBase64Encoded": false,
    });
    merge(&mut event, changes);
    event.to_string()
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (name, value) in changes {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, value) => *into = value,
    }
}

fn request(changes: Value) -> Request {
    read(&event(changes)).unwrap().0
}

async fn body(changes: Value) -> Vec<u8> {
    axum::body::to_bytes(request(changes).into_body(), 1_000).await.unwrap().to_vec()
}

#[test]
fn what_a_uri_must_not_contain_is_percent_encoded() {
    for (path, query, uri) in [
        ("/users", "", "/users"),
        ("/users", "name=a%20b+c&limit=3", "/users?name=a%20b+c&limit=3"),
        ("/users", "name=<\">&x=[0]|{}", "/users?name=%3C%22%3E&x=%5B0%5D%7C%7B%7D"),
        ("/users", "a b\u{0}\u{7f}é#x?/", "/users?a%20b%00%7F%C3%A9%23x?/"),
        // The gateway decodes paths.
        ("/users/a b", "", "/users/a%20b"),
        ("/users/?a#b", "x=1", "/users/%3Fa%23b?x=1"),
        ("/users/%zz%", "", "/users/%zz%"),
        ("//evil.example/x", "", "//evil.example/x"),
        ("/\\evil.example:80", "", "/%5Cevil.example:80"),
    ] {
        let request = request(json!({"rawPath": path, "rawQueryString": query}));
        assert_eq!(request.uri().to_string(), uri, "{path} {query}");
    }
}

#[test]
fn host_and_forwarded_headers_decide_nothing() {
    for value in ["[", "1", "http,https", "a b", "javascript", "::::", "@", "\u{7f}", ""] {
        let headers = json!({"host": value, "x-forwarded-proto": value, "x-forwarded-port": value});
        let changes = json!({"headers": headers, "requestContext": {"domainName": value}});
        assert_eq!(request(changes).uri(), "/refresh", "{value}");
    }
}

#[test]
fn a_header_that_is_not_valid_is_dropped_alone() {
    let headers = json!({"user-agent": "curl/8", "x-café": "1", "x a": "1", "x-line": "a\nb",
        "x-number": 1, "x-list": ["a"], "x-null": null, "x-text": "café", "X-Upper": "y"});
    let request = request(json!({"headers": headers}));
    let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["host", "user-agent", "x-forwarded-proto", "x-text", "x-upper"]);
    assert_eq!(request.headers()["x-text"].as_bytes(), "café".as_bytes());
}

#[test]
fn more_headers_than_a_map_holds_are_dropped() {
    let headers: Value = (0..40_000).map(|number| (format!("x-{number}"), json!(""))).collect();
    assert!(request(json!({"headers": headers})).headers().len() > 20_000);
}

#[test]
fn each_cookie_is_kept_or_dropped_alone() {
    let cookies = json!(["theme=dark", "line=a\nb", 1, null, "name=caf\u{e9}", "__Host-x=1"]);
    let headers = json!({"cookie": "other=1"});
    let request = request(json!({"cookies": cookies, "headers": headers}));
    let cookies: Vec<_> = request.headers().get_all("cookie").iter().collect();
    assert_eq!(cookies, ["theme=dark; name=caf\u{e9}; __Host-x=1".as_bytes()]);
}

#[test]
fn without_a_list_of_cookies_the_header_counts() {
    for cookies in [json!(null), json!([]), json!(["a=\n"])] {
        let counts = cookies.is_null();
        let request = request(json!({"headers": {"cookie": "a=1"}, "cookies": cookies}));
        assert_eq!(request.headers().contains_key("cookie"), counts);
    }
}

#[tokio::test]
async fn a_body_is_text_or_base64() {
    assert_eq!(body(json!({"body": "{}"})).await, b"{}");
    assert_eq!(body(json!({"body": "e30=", "isBase64Encoded": true})).await, b"{}");
    assert_eq!(body(json!({"body": "/w==", "isBase64Encoded": true})).await, [0xff]);
    assert_eq!(body(json!({"body": null, "isBase64Encoded": true})).await, b"");
    assert_eq!(body(json!({"isBase64Encoded": null})).await, b"");
}

#[test]
fn the_source_address_is_the_gateways() {
    let source_ip = |address: Value| {
        let http = json!({"sourceIp": address});
        read(&event(json!({"requestContext": {"http": http}}))).unwrap().1
    };
    assert_eq!(source_ip(json!("203.0.113.77")), "203.0.113.77".parse().ok());
    assert_eq!(source_ip(json!("2001:db8::1")), "2001:db8::1".parse().ok());
    for other in [json!("unknown"), json!(""), json!(null), json!(1), json!(["192.0.2.1"])] {
        assert_eq!(source_ip(other.clone()), None, "{other}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let method = |method: Value| json!({"requestContext": {"http": {"method": method}}});
    for changes in [
        method(json!("")),
        method(json!("a b")),
        method(json!("\u{e9}")),
        method(json!(1)),
        method(json!(null)),
        json!({"requestContext": null}),
        json!({"requestContext": {"http": null}}),
        json!({"rawPath": ""}),
        json!({"rawPath": "*"}),
        json!({"rawPath": "users"}),
        json!({"rawPath": "http://evil.example/"}),
        json!({"rawPath": null}),
        json!({"rawPath": format!("/{}", "a".repeat(65_535))}),
        json!({"rawQueryString": "a".repeat(65_535)}),
        json!({"rawQueryString": "<".repeat(30_000)}),
        json!({"body": "%", "isBase64Encoded": true}),
        json!({"body": "e30", "isBase64Encoded": true}),
        json!({"body": {}}),
        json!({"isBase64Encoded": "true"}),
        json!({"headers": []}),
        json!({"cookies": "a=1"}),
    ] {
        let refusal = read(&event(changes.clone())).unwrap_err();
        assert!(matches!(refusal, Problem::MalformedRequest { .. }), "{changes:.80}: {refusal:?}");
    }
    for event in ["", "null", "[]", "{}", "{", "\"\\ud800\"", r#"{"rawPath": "/\ud800"}"#] {
        assert!(read(event).is_err(), "{event}");
    }
}

#[test]
fn a_string_that_is_not_unicode_matters_only_where_it_is_needed() {
    let lone = |changes| event(changes).replace("LONE", r"\ud800");
    let harmless = json!({"headers": {"x-a": "LONE"}, "cookies": ["a=LONE", "b=1"],
        "requestContext": {"http": {"sourceIp": "LONE"}}, "unknown": "LONE"});
    let (request, source_ip) = read(&lone(harmless)).unwrap();
    assert_eq!((request.headers()["cookie"].as_bytes(), source_ip), (&b"b=1"[..], None));
    assert!(read(&lone(json!({"body": "LONE"}))).is_err());
}
