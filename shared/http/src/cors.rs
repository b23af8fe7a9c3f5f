//! Cross-origin requests of web applications (<https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! The functions answer preflights, not the gateway: the gateway knows no origins such as
//! `capacitor://localhost`, and does not log what it refuses.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use ratchet_core::cors::{CorsPolicy, is_allowed};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{cookie, dpop};

/// The response headers that browsers show to web applications.
pub const EXPOSED_HEADERS: [&str; 5] =
    ["is-token-expired", "www-authenticate", "retry-after", "dpop-nonce", "date"];

/// The methods that web applications may use.
const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::PATCH, Method::DELETE];

/// The headers that all web applications may send.
const REQUEST_HEADERS: [HeaderName; 4] =
    [header::AUTHORIZATION, header::CONTENT_TYPE, cookie::CONFIRMATION, dpop::DPOP];

/// How long browsers may keep the answer to a preflight. Chrome keeps none longer than two hours.
const MAX_AGE: Duration = Duration::from_secs(3_600);

/// The longest part of a header that is logged.
const LOGGED: usize = 128;

/// Lets the web applications of the policy call the routes. Without any, there are no CORS headers.
pub(crate) fn around(router: Router, policy: &CorsPolicy) -> Router {
    let headers = policy.headers.iter().filter_map(|name| name.parse().ok());
    let allowed = Arc::new(Allowed {
        origins: policy.origins.clone(),
        headers: REQUEST_HEADERS.into_iter().chain(headers).collect(),
    });
    let router = if allowed.origins.is_empty() { router } else { router.layer(allowed.layer()) };
    router.layer(middleware::from_fn_with_state(allowed, log_refused_preflight))
}

/// What is allowed.
#[derive(Debug)]
struct Allowed {
    origins: Vec<String>,
    headers: Vec<HeaderName>,
}

/// Why a browser will not send the request that a preflight announces.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("CorsOrigins does not list the origin")]
    Origin,
    #[error("no route has the method")]
    Method,
    #[error("CorsHeaders does not list the header {0}")]
    Header(String),
}

impl Allowed {
    fn allows(&self, origin: &HeaderValue) -> bool {
        origin.to_str().is_ok_and(|origin| is_allowed(&self.origins, origin))
    }

    /// Credentials are allowed for the cookie of [`cookie`].
    fn layer(self: &Arc<Self>) -> CorsLayer {
        let allowed = Arc::clone(self);
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(move |origin, _| allowed.allows(origin)))
            .allow_credentials(true)
            .allow_methods(METHODS)
            .allow_headers(self.headers.clone())
            .expose_headers(EXPOSED_HEADERS.map(HeaderName::from_static))
            .max_age(MAX_AGE)
    }

    /// Checks a preflight as the browser checks the response to it. `None` if it is fine, or is no
    /// preflight.
    fn refusal(&self, method: &Method, headers: &HeaderMap) -> Option<Refusal> {
        let requested = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        if method != Method::OPTIONS {
            return None;
        }
        if !headers.get(header::ORIGIN).is_some_and(|origin| self.allows(origin)) {
            return Some(Refusal::Origin);
        }
        // Browsers may send these three whether or not they are listed.
        let is_simple = ["GET", "HEAD", "POST"].iter().any(|simple| requested == simple);
        if !is_simple && !METHODS.iter().any(|method| requested == method.as_str()) {
            return Some(Refusal::Method);
        }
        let names = headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter();
        let names = names.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        let names = names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
        names
            .map(|name| (name, HeaderName::from_bytes(name)))
            .find(|(_, header)| !header.as_ref().is_ok_and(|name| self.headers.contains(name)))
            .map(|(name, _)| Refusal::Header(printable(name)))
    }
}

/// Browsers do not tell the application why a preflight was refused, and the response does not tell the
/// browser. So the log does.
async fn log_refused_preflight(
    State(allowed): State<Arc<Allowed>>,
    request: Request,
    next: Next,
) -> Response {
    if let Some(refusal) = allowed.refusal(request.method(), request.headers()) {
        let origin = request.headers().get(header::ORIGIN).map(HeaderValue::as_bytes);
        let origin = printable(origin.unwrap_or_default());
        tracing::info!(origin, reason = %refusal, "a preflight was refused");
    }
    next.run(request).await
}

/// The beginning of a header, as far as it is printable ASCII.
fn printable(value: &[u8]) -> String {
    value.iter().map(|byte| char::from(*byte)).filter(char::is_ascii_graphic).take(LOGGED).collect()
}

#[cfg(test)]
mod tests;
