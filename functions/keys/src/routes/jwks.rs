//! `GET /.well-known/jwks.json`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::HeaderMap;
use ratchet_core::key_ring::PublicJwk;
use ratchet_http::{Problem, cacheable::cacheable};
use ratchet_service::clock;
use ratchet_store::KeyRingCache;
use serde::Serialize;

use crate::Public;

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "JwkSet"))]
pub(crate) struct JwkSet<'a> {
    /// Public keys (RFC 7517).
    #[cfg_attr(
        feature = "contract",
        schemars(with = "Vec<std::collections::BTreeMap<String, String>>")
    )]
    keys: Vec<&'a PublicJwk>,
}

/// The public keys of all tokens that may still be valid, and the key that signs next (RFC 7517 §5).
/// If all keys are symmetric the set is empty: then only this service can verify its tokens.
pub(crate) async fn keys(
    State(key_ring): State<Arc<KeyRingCache>>,
    State(public): State<Arc<Public>>,
    request: HeaderMap,
) -> Result<Response, Problem> {
    let now = clock::now();
    let ring = key_ring.current(now).await?;
    let keys = ring.public_keys(now.seconds()).collect();
    cacheable(&request, &JwkSet { keys }, public.max_age)
}
