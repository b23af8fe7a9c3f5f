//! `GET /.well-known/revocations`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::HeaderMap;
use ratchet_core::revocations::{MAX_AGE, RevocationList};
use ratchet_http::{Problem, cacheable::with_etag};
use ratchet_service::{Fault, clock};
use ratchet_store::{EndsCache, KeyRingCache};

/// The media type of a JWT (RFC 7519 §10.3.1).
const JWT: &str = "application/jwt";

/// The list, signed like access tokens, or a 304 if the client has it. 404 unless it is enabled.
pub(crate) async fn list(
    State(key_ring): State<Arc<KeyRingCache>>,
    State(ends): State<Option<Arc<EndsCache>>>,
    State(issuer): State<Arc<str>>,
    request: HeaderMap,
) -> Result<Response, Problem> {
    let ends = ends.ok_or(Problem::NotFound)?;
    let now = clock::now();
    let (ring, ends) = (key_ring.current(now).await?, ends.current(now).await?);
    let list = RevocationList::new(&issuer, &ends);
    let list = list.to_be_signed(&ring, now.seconds()).map_err(Fault::from)?;
    // Weak (RFC 9110 §8.8.1): the same list may have another signature.
    let etag = format!("W/\"{}\"", list.tag());
    let sign = || Ok(list.sign().map_err(Fault::from)?.as_bytes().to_vec());
    with_etag(JWT, &request, &etag, MAX_AGE, sign)
}
