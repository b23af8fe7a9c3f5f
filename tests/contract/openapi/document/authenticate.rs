//! `functions/authenticate`.

use std::time::Duration;

use ratchet_http::Problem;
use serde_json::{Value, json};

use super::operation::Operation;

/// A token pair, for examples.
pub(crate) fn token_pair() -> Value {
    json!({
        "access_token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.….…",
        "token_type": "Bearer",
        "expires_in": 300,
        "refresh_token": "rt1_AaIMQeYvc_Ce…",
        "refresh_token_expires_in": 2_592_000,
        "session_expires_in": 7_776_000,
        "refresh_after": 214,
    })
}

/// What the access token of an answer opens.
pub(crate) fn opens_users() -> Value {
    json!({
        "operationId": "listUsers",
        "description": "`$response.body#/access_token` is the Bearer token of whatever takes one",
    })
}

/// The header that cookie mode asks for.
pub(crate) const CONFIRMATION: &str =
    "In cookie mode only: any value, beside a configured `Origin`";

pub(crate) fn operations() -> Vec<Operation> {
    let credentials = json!({"name": "ada", "password": "correct horse battery staple"});
    let mut first = token_pair();
    if let Some(first) = first.as_object_mut() {
        first.insert("device_token".to_owned(), "dt1_AaIMQeYvc_Ce…".into());
    }
    let in_cookie = json!({
        "name": "ada", "password": "correct horse battery staple", "device": "Laptop",
        "mode": "cookie",
    });
    let refresh = |media: &str| {
        json!({
            "operationId": "refresh",
            "description": media,
            "requestBody": {"refresh_token": "$response.body#/refresh_token"},
        })
    };
    let link_to = |id: &str, name: &str| json!({"operationId": id, "requestBody": {name: "$response.body#/refresh_token"}});
    vec![
        Operation::new("post", "/authenticate", "authenticate", "A password for a token pair")
            .description(
                "Starts a session. With `mode` `cookie` the refresh token is not in the body but \
                 in a cookie that no script can read.",
            )
            .header("X-Ratchet", CONFIRMATION)
            .takes(
                "application/json",
                "AuthenticateRequest",
                &[("a program", credentials), ("a browser application", in_cookie)],
            )
            .answers(200, "The first token pair of a session", "TokenPair", &first)
            .link(200, "refresh", refresh("The refresh token leads to the next pair"))
            .link(200, "logout", link_to("logout", "refresh_token"))
            .link(200, "users", opens_users())
            .refuses(&[
                Problem::InvalidCredentials,
                Problem::EmailNotConfirmed,
                Problem::ForbiddenOrigin,
                Problem::TooManyAttempts { retry_after: Duration::from_secs(8) },
                Problem::AccountLocked,
            ]),
    ]
}
