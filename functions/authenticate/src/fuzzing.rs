//! Exposes the parsing of the request body to the fuzz targets.

use ratchet_http::{
    Problem,
    body::{Json, read_printed},
};

use crate::routes::{authenticate, email, second_factor};

/// Reads a body. Returns what the request prints as, or the refusal.
pub async fn bodies(content_type: &[u8], body: &[u8]) -> [Result<String, Problem>; 3] {
    [
        read_printed::<Json<authenticate::Request>>(content_type, body).await,
        read_printed::<Json<email::Request>>(content_type, body).await,
        read_printed::<Json<second_factor::Request>>(content_type, body).await,
    ]
}
