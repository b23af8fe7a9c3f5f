use http::StatusCode;
use lambda_http::request::from_str;

use super::*;

const OWN: &str = "https://app.example";

fn config(issuer: &str) -> Config {
    let variable = |name: &str| {
        let value = match name {
            "RATCHET_ISSUER" => issuer,
            "RATCHET_CORS_ORIGINS" => {
                "https://app.example, http://127.0.0.1:9001, http://app.example"
            }
            "RATCHET_USERS_TABLE" | "RATCHET_TOKENS_TABLE" | "RATCHET_KEY_RING_SECRET" => "x",
            _ => return None,
        };
        Some(value.to_owned())
    };
    Config::read(variable).unwrap()
}

/// A browser behind the gateway, in the gateway's own words (payload format 2.0).
fn browser_at(issuer: &str, origin: &str, cookies: &[&str], further: &str) -> Browser {
    let cookies = serde_json::to_string(cookies).unwrap();
    let event = format!(
        r#"{{"version": "2.0", "routeKey": "ANY /refresh", "rawPath": "/refresh",
        "rawQueryString": "", "cookies": {cookies},
        "headers": {{"host": "api.example", "origin": "{origin}"{further}}},
        "requestContext": {{"http": {{"method": "POST", "path": "/refresh",
        "protocol": "HTTP/1.1", "sourceIp": "203.0.113.77", "userAgent": "x"}},
        "requestId": "x", "routeKey": "ANY /refresh", "stage": "$default", "timeEpoch": 0}},
        "isBase64Encoded": false, "body": "{{}}"}}"#
    );
    Browser::of(from_str(&event).unwrap().headers(), &config(issuer))
}

const CONFIRMED: &str = r#", "x-ratchet": "1""#;

fn deployed(origin: &str, cookies: &[&str]) -> Browser {
    browser_at("https://issuer.example", origin, cookies, CONFIRMED)
}

#[test]
fn the_gateways_list_of_cookies_is_read() {
    let browser = deployed(OWN, &["theme=dark", "__Host-refresh=rt1_x", "last=1"]);
    assert_eq!(browser.refresh_token(), Ok("rt1_x"));
}

#[test]
fn without_exactly_one_cookie_nobody_is_signed_in() {
    let missing = Err(Problem::InvalidAttempt(InvalidAttempt::Missing));
    let malformed = Err(Problem::InvalidAttempt(InvalidAttempt::Malformed));
    for (cookies, verdict) in [
        (&[][..], &missing),
        (&["__Host-refresh="], &missing),
        // The name of development, or with other letters, is another cookie.
        (&["refresh=rt1_x"], &missing),
        (&["__host-refresh=rt1_x"], &missing),
        (&["__Host-refresh=rt1_x", "__Host-refresh=rt1_y"], &malformed),
        (&["__Host-refresh=rt1_x", "__Host-refresh="], &malformed),
    ] {
        assert_eq!(deployed(OWN, cookies).refresh_token(), *verdict, "{cookies:?}");
    }
}

#[test]
fn other_sites_can_not_use_the_cookie() {
    let cookie = ["__Host-refresh=rt1_x"];
    for origin in [
        "https://evil.example",
        "https://app.example.evil",
        "https://app.example:8443",
        "https://APP.example",
        "https://app.example/",
        "https://app.example, https://app.example",
        "null",
        "",
        // Configured, but without TLS.
        "http://app.example",
        "http://127.0.0.1:9001",
    ] {
        let refusal = deployed(origin, &cookie).refresh_token().map(str::to_owned);
        assert_eq!(refusal, Err(Problem::ForbiddenOrigin), "{origin}");
    }
    let unconfirmed = browser_at("https://issuer.example", OWN, &cookie, "");
    assert_eq!(unconfirmed.refresh_token(), Err(Problem::ForbiddenOrigin));
    let unnamed = from_str(
        r#"{"version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "",
        "cookies": ["__Host-refresh=rt1_x"], "headers": {"x-ratchet": "1"},
        "requestContext": {"http": {"method": "POST", "path": "/"}, "timeEpoch": 0},
        "isBase64Encoded": false}"#,
    );
    let unnamed = Browser::of(unnamed.unwrap().headers(), &config("https://issuer.example"));
    assert_eq!(unnamed.refresh_token(), Err(Problem::ForbiddenOrigin));
}

