//! Functions that are invoked by services other than the HTTP API.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use ratchet_core::error_chain::ErrorChain;
use ratchet_service::clock;
use ratchet_store::Stores;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Failure, emf,
    start::{self, StartError, exit_code},
};

/// Runs a function until its execution environment ends: `prepare` once, `handle` for every event.
/// An error of `handle` is logged with its causes and fails the invocation.
pub async fn run<S, E, A>(
    prepare: impl AsyncFnOnce(&Stores<'_>) -> Result<S, Failure>,
    handle: impl AsyncFn(&S, E) -> Result<A, Failure>,
) -> ExitCode
where
    E: DeserializeOwned,
    A: Serialize,
{
    exit_code(try_run(prepare, handle).await)
}

async fn try_run<S, E, A>(
    prepare: impl AsyncFnOnce(&Stores<'_>) -> Result<S, Failure>,
    handle: impl AsyncFn(&S, E) -> Result<A, Failure>,
) -> Result<(), StartError>
where
    E: DeserializeOwned,
    A: Serialize,
{
    let state = start::prepare(prepare).await?;
    let (state, handle) = (&state, &handle);
    let service = service_fn(move |event: LambdaEvent<E>| async move {
        let LambdaEvent { payload, context } = event;
        emf::measured(&context.request_id, async {
            let begun = clock::now();
            let answer = Box::pin(handle(state, payload)).await;
            let milliseconds = clock::now().get().saturating_sub(begun.get());
            emf::record_invocation(milliseconds, answer.is_err());
            answer.inspect_err(|failure| {
                let error = tracing::field::display(ErrorChain(failure.as_ref()));
                tracing::error!(target: "ratchet", error, "the invocation failed");
            })
        })
        .await
    });
    lambda_runtime::run(service).await.map_err(StartError::Runtime)
}
