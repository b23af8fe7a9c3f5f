//! The `keys` function: wiring only.

use std::process::ExitCode;

use keys::{State, router};
use ratchet_lambda::{http, start::load_key_ring};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    http::run(async |stores| {
        load_key_ring(&stores.key_ring()).await?;
        Ok(router(State::new(stores), stores.config()))
    })
    .await
}
