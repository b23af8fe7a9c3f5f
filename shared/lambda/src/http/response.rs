//! Responses as the HTTP API expects them (payload format 2.0).

use axum::response::Response;
use http::{HeaderValue, header};
use lambda_http::{Body, aws_lambda_events::apigw::ApiGatewayV2httpResponse};

/// Reads the whole response. A header with several values has them separated by commas
/// (RFC 9110 §5.3); those of `Set-Cookie`, which cannot be joined, are a list.
///
/// # Errors
/// The body's error. Bodies that are in memory have none.
pub(super) async fn read(response: Response) -> Result<ApiGatewayV2httpResponse, axum::Error> {
    let (parts, body) = response.into_parts();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut gateway = ApiGatewayV2httpResponse::default();
    gateway.status_code = parts.status.as_u16().into();
    for name in parts.headers.keys() {
        let values: Vec<_> = parts.headers.get_all(name).iter().map(text).collect();
        if name == header::SET_COOKIE {
            gateway.cookies = values;
        } else if let Ok(value) = HeaderValue::try_from(values.join(", ")) {
            gateway.headers.insert(name, value);
        }
    }
    let bytes = axum::body::to_bytes(body, usize::MAX).await?;
    let body = match String::from_utf8(bytes.into()) {
        Ok(text) => Body::Text(text),
        Err(error) => Body::Binary(error.into_bytes()),
    };
    gateway.is_base64_encoded = matches!(body, Body::Binary(_));
    gateway.body = Some(body);
    Ok(gateway)
}
