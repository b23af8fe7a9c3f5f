//! The `accounts` function: wiring only.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ratchet_http::run(accounts::routes).await
}
