use axum::{body::Body, routing::get};
use tower::ServiceExt as _;

use super::*;

fn policy(origins: &[&str], headers: &[&str]) -> CorsPolicy {
    let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    CorsPolicy { origins: owned(origins), headers: owned(headers) }
}

async fn send(policy: &CorsPolicy, method: &str, headers: &[(&str, &str)]) -> HeaderMap {
    let router = around(Router::new().route("/", get(|| async { "fine" })), policy);
    let request = Request::builder().method(method).uri("/");
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    response.headers().clone()
}

#[tokio::test]
async fn only_configured_origins_get_cors_headers() {
    let policy = policy(&["https://app.example", "capacitor://localhost"], &[]);
    for (origin, allowed) in [
        ("https://app.example", true),
        ("capacitor://localhost", true),
        ("https://evil.example", false),
        ("https://app.example.evil", false),
        ("null", false),
    ] {
        let headers = send(&policy, "GET", &[("origin", origin)]).await;
        let expected = allowed.then_some(origin);
        let header = headers.get("access-control-allow-origin");
        assert_eq!(header.map(|value| value.to_str().unwrap()), expected, "{origin}");
        assert_eq!(headers["access-control-expose-headers"], EXPOSED_HEADERS.join(","));
    }
    let headers = send(&CorsPolicy::default(), "GET", &[("origin", "https://app.example")]).await;
    assert!(!headers.keys().any(|name| name.as_str().starts_with("access-control")), "{headers:?}");
}

#[tokio::test]
async fn a_preflight_allows_configured_headers_beside_our_own() {
    let policy = policy(&["https://app.example"], &["traceparent"]);
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
    let headers = send(&policy, "OPTIONS", &preflight).await;
    let allowed = &headers["access-control-allow-headers"];
    assert_eq!(allowed, "authorization,content-type,x-ratchet,dpop,traceparent");
    assert_eq!(headers["access-control-allow-credentials"], "true");
    assert_eq!(headers["access-control-max-age"], "3600");
}

#[test]
fn the_log_says_why_a_preflight_was_refused() {
    let allowed = Allowed {
        origins: vec!["https://app.example".to_owned()],
        headers: REQUEST_HEADERS.to_vec(),
    };
    let header = |name: &str| Some(Refusal::Header(name.to_owned()));
    for (origin, method, names, refusal) in [
        ("https://app.example", "POST", "", None),
        ("https://app.example", "POST", "content-type,X-Ratchet, authorization", None),
        ("https://app.example", "HEAD", "", None),
        ("https://APP.example", "POST", "", Some(Refusal::Origin)),
        ("null", "POST", "", Some(Refusal::Origin)),
        ("", "POST", "", Some(Refusal::Origin)),
        ("https://app.example", "PUT", "", Some(Refusal::Method)),
        ("https://app.example", "POST", "content-type,traceparent", header("traceparent")),
        ("https://app.example", "POST", "x y", header("xy")),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, origin.parse().unwrap());
        headers.insert(header::ACCESS_CONTROL_REQUEST_METHOD, method.parse().unwrap());
        headers.insert(header::ACCESS_CONTROL_REQUEST_HEADERS, names.parse().unwrap());
        assert_eq!(
            allowed.refusal(&Method::OPTIONS, &headers),
            refusal,
            "{origin} {method} {names}"
        );
        assert_eq!(allowed.refusal(&Method::POST, &headers), None, "no preflight");
    }
    assert_eq!(allowed.refusal(&Method::OPTIONS, &HeaderMap::new()), None, "no preflight");
}

#[test]
fn what_is_logged_of_a_header_is_short_and_printable() {
    assert_eq!(printable(b"a\x1b[31m\n\xff\"b"), "a[31m\"b");
    assert_eq!(printable(&[b'x'; 500]).len(), LOGGED);
}
