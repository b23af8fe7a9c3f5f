//! Responses as the HTTP API expects them (payload format 2.0).

use std::collections::BTreeMap;

use axum::response::Response;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::header;
use serde::Serialize;

/// A response to the gateway.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GatewayResponse {
    status_code: u16,
    /// By name. A header with several values has them separated by commas (RFC 9110 §5.3).
    headers: BTreeMap<String, String>,
    /// The values of `Set-Cookie`, which cannot be joined.
    cookies: Vec<String>,
    body: String,
    is_base64_encoded: bool,
}

impl GatewayResponse {
    /// Reads the whole body.
    ///
    /// # Errors
    /// The body's error. Bodies that are in memory have none.
    pub(super) async fn read(response: Response) -> Result<Self, axum::Error> {
        let (parts, body) = response.into_parts();
        let mut headers = BTreeMap::<String, String>::new();
        let mut cookies = Vec::new();
        for (name, value) in &parts.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            if name == header::SET_COOKIE {
                cookies.push(value);
            } else if let Some(values) = headers.get_mut(name.as_str()) {
                values.push_str(", ");
                values.push_str(&value);
            } else {
                headers.insert(name.as_str().to_owned(), value);
            }
        }
        let bytes = axum::body::to_bytes(body, usize::MAX).await?;
        let (body, is_base64_encoded) = match String::from_utf8(bytes.into()) {
            Ok(text) => (text, false),
            Err(error) => (STANDARD.encode(error.as_bytes()), true),
        };
        let status_code = parts.status.as_u16();
        Ok(Self { status_code, headers, cookies, body, is_base64_encoded })
    }
}
