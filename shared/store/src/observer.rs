//! Telling somebody how long calls to AWS take, without knowing what for.

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef},
    },
    error::BoxError,
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use ratchet_core::time::UnixMillis;

/// A call that is over, with all its tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    /// `DynamoDB` or `SecretsManager`.
    pub service: &'a str,
    /// The operation's name in the service's API.
    pub operation: &'a str,
    /// When its first try was sent.
    pub begun: UnixMillis,
    /// When it was over.
    pub ended: UnixMillis,
    /// Whether it was anything but a success; an unmet condition is no success here.
    pub failed: bool,
}

/// Who is told of every call, and the clock that times it.
#[derive(Debug, Clone, Copy)]
pub struct Observer {
    /// The clock.
    pub clock: fn() -> UnixMillis,
    /// Is told, on the task that made the call.
    pub told: fn(&Call<'_>),
}

/// An observer in the SDK's pipeline.
#[derive(Debug)]
pub(crate) struct Observing {
    pub(crate) service: &'static str,
    pub(crate) observer: Observer,
}

/// When the first try of a call was sent.
#[derive(Debug)]
struct Begun(UnixMillis);

impl Storable for Begun {
    type Storer = StoreReplace<Self>;
}

impl Intercept for Observing {
    fn name(&self) -> &'static str {
        "observer"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if state.load::<Begun>().is_none() {
            state.interceptor_state().store_put(Begun((self.observer.clock)()));
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // A call that was never sent has no duration.
        let Some(Begun(begun)) = state.load::<Begun>() else { return Ok(()) };
        // `DynamoDB_20120810.GetItem`, `secretsmanager.GetSecretValue`
        let target = context.request().and_then(|request| request.headers().get("x-amz-target"));
        let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or_default();
        (self.observer.told)(&Call {
            service: self.service,
            operation,
            begun: *begun,
            ended: (self.observer.clock)(),
            failed: context.output_or_error().is_none_or(|outcome| outcome.is_err()),
        });
        Ok(())
    }
}
