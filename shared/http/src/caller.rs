//! Where a request comes from.

use std::{convert::Infallible, net::IpAddr};

use axum::extract::FromRequestParts;
use http::{header, request::Parts};
use lambda_http::request::RequestContext;
use ratchet_core::{network::NetworkPrefix, session::Origin};

/// The client, as the gateway saw it.
///
/// # Security
/// The address comes from the gateway's own context; `X-Forwarded-For` is whatever the client
/// wants it to be and is never read.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The address, if the gateway told one.
    pub source_ip: Option<IpAddr>,
    /// Network prefix and user agent, as a session remembers them.
    pub origin: Origin,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let source_ip = match parts.extensions.get() {
            Some(RequestContext::ApiGatewayV2(context)) => {
                context.http.source_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok())
            }
            _ => None,
        };
        let user_agent = parts.headers.get(header::USER_AGENT);
        let user_agent = user_agent.and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self {
            source_ip,
            origin: Origin {
                network: source_ip.map(|ip| NetworkPrefix::of(ip).to_string()).unwrap_or_default(),
                // Header text is ASCII here, so any cut is between characters.
                user_agent: user_agent.chars().take(Origin::USER_AGENT_BYTES).collect(),
            },
        })
    }
}
