//! The description of the routes, for `tests/contract`.

use ratchet_http::contract::Refusals;
use utoipa::OpenApi;

use crate::routes::{
    jwks,
    metadata::{self, OlderName},
};

/// Has the description.
#[derive(Debug, OpenApi)]
#[openapi(
    paths(jwks::keys, metadata::metadata),
    modifiers(&OlderName, &Refusals)
)]
pub struct Contract;
