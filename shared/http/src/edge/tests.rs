use axum::{body::Body, routing::get};
use http::StatusCode;
use tower::ServiceExt as _;

use super::*;

fn router() -> Router {
    let routes = Router::new()
        .route("/", get(|| async { "fine" }))
        .route("/panic", get(panics))
        .route("/slow", get(std::future::pending::<()>));
    around(routes, &CorsPolicy::default())
}

async fn panics() {
    panic!("on purpose");
}

async fn send(router: &Router, request: Request) -> Response {
    router.clone().oneshot(request).await.unwrap()
}

fn request(method: &str, path: &str) -> Request {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_handler_that_panics_is_a_generic_500_and_the_next_request_is_served() {
    let router = router();
    let response = send(&router, request("GET", "/panic")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(send(&router, request("GET", "/")).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_takes_too_long_is_a_503() {
    let begun = tokio::time::Instant::now();
    let response = send(&router(), request("GET", "/slow")).await;
    assert_eq!(begun.elapsed(), DEADLINE);
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
}

#[tokio::test]
async fn every_response_has_no_store_and_nosniff() {
    let router = router();
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/none", 404),
        ("PUT", "/", 405),
        ("TRACE", "/", 405),
        ("GET", "/panic", 500),
    ] {
        let response = send(&router, request(method, path)).await;
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        if status == 405 {
            assert!(response.headers()["allow"].to_str().unwrap().contains("GET"));
        }
    }
}
