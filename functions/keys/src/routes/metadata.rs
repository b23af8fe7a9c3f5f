//! `GET /.well-known/oauth-authorization-server` (RFC 8414), also as `openid-configuration`, where API
//! Gateway, Spring and other verifiers look for `jwks_uri`.
//!
//! Ratchet is no `OpenID` provider: it has no authorization endpoint, so the document names none, and
//! it issues no ID tokens. Libraries that read the second name require members about them anyway.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::HeaderMap;
use ratchet_core::{config::Dpop, dpop, jws::SignatureAlgorithm};
use ratchet_http::{Problem, cacheable::cacheable};
use serde::Serialize;

use crate::Public;

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema))]
pub(crate) struct Metadata<'a> {
    issuer: &'a str,
    jwks_uri: String,
    token_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    #[cfg_attr(feature = "contract", schema(min_items = 1, max_items = 1))]
    grant_types_supported: [&'static str; 1],
    /// Required by RFC 8414, which forbids an empty list (§3.2). `none` returns no code and no token.
    #[cfg_attr(feature = "contract", schema(min_items = 1, max_items = 1))]
    response_types_supported: [&'static str; 1],
    /// Required by `OpenID` Connect Discovery 1.0 §3. A user has the same `sub` everywhere.
    #[cfg_attr(feature = "contract", schema(min_items = 1, max_items = 1))]
    subject_types_supported: [&'static str; 1],
    /// Required by the same. Verifiers take the algorithms that they accept from here.
    id_token_signing_alg_values_supported: Vec<&'static str>,
    #[cfg_attr(feature = "contract", schema(min_items = 1, max_items = 1))]
    token_endpoint_auth_methods_supported: [&'static str; 1],
    #[cfg_attr(feature = "contract", schema(min_items = 1, max_items = 1))]
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    #[cfg_attr(feature = "contract", schema(min_items = 2, max_items = 2))]
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    access_token_signing_alg_values_supported: Vec<&'static str>,
    /// The algorithms of DPoP proofs (RFC 9449 §5.1). Absent if sessions are never bound to a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_signing_alg_values_supported: Option<Vec<&'static str>>,
}

/// The URLs of everything (RFC 8414).
///
/// They come from the configured issuer, never from the request.
#[cfg_attr(feature = "contract", utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", operation_id = "metadata",
    params(ratchet_http::contract::IfNoneMatch),
    responses(
        (
            status = 200, description = "May be cached as `Cache-Control` says",
            body = Metadata, example = json!(Metadata::new("https://auth.example.com", Dpop::Optional)),
        ),
        (status = 304, description = "The client's copy is current"),
    ),
))]
pub(crate) async fn metadata(
    State(public): State<Arc<Public>>,
    request: HeaderMap,
) -> Result<Response, Problem> {
    cacheable(&request, &Metadata::new(&public.issuer, public.dpop), public.max_age)
}

impl<'a> Metadata<'a> {
    fn new(issuer: &'a str, binding: Dpop) -> Self {
        let url = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
        let published = SignatureAlgorithm::ALL.into_iter().filter(|one| !one.is_symmetric());
        let algorithms: Vec<_> = published.map(SignatureAlgorithm::name).collect();
        Self {
            issuer,
            jwks_uri: url("/.well-known/jwks.json"),
            token_endpoint: url("/oauth2/token"),
            revocation_endpoint: url("/oauth2/revoke"),
            introspection_endpoint: url("/oauth2/introspect"),
            grant_types_supported: ["refresh_token"],
            response_types_supported: ["none"],
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: algorithms.clone(),
            token_endpoint_auth_methods_supported: ["none"],
            revocation_endpoint_auth_methods_supported: ["none"],
            introspection_endpoint_auth_methods_supported: [
                "client_secret_basic",
                "client_secret_post",
            ],
            access_token_signing_alg_values_supported: algorithms,
            dpop_signing_alg_values_supported: (binding != Dpop::Disabled)
                .then(|| dpop::algorithms().map(SignatureAlgorithm::name).collect()),
        }
    }
}

/// Describes the same document where verifiers of `OpenID` Connect look for it.
#[cfg(feature = "contract")]
pub(crate) struct OpenidConfiguration;

#[cfg(feature = "contract")]
impl utoipa::Modify for OpenidConfiguration {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let paths = &mut description.paths.paths;
        let mut route = paths.get("/.well-known/oauth-authorization-server").cloned();
        if let Some(operation) = route.as_mut().and_then(|route| route.get.as_mut()) {
            operation.operation_id = Some("openidConfiguration".to_owned());
            operation.summary =
                Some("The same, where verifiers of OpenID Connect look for it.".to_owned());
        }
        paths.extend(route.map(|route| ("/.well-known/openid-configuration".to_owned(), route)));
    }
}
