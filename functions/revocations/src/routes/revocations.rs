//! `GET /.well-known/revocations`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use http::HeaderMap;
use ratchet_core::revocations::{MAX_AGE, RevocationList};
use ratchet_http::{App, Problem, cacheable::tagged, clock};
use ratchet_store::EndsCache;

/// The media type of a JWT (RFC 7519 §10.3.1).
const JWT: &str = "application/jwt";

/// The list, signed like access tokens; a 304 if the client has it. Unless the configuration wants
/// it, there is none.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(ends): Extension<Option<Arc<EndsCache>>>,
    request: HeaderMap,
) -> Result<Response, Problem> {
    let ends = ends.ok_or(Problem::NotFound)?;
    let now = clock::now();
    let (ring, ends) = (app.key_ring(now).await?, ends.current(now).await?);
    let list = RevocationList::new(&app.config.access_token.issuer, &ends);
    let list = list.to_be_signed(&ring, now.seconds())?;
    // Weak (RFC 9110 §8.8.1): it is the same list, not the same signature.
    let etag = format!("W/\"{}\"", list.tag());
    tagged(JWT, &request, &etag, MAX_AGE, || Ok(list.sign()?.as_bytes().to_vec()))
}
