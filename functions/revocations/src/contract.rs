//! The description of the routes, for `tests/contract`.

use ratchet_http::contract::Refusals;
use utoipa::OpenApi;

use crate::routes::revocations;

/// Has the description.
#[derive(Debug, OpenApi)]
#[openapi(paths(revocations::list), modifiers(&Refusals))]
pub struct Contract;
