//! Responses that caches may store (RFC 9111), with an `ETag` (RFC 9110 §8.8.3).

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ratchet_core::encoding::{sha256, to_base64url};
use serde::Serialize;

use crate::Problem;

/// `body` as JSON that may be stored for `max_age`, or a 304 if the client already has it.
///
/// # Errors
/// [`Problem::Internal`] if the body cannot be serialised.
pub fn cacheable(
    request: &HeaderMap,
    body: &impl Serialize,
    max_age: Duration,
) -> Result<Response, Problem> {
    let body = serde_json::to_vec(body).map_err(|_| Problem::Internal)?;
    with_hash("application/json", request, body, max_age)
}

/// `body` with a content type, which may be stored for `max_age`.
///
/// # Errors
/// [`Problem::Internal`] if a header is not valid, which does not happen.
fn with_hash(
    content_type: &'static str,
    request: &HeaderMap,
    body: Vec<u8>,
    max_age: Duration,
) -> Result<Response, Problem> {
    let etag = format!("\"{}\"", to_base64url(&sha256(&body)));
    with_etag(content_type, request, &etag, max_age, move || Ok(body))
}

/// The same with an `ETag` that is known before the body is.
///
/// # Errors
/// [`Problem`] of `body`.
pub fn with_etag(
    content_type: &'static str,
    request: &HeaderMap,
    etag: &str,
    max_age: Duration,
    body: impl FnOnce() -> Result<Vec<u8>, Problem>,
) -> Result<Response, Problem> {
    let known = request.get_all(header::IF_NONE_MATCH).iter().any(|value| names(value, etag));
    let cache_control = format!("public, max-age={}", max_age.as_secs());
    let header = |text: &str| HeaderValue::from_str(text).map_err(|_| Problem::Internal);
    let headers = [(header::CACHE_CONTROL, header(&cache_control)?), (header::ETAG, header(etag)?)];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
    Ok((StatusCode::OK, headers, content_type, body()?).into_response())
}

/// Whether `If-None-Match` contains `etag`, compared weakly (RFC 9110 §13.1.2), or `*`.
fn names(value: &HeaderValue, etag: &str) -> bool {
    let Ok(value) = value.to_str() else { return false };
    let strong = |tag: &str| tag.trim_start_matches("W/").to_owned();
    value.split(',').map(str::trim).any(|one| one == "*" || strong(one) == strong(etag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(if_none_match: &[&'static str]) -> Response {
        let request = if_none_match
            .iter()
            .map(|value| (header::IF_NONE_MATCH, HeaderValue::from_static(value)))
            .collect();
        cacheable(&request, &["a"], Duration::from_secs(600)).unwrap()
    }

    #[test]
    fn a_client_that_has_it_gets_a_304_without_a_body() {
        let first = response(&[]);
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()["cache-control"], "public, max-age=600");
        let etag = first.headers()["etag"].to_str().unwrap().to_owned();
        let same = HeaderValue::from_str(&etag).unwrap();
        assert!(names(&same, &etag));
        assert!(names(&HeaderValue::from_str(&format!("\"x\", W/{etag}")).unwrap(), &etag));
        let again = response(&["*"]);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers()["etag"], first.headers()["etag"]);
        assert!(again.headers().get("content-type").is_none());
    }

    #[test]
    fn a_client_that_has_another_version_gets_the_body() {
        for other in ["\"x\"", "W/\"x\"", "", "x"] {
            assert_eq!(response(&[other]).status(), StatusCode::OK, "{other}");
        }
    }
}
