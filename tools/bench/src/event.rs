//! Events of API Gateway, payload format 2.0, as an HTTP API sends them.

use serde_json::{Value, json};

const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const SOURCE_IP: &str = "203.0.113.7";

/// `POST` of a JSON body.
pub fn post(path: &str, body: &Value) -> String {
    with_body(path, "application/json", &body.to_string())
}

/// `POST` of a form.
pub fn form(path: &str, body: &str) -> String {
    with_body(path, "application/x-www-form-urlencoded", body)
}

fn with_body(path: &str, content_type: &str, body: &str) -> String {
    let mut event = event("POST", path);
    if let Some(headers) = event.pointer_mut("/headers").and_then(Value::as_object_mut) {
        headers.insert("content-type".to_owned(), content_type.into());
    }
    if let Some(fields) = event.as_object_mut() {
        fields.insert("body".to_owned(), body.into());
    }
    event.to_string()
}

/// `GET` with an access token.
pub fn get(path: &str, access_token: &str) -> String {
    let mut event = event("GET", path);
    if let Some(headers) = event.pointer_mut("/headers").and_then(Value::as_object_mut) {
        headers.insert("authorization".to_owned(), format!("Bearer {access_token}").into());
    }
    event.to_string()
}

fn event(method: &str, path: &str) -> Value {
    json!({
        "version": "2.0",
        "routeKey": format!("ANY {path}"),
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "accept": "application/json",
            "accept-encoding": "gzip, deflate, br",
            "host": "abcdefghij.execute-api.us-east-1.amazonaws.com",
            "user-agent": USER_AGENT,
            "x-amzn-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
            "x-forwarded-for": SOURCE_IP,
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "abcdefghij",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": SOURCE_IP,
                "userAgent": USER_AGENT,
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": format!("ANY {path}"),
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_u64,
        },
        "isBase64Encoded": false,
    })
}
