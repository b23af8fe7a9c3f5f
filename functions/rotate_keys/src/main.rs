//! The `rotate_keys` function: wiring only.

use std::process::ExitCode;

use aws_lambda_events::event::secretsmanager::SecretsManagerSecretRotationEvent;
use ratchet_lambda::event;
use rotate_keys::KeyRingRotation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    event::run(
        async |stores| Ok(KeyRingRotation::new(stores.config(), stores.aws())),
        async |rotation: &KeyRingRotation, event: SecretsManagerSecretRotationEvent| {
            Ok(rotation.step(&event).await?)
        },
    )
    .await
}
