//! What surrounds every route: deadline, headers and CORS.

use std::time::Duration;

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, header, request::Parts};
use ratchet_core::origin;
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowOrigin, CorsLayer},
};

use crate::{Problem, cookie};

/// A response that takes longer becomes a 503. Clients and gateways give up later than that.
pub const DEADLINE: Duration = Duration::from_millis(2_800);
const _: () = assert!(DEADLINE.as_millis() < 3_000, "every response comes within three seconds");

/// The response headers that browsers show to web applications.
pub const EXPOSED_HEADERS: [&str; 3] = ["is-token-expired", "www-authenticate", "retry-after"];

/// The methods that web applications may use.
pub const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::PATCH, Method::DELETE];

/// The headers that web applications may send.
pub const REQUEST_HEADERS: [HeaderName; 3] =
    [header::AUTHORIZATION, header::CONTENT_TYPE, cookie::CONFIRMATION];

/// Surrounds the routes of a function. Web applications of these origins may call them.
pub fn around(routes: Router, cors_origins: &[String]) -> Router {
    let router = routes
        .fallback(|| async { Problem::NotFound })
        .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
        .layer(CatchPanicLayer::custom(|_| Problem::Internal.into_response()))
        .layer(middleware::from_fn(deadline));
    let router = match cors(cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.layer(middleware::from_fn(headers))
}

/// Allows configured origins only; without any there are no CORS headers. Credentials are allowed
/// for the cookie of [`cookie`].
fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origins = origins.to_vec();
    let is_allowed = move |origin: &HeaderValue, _: &Parts| {
        origin.to_str().is_ok_and(|origin| origin::is_allowed(&origins, origin))
    };
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(is_allowed))
            .allow_credentials(true)
            .allow_methods(METHODS)
            .allow_headers(REQUEST_HEADERS)
            .expose_headers(EXPOSED_HEADERS.map(HeaderName::from_static))
            .max_age(Duration::from_secs(600)),
    )
}

async fn deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::Unavailable.into_response(),
    }
}

/// Sets `nosniff` on every response, and `no-store` unless the route set its own `Cache-Control`.
/// Errors included.
async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests;
