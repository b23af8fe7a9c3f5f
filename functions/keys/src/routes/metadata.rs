//! `GET /.well-known/oauth-authorization-server` (RFC 8414), also under the older name of RFC 8414
//! §5, `openid-configuration`: API Gateway and other verifiers look for `jwks_uri` there.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::HeaderMap;
use ratchet_core::jws::SignatureAlgorithm;
use ratchet_http::{App, Problem, cacheable::cacheable};
use serde::Serialize;

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "Metadata"))]
pub(crate) struct Metadata<'a> {
    issuer: &'a str,
    jwks_uri: String,
    token_endpoint: String,
    revocation_endpoint: String,
    grant_types_supported: [&'static str; 1],
    /// There is no authorization endpoint, so there are none; the member is mandatory.
    response_types_supported: [&'static str; 0],
    token_endpoint_auth_methods_supported: [&'static str; 1],
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    access_token_signing_alg_values_supported: Vec<&'static str>,
}

/// Where everything is. The URLs come from the configured issuer, never from the request.
pub(crate) async fn metadata(
    State(app): State<Arc<App>>,
    request: HeaderMap,
) -> Result<Response, Problem> {
    let issuer = app.config.access_token.issuer.as_str();
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
    cacheable(&request, &metadata, app.config.keys.jwks_max_age)
}
