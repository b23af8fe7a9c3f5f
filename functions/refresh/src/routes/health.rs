//! `GET /health`: whether this function could refresh a session. Calls no other service.

use std::{env, sync::Arc};

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet_http::{Problem, json::json};
use ratchet_service::clock;
use ratchet_store::KeyRingCache;
use serde::Serialize;

/// The response body.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema))]
pub(crate) struct Health {
    version: &'static str,
    /// The commit that the release was built from; `unknown` in a build by hand.
    build: &'static str,
    /// Lambda's number of the published version.
    function_version: String,
    /// How long ago the key ring in use was loaded.
    key_ring_age_seconds: u64,
}

/// Shows what is running.
///
/// Calls no other service. It is unavailable while this function has no key ring, and so could not
/// refresh a session.
#[cfg_attr(feature = "contract", utoipa::path(
    get, path = "/health", operation_id = "health",
    responses((
        status = 200, description = "This function can refresh sessions", body = Health,
        example = json!({
            "version": "0.1.0", "build": "unknown", "function_version": "7",
            "key_ring_age_seconds": 42,
        }),
    )),
))]
pub(crate) async fn handle(State(key_ring): State<Arc<KeyRingCache>>) -> Result<Response, Problem> {
    let age = key_ring.age(clock::now()).ok_or(Problem::Unavailable)?;
    let health = Health {
        version: env!("CARGO_PKG_VERSION"),
        build: option_env!("RATCHET_BUILD").unwrap_or("unknown"),
        function_version: env::var("AWS_LAMBDA_FUNCTION_VERSION").unwrap_or_default(),
        key_ring_age_seconds: age.as_secs(),
    };
    Ok(json(StatusCode::OK, &health))
}
