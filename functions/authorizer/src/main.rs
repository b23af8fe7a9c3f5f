//! The `authorizer` function: wiring only.

use std::process::ExitCode;

use authorizer::Authorizer;
use ratchet_http::{invoked, measure};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    invoked::run(
        async |config, aws| Ok(Authorizer::start(config, &measure::observed(aws.clone())).await?),
        // Any JSON: an error of a stricter reader would quote the token.
        async |authorizer: &Authorizer, event: Value| Ok(authorizer.decide(&event).await?),
    )
    .await
}
