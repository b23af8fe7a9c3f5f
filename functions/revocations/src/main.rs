//! The `revocations` function: wiring only.

use std::process::ExitCode;

use ratchet_lambda::{http, start::load_key_ring};
use revocations::{State, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    http::run(async |stores| {
        load_key_ring(&stores.key_ring()).await?;
        Ok(router(State::new(stores), stores.config()))
    })
    .await
}
