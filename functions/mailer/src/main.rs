//! The `mailer` function: wiring only.

// The layout of a future that awaits the clients of three services.
#![recursion_limit = "256"]

use std::process::ExitCode;

use mailer::{Event, Mailer};
use ratchet_lambda::event;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    event::run(
        async |stores| Ok(Mailer::new(stores)),
        async |mailer: &Mailer, event: Event| Ok(mailer.handle(event).await),
    )
    .await
}
