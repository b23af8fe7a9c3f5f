//! The `authorizer` function: wiring only.

use std::process::ExitCode;

use authorizer::Authorizer;
use ratchet_lambda::{event, start::load_key_ring};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    event::run(
        async |stores| {
            load_key_ring(&stores.key_ring()).await?;
            Ok(Authorizer::new(stores))
        },
        // Any JSON: the error of a stricter parser would quote the token.
        async |authorizer: &Authorizer, event: Value| Ok(authorizer.authorize(event).await?),
    )
    .await
}
