//! The `rotate_keys` function: wiring only.

use std::process::ExitCode;

use ratchet_http::invoked;
use rotate_keys::{Event, Rotation};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    invoked::run(
        async |config, aws| Ok(Rotation::new(config, aws)),
        async |rotation: &Rotation, event: Event| Ok(rotation.step(&event).await?),
    )
    .await
}
