//! The events of a batch, and which record to report when one was not published.

use ratchet_core::domain_event::DomainEvent;
use serde::Serialize;
use serde_json::Value;

/// What the function answers: the first record that has to come again, if any
/// (`ReportBatchItemFailures`).
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct BatchResponse {
    #[serde(rename = "batchItemFailures")]
    failures: Vec<ItemFailure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct ItemFailure {
    #[serde(rename = "itemIdentifier")]
    sequence_number: String,
}

/// An event, and the record that it comes from.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) event: DomainEvent,
    sequence_number: String,
}

/// The events of a batch, in the order of their records.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    entries: Vec<Entry>,
}

impl Batch {
    /// Adds the events of the next record.
    pub(crate) fn add(&mut self, record: &Value, events: Vec<DomainEvent>) {
        let sequence_number = sequence_number(record).to_owned();
        let entry = |event| Entry { event, sequence_number: sequence_number.clone() };
        self.entries.extend(events.into_iter().map(entry));
    }

    /// The events of each call, at most so many.
    pub(crate) fn calls(&self, most: usize) -> impl Iterator<Item = &[Entry]> {
        self.entries.chunks(most)
    }

    /// Reports the record of the first of these entries. Lambda delivers it again, and all that follow
    /// it.
    #[expect(clippy::unused_self, reason = "the answer is about this batch")]
    pub(crate) fn failed_from(&self, entries: &[Entry]) -> BatchResponse {
        let first = entries.first().map(|entry| entry.sequence_number.clone());
        let failure = |sequence_number| ItemFailure { sequence_number };
        BatchResponse { failures: first.into_iter().map(failure).collect() }
    }
}

/// The place of a record in its shard; empty if it has none. Lambda takes an empty one for a failure
/// of the whole batch.
pub(crate) fn sequence_number(record: &Value) -> &str {
    record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str).unwrap_or_default()
}
