//! Publishes events for other systems on an EventBridge bus.
//!
//! The streams of both tables invoke it with the items that changed, as they were before and after.
//! `ratchet_core::domain_event` decides which events that is. A record counts as done once the bus
//! has taken all of its events, so none is lost, but one may be published twice, with the same id.

mod batch;
mod bus;

use ratchet_core::{config::Config, domain_event::DomainEvent, error_chain::ErrorChain};
use ratchet_service::{
    clock,
    metrics::{self, EVENTS_DELAYED, EVENTS_PUBLISHED, EVENTS_REFUSED},
};
use ratchet_store::{aws::AwsSettings, stream};
use serde::Deserialize;
use serde_json::Value;

pub use batch::BatchResponse;

use batch::{Batch, Entry};
use bus::{Bus, Taken};

/// The records of one invocation. Each is read on its own, so that one which cannot be read does not
/// hold up the others.
#[derive(Debug, Deserialize)]
pub struct Records {
    #[serde(rename = "Records")]
    records: Vec<Value>,
}

/// One execution environment of the function.
#[derive(Debug)]
pub struct Publisher {
    bus: Bus,
}

impl Publisher {
    /// A publisher for the bus of this deployment. Calls no service.
    #[must_use]
    pub fn new(config: &Config, aws: &AwsSettings) -> Self {
        Self { bus: Bus::new(config, aws) }
    }

    /// Publishes the events of one batch, in order. The first record with an event that the bus did not
    /// take is reported, and comes again together with all that follow it.
    pub async fn handle(&self, Records { records }: Records) -> BatchResponse {
        let mut batch = Batch::default();
        for record in &records {
            batch.add(record, read(record));
        }
        for entries in batch.calls(Bus::MOST_ENTRIES) {
            match self.bus.put(entries.iter().map(|entry| &entry.event)).await {
                Ok(taken) => {
                    if let Some(failed) = first_delayed(entries, &taken) {
                        return BatchResponse::failed_from(failed);
                    }
                }
                Err(error) => {
                    metrics::count(EVENTS_DELAYED);
                    let error = tracing::field::display(ErrorChain(&error));
                    tracing::error!(error, "events could not be published; they come again");
                    return BatchResponse::failed_from(entries);
                }
            }
        }
        BatchResponse::default()
    }
}

/// The events of a record. One that cannot be read will not be readable later either, so it is set
/// aside.
fn read(record: &Value) -> Vec<DomainEvent> {
    stream::events(record, clock::now().seconds()).unwrap_or_else(|error| {
        metrics::count(EVENTS_REFUSED);
        let error = tracing::field::display(ErrorChain(&error));
        let about = stream::subject_of(record);
        let number = batch::sequence_number(record);
        tracing::error!(about, number, error, "a record cannot be read; it is left out");
        Vec::new()
    })
}

/// Counts and logs what the bus did with each event of a call. Returns the entries from the first
/// event that has to come again.
fn first_delayed<'e>(entries: &'e [Entry], taken: &[Taken]) -> Option<&'e [Entry]> {
    let mut first = None;
    for (place, (entry, taken)) in entries.iter().zip(taken).enumerate() {
        let (id, event) = (entry.event.id(), entry.event.name());
        match taken {
            Taken::Published => {
                metrics::count(EVENTS_PUBLISHED);
                tracing::info!(id, event, "published");
            }
            Taken::Refused(code) => {
                metrics::count(EVENTS_REFUSED);
                tracing::error!(id, event, code, "the bus refuses an event; it is left out");
            }
            Taken::Delayed(code) => {
                metrics::count(EVENTS_DELAYED);
                tracing::error!(id, event, code, "the bus did not take an event; it comes again");
                first = first.or_else(|| entries.get(place..));
            }
        }
    }
    first
}
