//! Where a request comes from.

use std::{convert::Infallible, net::IpAddr};

use axum::extract::FromRequestParts;
use http::{header, request::Parts};
use ratchet_core::{network::NetworkPrefix, session::Origin};

use crate::Invocation;

/// The client.
///
/// # Security
/// The address is the one that connects to the gateway, unless the configuration names a header of a
/// trusted proxy. Headers are not read here: clients can set any.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The address, if it is known.
    pub source_ip: Option<IpAddr>,
    /// The network prefix and the user agent, as a session remembers them.
    pub origin: Origin,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let source_ip = parts.extensions.get().and_then(|known: &Invocation| known.source_ip);
        let user_agent = parts.headers.get(header::USER_AGENT);
        let user_agent = user_agent.and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self {
            source_ip,
            origin: Origin {
                network: source_ip.map(|ip| NetworkPrefix::of(ip).to_string()).unwrap_or_default(),
                // `to_str` allows ASCII only, so characters are bytes.
                user_agent: user_agent.chars().take(Origin::USER_AGENT_BYTES).collect(),
            },
        })
    }
}
