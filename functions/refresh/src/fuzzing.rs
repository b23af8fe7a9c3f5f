//! Exposes the parsing of request bodies to the fuzz targets.

use ratchet_http::{
    Problem,
    body::{Form, Json, read_printed},
};

use crate::routes::{logout, oauth2_introspect, oauth2_revoke, oauth2_token, refresh};

/// Reads a body for each route. Returns what the request prints as, or the refusal.
pub async fn bodies(content_type: &[u8], body: &[u8]) -> [Result<String, Problem>; 5] {
    [
        read_printed::<Json<refresh::Request>>(content_type, body).await,
        read_printed::<Json<logout::Request>>(content_type, body).await,
        read_printed::<Form<oauth2_token::Request>>(content_type, body).await,
        read_printed::<Form<oauth2_revoke::Request>>(content_type, body).await,
        read_printed::<Form<oauth2_introspect::Request>>(content_type, body).await,
    ]
}
