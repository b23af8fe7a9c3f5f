//! Requests for messages, answered without saying whether there is anything to send.

use axum::response::Response;
use http::StatusCode;
use ratchet_core::email::EmailAddress;
use serde::{Deserialize, Serialize};

use crate::{Private, Problem, body::Describe, json::json};

/// The response where nobody may learn whether the address is known: always the same.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema))]
pub struct Accepted {
    message: &'static str,
}

impl Accepted {
    /// The response body.
    #[must_use]
    pub const fn new() -> Self {
        Self { message: "If there is anything to send, a message is on its way to the address." }
    }
}

impl Default for Accepted {
    fn default() -> Self {
        Self::new()
    }
}

/// The response.
#[must_use]
pub fn accepted() -> Response {
    json(StatusCode::ACCEPTED, &Accepted::new())
}

/// The body of a request for a message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = AddressRequest))]
pub struct Address {
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    email: Private,
}

impl Describe for Address {
    const EXPECTED: &'static str = r#"{"email": "ada@example.com"}"#;
}

impl Address {
    /// The address.
    ///
    /// # Errors
    /// [`Problem::MalformedRequest`].
    pub fn parse(&self) -> Result<EmailAddress, Problem> {
        EmailAddress::parse(&self.email)
            .map_err(|_| Problem::MalformedRequest { expected: Self::EXPECTED })
    }
}
