//! The `mailer` function: wiring only.

// The layout of a future that awaits the clients of three services.
#![recursion_limit = "256"]

use std::{env, process::ExitCode};

use mailer::{Event, Mailer};
use ratchet_http::{App, invoked};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    invoked::run(
        async |_, _| Mailer::new(App::new(|name| env::var(name).ok())?),
        async |mailer: &Mailer, event: Event| Ok(mailer.handle(event).await),
    )
    .await
}
