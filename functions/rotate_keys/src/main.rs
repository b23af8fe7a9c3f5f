//! The `rotate_keys` function: wiring only.

use std::process::ExitCode;

use aws_lambda_events::event::secretsmanager::SecretsManagerSecretRotationEvent;
use ratchet_http::invoked;
use rotate_keys::Rotation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    invoked::run(
        async |config, aws| Ok(Rotation::new(config, aws)),
        async |rotation: &Rotation, event: SecretsManagerSecretRotationEvent| {
            Ok(rotation.step(&event).await?)
        },
    )
    .await
}
