//! The `publisher` function: wiring only.

use std::process::ExitCode;

use publisher::{Publisher, Records};
use ratchet_lambda::event;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    event::run(
        async |stores| Ok(Publisher::new(stores.config(), stores.aws())),
        async |publisher: &Publisher, records: Records| Ok(publisher.handle(records).await),
    )
    .await
}
