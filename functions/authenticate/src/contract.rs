//! The description of the routes, for `tests/contract`.

use ratchet_http::{contract::Refusals, tokens::TokenResponse};
use utoipa::OpenApi;

use crate::routes::{authenticate, second_factor};

/// Has the description.
#[derive(Debug, OpenApi)]
#[openapi(
    paths(authenticate::handle, second_factor::handle, second_factor::enroll),
    components(schemas(TokenResponse)),
    modifiers(&Refusals)
)]
pub struct Contract;
