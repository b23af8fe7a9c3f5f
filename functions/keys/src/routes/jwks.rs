//! `GET /.well-known/jwks.json`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::HeaderMap;
use ratchet_core::key_ring::PublicJwk;
use ratchet_http::{App, Problem, cacheable::cacheable, clock};
use serde::Serialize;

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

/// The public halves of all keys whose tokens may be about, and of the one that signs next
/// (RFC 7517 §5). With symmetric keys alone the set is empty: only this service verifies then.
pub(crate) async fn keys(
    State(app): State<Arc<App>>,
    request: HeaderMap,
) -> Result<Response, Problem> {
    let now = clock::now();
    let ring = app.key_ring(now).await?;
    let keys = ring.public_keys(now.seconds()).collect();
    cacheable(&request, &JwkSet { keys }, app.config.keys.jwks_max_age)
}
