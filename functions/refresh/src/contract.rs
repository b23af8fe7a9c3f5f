//! The description of the routes, for `tests/contract`.

use ratchet_http::{contract::Refusals, tokens::TokenResponse};
use utoipa::OpenApi;

use crate::routes::{health, logout, oauth2_introspect, oauth2_revoke, oauth2_token, refresh};

/// Has the description.
#[derive(Debug, OpenApi)]
#[openapi(
    paths(
        refresh::handle,
        logout::handle,
        oauth2_token::handle,
        oauth2_revoke::handle,
        oauth2_introspect::handle,
        health::handle,
    ),
    components(schemas(TokenResponse)),
    modifiers(&Refusals)
)]
pub struct Contract;
