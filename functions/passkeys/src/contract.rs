//! The description of the routes, for `tests/contract`.

use ratchet_http::{contract::Refusals, tokens::TokenResponse};
use utoipa::OpenApi;

use crate::routes::{authenticate, passkeys, step_up};

/// Has the description.
#[derive(Debug, OpenApi)]
#[openapi(
    paths(
        passkeys::begin,
        passkeys::add,
        passkeys::list,
        passkeys::rename,
        passkeys::remove,
        step_up::begin,
        step_up::handle,
        authenticate::begin,
        authenticate::handle,
    ),
    components(schemas(TokenResponse)),
    modifiers(&Refusals)
)]
pub struct Contract;
