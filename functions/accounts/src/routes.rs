pub(crate) mod admin;
pub(crate) mod confirm_email;
pub(crate) mod me;
pub(crate) mod password;
pub(crate) mod password_reset;
pub(crate) mod register;
pub(crate) mod step_up;
pub(crate) mod totp;

use ratchet_http::accepted::{Address, accepted};
