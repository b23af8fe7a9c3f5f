//! The `revocations` function: wiring only.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ratchet_http::run_without_tables(revocations::routes).await
}
