//! Reports how long calls to AWS take.

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef},
    },
    error::BoxError,
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use ratchet_core::time::UnixMillis;

/// A finished call, with all its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// `DynamoDB` or `SecretsManager`.
    pub service: &'static str,
    /// When its first attempt was sent.
    pub begun: UnixMillis,
    /// When it ended.
    pub ended: UnixMillis,
}

/// Observes the stores of a process. Each callback runs on the task that made the call.
#[derive(Debug, Clone, Copy)]
pub struct Observer {
    /// The clock that times calls.
    pub clock: fn() -> UnixMillis,
    /// Called after every call to AWS.
    pub called: fn(&Call),
    /// Called whenever the key ring could not be loaded, even if no request is waiting for it any
    /// more.
    pub key_ring_not_loaded: fn(),
}

/// An observer in the SDK's pipeline.
#[derive(Debug)]
pub(crate) struct CallObserver {
    pub(crate) service: &'static str,
    pub(crate) observer: Observer,
}

/// When the first attempt of a call was sent.
#[derive(Debug)]
struct Begun(UnixMillis);

impl Storable for Begun {
    type Storer = StoreReplace<Self>;
}

impl Intercept for CallObserver {
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
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // A call that was never sent has no duration.
        let Some(Begun(begun)) = state.load::<Begun>() else { return Ok(()) };
        let ended = (self.observer.clock)();
        (self.observer.called)(&Call { service: self.service, begun: *begun, ended });
        Ok(())
    }
}
