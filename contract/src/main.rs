//! Prints the API's description: `cargo run -p contract > openapi.json`.

use std::process::ExitCode;

use serde_json::Value;

fn main() -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
        return ExitCode::FAILURE;
    };
    let document: Value = runtime.block_on(contract::document());
    println!("{document:#}");
    ExitCode::SUCCESS
}
