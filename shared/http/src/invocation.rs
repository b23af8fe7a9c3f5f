//! What the server knows about a request besides its HTTP message.

use std::net::IpAddr;

/// A request extension: where the request came from, and the id under which it is logged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The id of the invocation.
    pub request_id: String,
    /// The client's address, if it is known.
    pub source_ip: Option<IpAddr>,
}
