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

/// The sessions that ended lately.
///
/// A JWT of the type `revocations+jwt`, signed like access tokens. For every session that ended
/// between `since` and `iat`, `ended` has the first 16 bytes of the SHA-256 of its id (`sid`) in
/// base64url. Access tokens issued before `since` count as expired. There is no list unless the
/// deployment enables it.
#[cfg_attr(feature = "contract", utoipa::path(
    get, path = "/.well-known/revocations", operation_id = "revocations",
    params(ratchet_http::contract::IfNoneMatch),
    responses(
        (
            status = 200, description = "May be cached for 15 s",
            body = String, content_type = JWT, example = "eyJ0eXAiOiJyZXZvY2F0…",
        ),
        (status = 304, description = "The client's copy is current"),
    ),
    extensions(("x-refusals" = json!(["not_found"]))),
))]
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
