//! Answers that everybody may keep for a while (RFC 9111), with an `ETag` (RFC 9110 §8.8.3).

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ratchet_core::encoding::{sha256, to_base64url};
use serde::Serialize;

use crate::Problem;

/// `body` as JSON that may be kept for `max_age`; a 304 without it if the request already has it.
///
/// # Errors
/// [`Problem::Internal`] if the body is no JSON.
pub fn cacheable(
    request: &HeaderMap,
    body: &impl Serialize,
    max_age: Duration,
) -> Result<Response, Problem> {
    let body = serde_json::to_vec(body).map_err(|_| Problem::Internal)?;
    kept("application/json", request, body, max_age)
}

/// `body` of a content type, that may be kept for `max_age`.
///
/// # Errors
/// [`Problem::Internal`], which the types of the headers ask for; it does not happen.
pub fn kept(
    content_type: &'static str,
    request: &HeaderMap,
    body: Vec<u8>,
    max_age: Duration,
) -> Result<Response, Problem> {
    let etag = format!("\"{}\"", to_base64url(&sha256(&body)));
    tagged(content_type, request, &etag, max_age, move || Ok(body))
}

/// As [`kept`], with an `ETag` that is known before the body is.
///
/// # Errors
/// [`Problem`] of `body`.
pub fn tagged(
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

/// Whether an `If-None-Match` names `etag`, weakly or not (RFC 9110 §13.1.2), or anything at all.
fn names(value: &HeaderValue, etag: &str) -> bool {
    let Ok(value) = value.to_str() else { return false };
    let strong = |tag: &str| tag.trim_start_matches("W/").to_owned();
    value.split(',').map(str::trim).any(|one| one == "*" || strong(one) == strong(etag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(if_none_match: &[&'static str]) -> Response {
        let request = if_none_match
            .iter()
            .map(|value| (header::IF_NONE_MATCH, HeaderValue::from_static(value)))
            .collect();
        cacheable(&request, &["a"], Duration::from_secs(600)).unwrap()
    }

    #[test]
    fn who_has_it_already_gets_it_without_a_body() {
        let first = answer(&[]);
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()["cache-control"], "public, max-age=600");
        let etag = first.headers()["etag"].to_str().unwrap().to_owned();
        let same = HeaderValue::from_str(&etag).unwrap();
        assert!(names(&same, &etag));
        assert!(names(&HeaderValue::from_str(&format!("\"x\", W/{etag}")).unwrap(), &etag));
        let again = answer(&["*"]);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers()["etag"], first.headers()["etag"]);
        assert!(again.headers().get("content-type").is_none());
    }

    #[test]
    fn who_has_another_one_gets_it() {
        for other in ["\"x\"", "W/\"x\"", "", "x"] {
            assert_eq!(answer(&[other]).status(), StatusCode::OK, "{other}");
        }
    }
}
