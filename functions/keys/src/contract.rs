//! The description of the routes, for `tests/contract`.

use ratchet_http::contract::Refusals;
use utoipa::OpenApi;

use crate::routes::{
    jwks,
    metadata::{self, OpenidConfiguration},
};

/// Has the description.
#[derive(Debug, OpenApi)]
#[openapi(
    paths(jwks::keys, metadata::metadata),
    modifiers(&OpenidConfiguration, &Refusals)
)]
pub struct Contract;
