//! Requests from events of the HTTP API (payload format 2.0,
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).
//!
//! Clients decide what an event contains, so no event may fail an invocation. What a request does not
//! need is dropped where it is not valid. If the rest is not valid, the response is a 400.

use std::{collections::BTreeMap, net::IpAddr};

use axum::{body::Body, extract::Request};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, uri::PathAndQuery};
use lambda_http::{aws_lambda_events::apigw::ApiGatewayV2httpRequest, request::LambdaRequest};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ratchet_http::Problem;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The members of an event that are read.
///
/// `Host`, `X-Forwarded-*` and the gateway's domain name are not among them: the routes never need
/// them, and clients choose them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    raw_path: String,
    raw_query_string: Option<String>,
    #[serde(borrow)]
    headers: Option<BTreeMap<String, &'a RawValue>>,
    #[serde(borrow)]
    cookies: Option<Vec<&'a RawValue>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    #[serde(borrow)]
    request_context: RequestContext<'a>,
}

#[derive(Deserialize)]
struct RequestContext<'a> {
    #[serde(borrow)]
    http: Http<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: String,
    #[serde(borrow)]
    source_ip: Option<&'a RawValue>,
}

/// Reads the request of an event, and the address that connected to the gateway.
///
/// # Errors
/// [`Problem::MalformedRequest`].
pub(super) fn read(event: &str) -> Result<(Request, Option<IpAddr>), Problem> {
    let malformed = |expected| move || Problem::MalformedRequest { expected };
    let event: Event<'_> = serde_json::from_str(event)
        .ok()
        .ok_or_else(malformed("a request of an HTTP API in payload format 2.0"))?;
    let http = event.request_context.http;
    let method = Method::from_bytes(http.method.as_bytes());
    let method = method.ok().ok_or_else(malformed("an HTTP method"))?;
    let (path, query) = target(&event.raw_path, event.raw_query_string.as_deref()).ok_or_else(
        malformed("a path that begins with /, of at most 65,534 bytes with its query"),
    )?;
    let body = body(event.body, event.is_base64_encoded)
        .ok_or_else(malformed("a body that is base64, if it is said to be"))?;
    // lambda_http makes the URI. It panics at what is not valid, and at many values of `Host` and
    // `X-Forwarded-Proto`, so those come later.
    let mut valid = ApiGatewayV2httpRequest::default();
    valid.raw_path = Some(path);
    valid.raw_query_string = query;
    valid.request_context.http.method = method;
    let request = http::Request::from(LambdaRequest::ApiGatewayV2(valid));
    let mut request = request.map(|_| Body::from(body));
    *request.headers_mut() = headers(event.headers.unwrap_or_default(), event.cookies);
    let source_ip = http.source_ip.and_then(text).and_then(|address| address.parse().ok());
    Ok((request, source_ip))
}

/// A string, or nothing if it is anything else.
fn text(json: &RawValue) -> Option<String> {
    serde_json::from_str(json.get()).ok()
}

/// What is percent-encoded in a path: all but `pchar` (RFC 3986 §3.3) and `/`. What is encoded already
/// stays as it is.
const NOT_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'%')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

/// The same for a query (RFC 3986 §3.4).
const NOT_IN_QUERY: &AsciiSet = &NOT_IN_PATH.remove(b'?');

/// The path and the query as parts of a URI. The gateway passes on characters that no URI may contain,
/// and decodes those of the path.
fn target(path: &str, query: Option<&str>) -> Option<(String, Option<String>)> {
    if !path.starts_with('/') {
        return None;
    }
    let path = utf8_percent_encode(path, NOT_IN_PATH).to_string();
    let query = query.filter(|query| !query.is_empty());
    let query = query.map(|query| utf8_percent_encode(query, NOT_IN_QUERY).to_string());
    let both = query.as_ref().map(|query| format!("{path}?{query}"));
    PathAndQuery::try_from(both.as_deref().unwrap_or(&path)).ok()?;
    Some((path, query))
}

fn body(body: Option<String>, is_base64_encoded: Option<bool>) -> Option<Vec<u8>> {
    let body = body.unwrap_or_default();
    if is_base64_encoded.unwrap_or_default() {
        STANDARD.decode(body).ok()
    } else {
        Some(body.into_bytes())
    }
}

/// The headers that are valid. The gateway moves cookies into a list of their own; each of them that
/// is not valid is dropped alone.
fn headers(fields: BTreeMap<String, &RawValue>, cookies: Option<Vec<&RawValue>>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let has_list = cookies.is_some();
    if let Some(cookies) = cookies {
        let cookies = cookies.into_iter().filter_map(text);
        let cookies: Vec<_> = cookies.filter(|text| HeaderValue::from_str(text).is_ok()).collect();
        if !cookies.is_empty()
            && let Ok(cookies) = HeaderValue::try_from(cookies.join("; "))
        {
            headers.insert(header::COOKIE, cookies);
        }
    }
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = text(value).and_then(|value| HeaderValue::try_from(value).ok());
        let (Ok(name), Some(value)) = (name, value) else { continue };
        if has_list && name == header::COOKIE {
            continue;
        }
        // A map holds at most 32,768 headers. The gateway lets through 10 KiB of them.
        if headers.try_append(name, value).is_err() {
            break;
        }
    }
    headers
}

#[cfg(test)]
mod tests;
