//! Amazon EventBridge.

use std::{error::Error, time::Duration};

use aws_sdk_eventbridge::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    primitives::DateTime,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};
use ratchet_core::{
    config::Config,
    domain_event::{DomainEvent, SOURCE},
};
use ratchet_store::aws::AwsSettings;

/// The bus of this deployment.
#[derive(Debug)]
pub(crate) struct Bus {
    client: Client,
    /// Name or ARN. Absent if the deployment has no bus.
    name: Option<String>,
}

/// The bus took no event of a call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    /// `RATCHET_EVENT_BUS` is empty.
    #[error("there is no bus: set RATCHET_EVENT_BUS (EventBus)")]
    NoBus,
    /// An event cannot be written as JSON.
    #[error("an event cannot be written")]
    Json(#[from] serde_json::Error),
    /// EventBridge cannot be reached, or refuses the call.
    #[error("EventBridge takes no events")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// EventBridge did not say what happened to each event.
    #[error("EventBridge answered for {answered} of {put} events")]
    Incomplete {
        /// For how many there was an answer.
        answered: usize,
        /// How many were put.
        put: usize,
    },
}

/// What the bus did with an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It has it.
    Published,
    /// Not now, for the reason of this code.
    Delayed(String),
    /// It would never take it.
    Refused(String),
}

impl Bus {
    /// The limit of `PutEvents`. An event has less than 1 KiB, so ten are far below the limit on their
    /// size.
    pub(crate) const MOST_ENTRIES: usize = 10;

    pub(crate) fn new(config: &Config, aws: &AwsSettings) -> Self {
        // A batch of 100 records is some ten calls, and has a minute.
        let client = aws_sdk_eventbridge::config::Builder::from(aws.sdk())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(1))
                    .operation_attempt_timeout(Duration::from_secs(2))
                    .operation_timeout(Duration::from_secs(4))
                    .build(),
            );
        Self { client: Client::from_conf(client.build()), name: config.event_bus.clone() }
    }

    /// Puts at most [`Self::MOST_ENTRIES`] events on the bus. Returns what became of each.
    pub(crate) async fn put<'e>(
        &self,
        events: impl Iterator<Item = &'e DomainEvent>,
    ) -> Result<Vec<Taken>, PutError> {
        let bus = self.name.as_ref().ok_or(PutError::NoBus)?;
        let entries: Vec<_> = events.map(|event| entry(bus, event)).collect::<Result<_, _>>()?;
        let put = entries.len();
        let answer = self.client.put_events().set_entries(Some(entries)).send().await;
        let answer = answer.map_err(|error| PutError::Unavailable(without_text(error)))?;
        let taken: Vec<_> = answer.entries().iter().map(taken).collect();
        let answered = taken.len();
        if answered == put { Ok(taken) } else { Err(PutError::Incomplete { answered, put }) }
    }
}

fn entry(bus: &str, event: &DomainEvent) -> Result<PutEventsRequestEntry, serde_json::Error> {
    let at = i64::try_from(event.occurred_at().get()).unwrap_or_default();
    let entry = PutEventsRequestEntry::builder()
        .event_bus_name(bus)
        .source(SOURCE)
        .detail_type(event.name())
        .detail(serde_json::to_string(event)?)
        .time(DateTime::from_secs(at));
    Ok(entry.build())
}

/// Whatever is not about this very event may pass or can be repaired.
fn taken(entry: &PutEventsResultEntry) -> Taken {
    match entry.error_code() {
        None => Taken::Published,
        Some(code @ "MalformedDetail") => Taken::Refused(code.to_owned()),
        Some(code) => Taken::Delayed(code.to_owned()),
    }
}

/// The error for the log. Of a response only the code.
fn without_text<E, R>(error: SdkError<E, R>) -> Box<dyn Error + Send + Sync>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match error.as_service_error() {
        Some(answer) => answer.code().unwrap_or("an error without a code").into(),
        None => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_event_that_the_bus_could_never_take_is_left_out() {
        let of = |code: Option<&str>| {
            taken(&PutEventsResultEntry::builder().set_error_code(code.map(str::to_owned)).build())
        };
        assert_eq!(of(None), Taken::Published);
        for code in ["ThrottlingException", "InternalFailure", "NotAuthorizedForSource", "New"] {
            assert_eq!(of(Some(code)), Taken::Delayed(code.to_owned()));
        }
        let code = "MalformedDetail";
        assert_eq!(of(Some(code)), Taken::Refused(code.to_owned()));
    }
}
