//! What surrounds every route: deadline, headers and CORS.

use std::time::Duration;

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use ratchet_core::cors::CorsPolicy;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{Problem, cors};

/// A response that takes longer becomes a 503. Clients and gateways give up later than that.
pub const DEADLINE: Duration = Duration::from_millis(2_800);
const _: () = assert!(DEADLINE.as_millis() < 3_000, "every response comes within three seconds");

/// Surrounds the routes of a function. `cors` says which web applications may call them.
pub fn around(routes: Router, cors: &CorsPolicy) -> Router {
    let router = routes
        .fallback(|| async { Problem::NotFound })
        .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
        .layer(CatchPanicLayer::custom(|_| Problem::Internal.into_response()))
        .layer(middleware::from_fn(deadline));
    cors::around(router, cors).layer(middleware::from_fn(headers))
}

async fn deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::Unavailable.into_response(),
    }
}

async fn headers(request: Request, next: Next) -> Response {
    with_headers(next.run(request).await)
}

/// Sets `nosniff` on every response, and `no-store` unless the route set its own `Cache-Control`.
/// Errors included.
#[must_use]
pub fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests;
