//! The `users` function: wiring only.

use std::process::ExitCode;

use ratchet_lambda::{http, start::warm_up};
use users::{State, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    http::run(async |stores| {
        warm_up(&stores.key_ring(), &stores.users()).await?;
        Ok(router(State::new(stores), stores.config()))
    })
    .await
}
