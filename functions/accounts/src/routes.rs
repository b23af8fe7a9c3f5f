pub(crate) mod admin;
pub(crate) mod confirm_email;
pub(crate) mod me;
pub(crate) mod password;
pub(crate) mod password_reset;
pub(crate) mod register;
pub(crate) mod step_up;
pub(crate) mod totp;

use axum::response::Response;
use http::StatusCode;
use ratchet_core::email::EmailAddress;
use ratchet_http::{Private, Problem, body::Describe, json::json};
use serde::{Deserialize, Serialize};

/// The response where nobody may learn whether the address is known: always the same.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema))]
pub(crate) struct Accepted {
    message: &'static str,
}

impl Accepted {
    const fn new() -> Self {
        Self { message: "If there is anything to send, a message is on its way to the address." }
    }
}

fn accepted() -> Response {
    json(StatusCode::ACCEPTED, &Accepted::new())
}

/// The body of a request for a message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = AddressRequest))]
pub(crate) struct Address {
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    email: Private,
}

impl Describe for Address {
    const EXPECTED: &'static str = r#"{"email": "ada@example.com"}"#;
}

impl Address {
    fn parse(&self) -> Result<EmailAddress, Problem> {
        EmailAddress::parse(&self.email)
            .map_err(|_| Problem::MalformedRequest { expected: Self::EXPECTED })
    }
}
