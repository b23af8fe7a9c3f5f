use http::{Request, StatusCode};

use super::*;

const OWN: &str = "https://app.example";

fn policy(issuer: &str) -> CookiePolicy {
    let origins = ["https://app.example", "http://127.0.0.1:9001", "http://app.example"];
    CookiePolicy::new(issuer, &origins.map(str::to_owned))
}

fn browser_at(issuer: &str, origin: &str, cookies: &[&str], further: &[(&str, &str)]) -> Browser {
    let mut request = Request::builder().header("host", "api.example").header("origin", origin);
    if !cookies.is_empty() {
        request = request.header("cookie", cookies.join("; "));
    }
    for (name, value) in further {
        request = request.header(*name, *value);
    }
    policy(issuer).browser(request.body(()).unwrap().headers())
}

const CONFIRMED: &[(&str, &str)] = &[("x-ratchet", "1")];

fn deployed(origin: &str, cookies: &[&str]) -> Browser {
    browser_at("https://issuer.example", origin, cookies, CONFIRMED)
}

#[test]
fn our_cookie_is_found_among_others() {
    let browser = deployed(OWN, &["theme=dark", "__Host-refresh=rt1_x", "last=1"]);
    assert_eq!(browser.refresh_token(), Ok("rt1_x"));
}

#[test]
fn exactly_one_cookie_is_required() {
    let missing = Err(Problem::InvalidAttempt(InvalidAttempt::Missing));
    let malformed = Err(Problem::InvalidAttempt(InvalidAttempt::Malformed));
    for (cookies, verdict) in [
        (&[][..], &missing),
        (&["__Host-refresh="], &missing),
        // The development name, or another case, is another cookie.
        (&["refresh=rt1_x"], &missing),
        (&["__host-refresh=rt1_x"], &missing),
        (&["__Host-refresh=rt1_x", "__Host-refresh=rt1_y"], &malformed),
        (&["__Host-refresh=rt1_x", "__Host-refresh="], &malformed),
    ] {
        assert_eq!(deployed(OWN, cookies).refresh_token(), *verdict, "{cookies:?}");
    }
}

#[test]
fn other_sites_cannot_use_the_cookie() {
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
    let unconfirmed = browser_at("https://issuer.example", OWN, &cookie, &[]);
    assert_eq!(unconfirmed.refresh_token(), Err(Problem::ForbiddenOrigin));
    let unnamed = Request::builder()
        .header("cookie", cookie.join("; "))
        .header("x-ratchet", "1")
        .body(())
        .unwrap();
    let unnamed = policy("https://issuer.example").browser(unnamed.headers());
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
fn only_a_refusal_that_ends_the_session_deletes_the_cookie() {
    let browser = deployed(OWN, &["__Host-refresh=rt1_x"]);
    for (problem, deleted) in [
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
        let answer = browser.refreshed(Err(problem.clone()));
        let cookie = answer.headers().get("set-cookie").map(|value| value.to_str().unwrap());
        let deletion = "__Host-refresh=; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=0";
        assert_eq!(cookie, deleted.then_some(deletion), "{problem:?}");
    }
}

#[test]
fn a_cookie_is_deleted_from_any_answer() {
    let answer = deployed(OWN, &[]).delete_cookie(StatusCode::NO_CONTENT);
    assert_eq!(answer.status(), 204);
    assert!(answer.headers()["set-cookie"].is_sensitive());
}

#[test]
fn nothing_prints_the_cookie() {
    let browser = deployed(OWN, &["__Host-refresh=canary"]);
    assert_eq!(browser.refresh_token(), Ok("canary"));
    assert!(!format!("{browser:?}").contains("canary"));
}
