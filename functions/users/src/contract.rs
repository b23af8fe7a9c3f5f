//! The description of the routes, for `tests/contract`.

use ratchet_http::contract::Refusals;
use utoipa::OpenApi;

use crate::routes::{sessions, users};

/// Has the description.
#[derive(Debug, OpenApi)]
#[openapi(
    paths(
        users::list,
        sessions::list,
        sessions::end_all,
        sessions::end,
    ),
    modifiers(&Refusals)
)]
pub struct Contract;
