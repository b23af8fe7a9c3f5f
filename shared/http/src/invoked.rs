//! Start-up of functions that other services than the API invoke.

use std::{env, process::ExitCode};

use lambda_http::lambda_runtime::{self, LambdaEvent, service_fn};
use ratchet_core::{config::Config, error_chain::ErrorChain};
use ratchet_store::aws::AwsSettings;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    StartError,
    app::EnvironmentError,
    clock, measure,
    start::{exit_code, observe},
    telemetry, trace,
};

/// Why an invocation failed.
pub type Failure = lambda_http::Error;

/// Runs a function until its environment ends: `prepare` once, `handle` for every event. A failure
/// is logged with its causes, and fails the invocation.
pub async fn run<S, E, A>(
    prepare: impl AsyncFnOnce(&Config, &AwsSettings) -> Result<S, Failure>,
    handle: impl AsyncFn(&S, E) -> Result<A, Failure>,
) -> ExitCode
where
    E: DeserializeOwned,
    A: Serialize,
{
    exit_code(try_run(prepare, handle).await)
}

async fn try_run<S, E, A>(
    prepare: impl AsyncFnOnce(&Config, &AwsSettings) -> Result<S, Failure>,
    handle: impl AsyncFn(&S, E) -> Result<A, Failure>,
) -> Result<(), StartError>
where
    E: DeserializeOwned,
    A: Serialize,
{
    let variable = |name: &str| env::var(name).ok();
    let config = Config::read(variable).map_err(EnvironmentError::from)?;
    let aws = AwsSettings::read(variable).map_err(EnvironmentError::from)?;
    telemetry::init(config.log_level);
    observe();
    let state = measure::within("", Box::pin(prepare(&config, &aws)))
        .await
        .map_err(StartError::Function)?;
    let (state, handle) = (&state, &handle);
    let service = service_fn(move |event: LambdaEvent<E>| async move {
        let LambdaEvent { payload, context } = event;
        measure::within(&context.request_id, async {
            let begun = clock::now();
            let trace = context.xray_trace_id.as_deref();
            let answer = trace::within(trace, Box::pin(handle(state, payload))).await;
            let milliseconds = clock::now().get().saturating_sub(begun.get());
            measure::handled(milliseconds, answer.is_err());
            answer.inspect_err(|failure| {
                let error = tracing::field::display(ErrorChain(failure.as_ref()));
                tracing::error!(target: "ratchet", error, "the invocation failed");
            })
        })
        .await
    });
    lambda_runtime::run(service).await.map_err(StartError::Runtime)
}
