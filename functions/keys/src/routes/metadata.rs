//! `GET /.well-known/oauth-authorization-server` (RFC 8414), also as `openid-configuration`, where API
//! Gateway, Spring and other verifiers look for `jwks_uri`.
//!
//! Ratchet is no `OpenID` provider: it has no authorization endpoint, so the document names none, and
//! it issues no ID tokens. Libraries that read the second name require members about them anyway.

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
    /// Required by RFC 8414, which forbids an empty list (§3.2). `none` returns no code and no token.
    response_types_supported: [&'static str; 1],
    /// Required by `OpenID` Connect Discovery 1.0 §3. A user has the same `sub` everywhere.
    subject_types_supported: [&'static str; 1],
    /// Required by the same. Verifiers take the algorithms that they accept from here.
    id_token_signing_alg_values_supported: Vec<&'static str>,
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
    let algorithms: Vec<_> = published.map(SignatureAlgorithm::name).collect();
    let metadata = Metadata {
        issuer,
        jwks_uri: url("/.well-known/jwks.json"),
        token_endpoint: url("/oauth2/token"),
        revocation_endpoint: url("/oauth2/revoke"),
        grant_types_supported: ["refresh_token"],
        response_types_supported: ["none"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: algorithms.clone(),
        token_endpoint_auth_methods_supported: ["none"],
        revocation_endpoint_auth_methods_supported: ["none"],
        access_token_signing_alg_values_supported: algorithms,
    };
    cacheable(&request, &metadata, public.max_age)
}
