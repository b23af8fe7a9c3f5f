//! `GET /.well-known/oauth-authorization-server` (RFC 8414), also under its older name
//! `openid-configuration` (§5), where API Gateway and other verifiers look for `jwks_uri`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::HeaderMap;
use ratchet_core::jws::SignatureAlgorithm;
use ratchet_http::{Problem, cacheable::cacheable};
use serde::Serialize;

use crate::Public;

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "Metadata"))]
pub(crate) struct Metadata<'a> {
    issuer: &'a str,
    jwks_uri: String,
    token_endpoint: String,
    revocation_endpoint: String,
    grant_types_supported: [&'static str; 1],
    /// Mandatory, and empty because there is no authorization endpoint.
    response_types_supported: [&'static str; 0],
    token_endpoint_auth_methods_supported: [&'static str; 1],
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    access_token_signing_alg_values_supported: Vec<&'static str>,
}

/// The URLs of everything. They come from the configured issuer, never from the request.
pub(crate) async fn metadata(
    State(public): State<Arc<Public>>,
    request: HeaderMap,
) -> Result<Response, Problem> {
    let issuer = public.issuer.as_str();
    let url = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
    let published = SignatureAlgorithm::ALL.into_iter().filter(|one| !one.is_symmetric());
    let metadata = Metadata {
        issuer,
        jwks_uri: url("/.well-known/jwks.json"),
        token_endpoint: url("/oauth2/token"),
        revocation_endpoint: url("/oauth2/revoke"),
        grant_types_supported: ["refresh_token"],
        response_types_supported: [],
        token_endpoint_auth_methods_supported: ["none"],
        revocation_endpoint_auth_methods_supported: ["none"],
        access_token_signing_alg_values_supported: published
            .map(SignatureAlgorithm::name)
            .collect(),
    };
    cacheable(&request, &metadata, public.max_age)
}
