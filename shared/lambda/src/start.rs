//! Start-up: everything that can be done before the first invocation.

use std::{env, process::ExitCode};

use ratchet_core::{
    config::{Config, ConfigError, LogLevel},
    entropy::random,
    error_chain::ErrorChain,
    ids::UserId,
};
use ratchet_service::{Fault, clock, metrics::OBSERVER};
use ratchet_store::{
    KeyRingCache, LoadError, Stores, Users,
    aws::{AwsSettings, AwsSettingsError},
};

use crate::{Failure, emf, telemetry};

/// A function cannot start, and trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or out of bounds.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The region or the credentials are missing.
    #[error(transparent)]
    Aws(#[from] AwsSettingsError),
    /// The function's own part of the start failed.
    #[error(transparent)]
    Function(Failure),
    /// The Lambda runtime ended.
    #[error("the Lambda runtime ended")]
    Runtime(#[source] lambda_runtime::Error),
}

/// Reads the environment, starts logs and metrics, and lets the function prepare itself.
pub(crate) async fn prepare<S>(
    function: impl AsyncFnOnce(&Stores<'_>) -> Result<S, Failure>,
) -> Result<S, StartError> {
    let config = Config::read(|name| env::var(name).ok())?;
    telemetry::init(config.log_level);
    emf::init(env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default());
    let aws = Box::pin(AwsSettings::load()).await?.observed_by(OBSERVER);
    let stores = Stores::new(&config, &aws);
    emf::measured("", Box::pin(function(&stores))).await.map_err(StartError::Function)
}

pub(crate) fn exit_code(outcome: Result<(), StartError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If the configuration is unusable, there are no logs yet.
            telemetry::init(LogLevel::Info);
            let error = tracing::field::display(ErrorChain(&error));
            tracing::error!(target: "ratchet", error, "the function cannot start");
            ExitCode::FAILURE
        }
    }
}

/// Loads the key ring and connects to DynamoDB twice, all at the same time: each is mostly a TLS
/// handshake that the first request should not wait for. Twice, because requests make two calls
/// at the same time, and a connection serves one after the other.
///
/// # Errors
/// As [`load_key_ring`]. If DynamoDB cannot be reached, only a warning is logged.
pub async fn warm_up(key_ring: &KeyRingCache, users: &Users) -> Result<(), Fault> {
    let nobody = UserId::generate(clock::now(), &random()?);
    let (ring, first, second) =
        tokio::join!(Box::pin(load_key_ring(key_ring)), users.find(nobody), users.find(nobody));
    if let Err(error) = first.and(second) {
        let error = tracing::field::display(ErrorChain(&error));
        tracing::warn!(error, "DynamoDB could not be reached at start");
    }
    Ok(ring?)
}

/// Loads the key ring.
///
/// # Errors
/// [`LoadError`] if there is no usable key ring. If Secrets Manager is not available, only a warning
/// is logged: requests try again, and answer 503 until it is.
pub async fn load_key_ring(key_ring: &KeyRingCache) -> Result<(), LoadError> {
    match key_ring.current(clock::now()).await {
        Ok(_) => Ok(()),
        Err(error @ LoadError::Unavailable(_)) => {
            let error = tracing::field::display(ErrorChain(&error));
            tracing::warn!(error, "the key ring could not be loaded at start");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
