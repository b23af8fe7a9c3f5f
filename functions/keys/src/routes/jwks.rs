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
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema))]
pub(crate) struct JwkSet<'a> {
    /// Public keys (RFC 7517).
    #[cfg_attr(
        feature = "contract",
        schema(value_type = Vec<std::collections::BTreeMap<String, String>>)
    )]
    keys: Vec<&'a PublicJwk>,
}

/// The public keys (RFC 7517 §5).
///
/// Those of all tokens that may still be valid, and the one that signs next. If all keys are
/// symmetric the set is empty: then only this service can verify its tokens.
#[cfg_attr(feature = "contract", utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "jwks",
    params(ratchet_http::contract::IfNoneMatch),
    responses(
        (
            status = 200, description = "May be cached as `Cache-Control` says", body = JwkSet,
            example = json!({"keys": [{
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "2026-11",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            }]}),
        ),
        (status = 304, description = "The client's copy is current"),
    ),
))]
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
