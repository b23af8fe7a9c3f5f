//! What is around every route: deadline, headers, CORS, and one log line per request.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, header};
use lambda_http::Context;
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowOrigin, CorsLayer},
};

use crate::{App, Problem, clock, cookie, measure, problem::ProblemCode, trace};

/// An answer that is not there by then is a 503. Clients and gateways give up later than that.
pub const DEADLINE: Duration = Duration::from_millis(2_800);
const _: () = assert!(DEADLINE.as_millis() < 3_000, "every answer within three seconds");

/// The headers that a browser may show to a web application.
pub const EXPOSED_HEADERS: [&str; 3] = ["is-token-expired", "www-authenticate", "retry-after"];

/// The methods that a web application may use.
pub const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::PATCH, Method::DELETE];

/// The headers that a web application may send.
pub const REQUEST_HEADERS: [HeaderName; 3] =
    [header::AUTHORIZATION, header::CONTENT_TYPE, cookie::CONFIRMATION];

/// Puts the edge around the routes of a function.
pub fn around(routes: Router<Arc<App>>, app: Arc<App>) -> Router {
    let cors = cors(&app.config.cors_origins);
    let router = routes
        .fallback(|| async { Problem::NotFound })
        .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
        .with_state(app)
        .layer(CatchPanicLayer::custom(|_| Problem::Internal.into_response()))
        .layer(middleware::from_fn(deadline));
    let router = match cors {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.layer(middleware::from_fn(headers)).layer(middleware::from_fn(log))
}

/// Configured origins only; without any there are no CORS headers at all. Credentials are allowed
/// for the cookie of [`cookie`], to the same origins.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
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

/// Nothing that this service says may be sniffed, and nothing may be stored but what a route has
/// said so of itself; errors are no exception.
async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// One line per request: no path (it may hold an id), no query, no header, no body.
async fn log(request: Request, next: Next) -> Response {
    let begun = clock::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let context = request.extensions().get::<Context>();
    let request_id = context.map(|context| context.request_id.clone()).unwrap_or_default();
    let trace = context.and_then(|context| context.xray_trace_id.clone());
    measure::within(&request_id, async {
        let response = trace::within(trace.as_deref(), next.run(request)).await;
        let status = response.status();
        let code = response.extensions().get::<ProblemCode>().map(|code| code.0);
        let milliseconds = clock::now().get().saturating_sub(begun.get());
        tracing::info!(
            request_id,
            method = method.as_str(),
            route = route.as_ref().map_or("", MatchedPath::as_str),
            status = status.as_u16(),
            code,
            milliseconds,
            "request"
        );
        measure::answered(status, code, milliseconds);
        response
    })
    .await
}

#[cfg(test)]
mod tests;
