//! The description of the routes, for `tests/contract`.

use ratchet_http::{contract::Refusals, tokens::TokenResponse};
use utoipa::OpenApi;

use crate::routes::{authenticate, email, second_factor};

/// Has the description.
#[derive(Debug, OpenApi)]
#[openapi(
    paths(
        authenticate::handle,
        email::request,
        email::confirm,
        second_factor::handle,
        second_factor::enroll,
    ),
    components(schemas(TokenResponse)),
    modifiers(&Refusals)
)]
pub struct Contract;
