//! The description of the routes, for `tests/contract`.

use ratchet_http::contract::Refusals;
use utoipa::OpenApi;

use crate::routes::{admin, confirm_email, me, password, password_reset, register, step_up, totp};

/// Has the description.
#[derive(Debug, OpenApi)]
#[openapi(
    paths(
        register::handle,
        confirm_email::handle,
        confirm_email::resend,
        password_reset::request,
        password_reset::confirm,
        me::show,
        me::change,
        me::delete,
        password::change,
        step_up::handle,
        totp::begin,
        totp::confirm,
        totp::disable,
        totp::replace_recovery_codes,
        admin::show,
        admin::change,
        admin::delete,
        admin::end_sessions,
    ),
    modifiers(&Refusals)
)]
pub struct Contract;
