//! Settings for AWS clients in this process.

use aws_config::BehaviorVersion;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use ratchet_store::aws::AwsSettings;

/// The AWS configuration file of a developer whose services are at these endpoints. The SDK for
/// Rust looks for `secrets-manager`, and other AWS tools for `secrets_manager`.
pub(crate) fn config_file(dynamodb: &str, secrets: &str) -> String {
    format!(
        "[default]\nregion = us-east-1\nservices = local\n\
         aws_access_key_id = local\naws_secret_access_key = local\n\
         [services local]\n\
         dynamodb =\n  endpoint_url = {dynamodb}\n\
         secrets-manager =\n  endpoint_url = {secrets}\n"
    )
}

/// The settings of that developer.
pub(crate) async fn settings(dynamodb: &str, secrets: &str) -> AwsSettings {
    let files = EnvConfigFiles::builder()
        .with_contents(EnvConfigFileKind::Config, config_file(dynamodb, secrets))
        .build();
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
    AwsSettings::new(loader.profile_files(files).profile_name("default").load().await)
}