#[test]
fn plain_http_is_for_loopback_only() {
    for (issuer, kind) in [
        ("http://127.0.0.1:9000", Kind::Plain),
        ("http://localhost", Kind::Plain),
        ("http://localhost:9000/stage", Kind::Plain),
        ("http://[::1]:9000", Kind::Plain),
        ("http://[::1]", Kind::Plain),
        ("https://localhost", Kind::Host),
        ("https://127.0.0.1:9000", Kind::Host),
        ("http://localhost.evil.example", Kind::Host),
        ("http://127.0.0.1.evil.example:80", Kind::Host),
        ("http://user@evil.example", Kind::Host),
        ("http://localhost:x@evil.example", Kind::Host),
        ("http://issuer.example", Kind::Host),
        ("http://", Kind::Host),
    ] {
        assert_eq!(Kind::of(issuer), kind, "{issuer}");
    }
    let browser =
        |origin| browser_at("http://127.0.0.1:9000", origin, &["refresh=rt1_x"], CONFIRMED);
    assert_eq!(browser("http://127.0.0.1:9001").refresh_token(), Ok("rt1_x"));
    assert!(browser("http://app.example").refresh_token().is_err());
}

#[test]
fn the_cookie_is_out_of_reach_for_scripts_other_sites_and_other_hosts() {
    assert_eq!(
        Kind::Host.cookie("rt1_x", 60).as_str(),
        "__Host-refresh=rt1_x; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=60"
    );
    assert_eq!(
        Kind::Plain.cookie("rt1_x", 60).as_str(),
        "refresh=rt1_x; HttpOnly; SameSite=Strict; Path=/; Max-Age=60"
    );
}

#[test]
fn a_fault_or_a_refusal_of_the_request_leaves_the_cookie() {
    let browser = deployed(OWN, &["__Host-refresh=rt1_x"]);
    for (problem, taken_away) in [
        (Problem::Unavailable, false),
        (Problem::Internal, false),
        (Problem::ForbiddenOrigin, false),
        (Problem::InvalidAttempt(InvalidAttempt::AccessTokenMismatch), false),
        (Problem::InvalidAttempt(InvalidAttempt::Elsewhere), false),
        (Problem::InvalidAttempt(InvalidAttempt::Malformed), true),
        (Problem::InvalidAttempt(InvalidAttempt::Missing), true),
        (Problem::InvalidAttempt(InvalidAttempt::Revoked), true),
        (Problem::InvalidAttempt(InvalidAttempt::ReuseDetected), true),
        (Problem::InvalidAttempt(InvalidAttempt::ExpiredIdle), true),
    ] {
        let answer = browser.answer(Err(problem.clone()));
        let cookie = answer.headers().get("set-cookie").map(|value| value.to_str().unwrap());
        let gone = "__Host-refresh=; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=0";
        assert_eq!(cookie, taken_away.then_some(gone), "{problem:?}");
    }
}

#[test]
fn a_cookie_is_taken_away_from_any_answer() {
    let answer = deployed(OWN, &[]).forget(StatusCode::NO_CONTENT);
    assert_eq!(answer.status(), 204);
    assert!(answer.headers()["set-cookie"].is_sensitive());
}

#[test]
fn nothing_prints_the_cookie() {
    let browser = deployed(OWN, &["__Host-refresh=canary"]);
    assert_eq!(browser.refresh_token(), Ok("canary"));
    assert!(!format!("{browser:?}").contains("canary"));
}
