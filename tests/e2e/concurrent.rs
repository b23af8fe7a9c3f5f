//! The functions with their feature `concurrent`, in one program: which of them it is says
//! `AWS_LAMBDA_FUNCTION_NAME`.

use std::{env, process::ExitCode};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match env::var("AWS_LAMBDA_FUNCTION_NAME").as_deref() {
        Ok("accounts") => ratchet_http::run(accounts::routes).await,
        Ok("authenticate") => ratchet_http::run(authenticate::routes).await,
        Ok("keys") => ratchet_http::run_without_tables(keys::routes).await,
        Ok("refresh") => ratchet_http::run(refresh::routes).await,
        Ok("revocations") => ratchet_http::run_without_tables(revocations::routes).await,
        Ok("users") => ratchet_http::run(users::routes).await,
        _ => ExitCode::FAILURE,
    }
}
