//! The `passkeys` function: wiring only.

use std::process::ExitCode;

use passkeys::{State, router};
use ratchet_lambda::{http, start::warm_up};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    http::run(async |stores| {
        let state = State::new(stores)?;
        warm_up(&stores.key_ring(), &stores.users()).await?;
        Ok(router(state, stores.config()))
    })
    .await
}
