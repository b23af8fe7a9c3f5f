//! The response to a sign-in of any kind.

use axum::response::{IntoResponse as _, Response};
use ratchet_core::dpop::Possession;
use ratchet_service::{end_sessions::LogOut, tokens::TokenPair};
use zeroize::Zeroizing;

use crate::{
    cookie::{Browser, Mode},
    tokens::TokenResponse,
};

/// The answer with the pair of a new session. In a browser, the session of an earlier cookie ends.
pub async fn signed_in(
    mode: Mode,
    pair: TokenPair,
    log_out: &LogOut,
    possession: Possession,
    browser: &Browser,
) -> Response {
    match mode {
        Mode::Token => TokenResponse(pair).into_response(),
        Mode::Cookie => {
            let end =
                |token: Zeroizing<String>| async move { log_out.log_out(&token, possession).await };
            browser.signed_in(&pair, end).await
        }
    }
}
