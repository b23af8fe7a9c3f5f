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
}

impl BatchResponse {
    /// Reports the record of the first of these entries. Lambda delivers it again, and all that follow
    /// it.
    pub(crate) fn failed_from(entries: &[Entry]) -> Self {
        let first = entries.first().map(|entry| entry.sequence_number.clone());
        let failure = |sequence_number| ItemFailure { sequence_number };
        Self { failures: first.into_iter().map(failure).collect() }
    }
}

/// The place of a record in its shard; empty if it has none. Lambda takes an empty one for a failure
/// of the whole batch.
pub(crate) fn sequence_number(record: &Value) -> &str {
    record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ratchet_core::time::UnixSeconds;
    use ratchet_store::stream;
    use serde_json::json;

    use super::*;

    /// A record of a new user, which is two events.
    fn record(number: u32) -> Value {
        let image = json!({
            "email": {"S": "ada@example.com"}, "email_confirmed": {"BOOL": true},
            "password_hash": {"S": "none"}, "status": {"S": "active"},
        });
        let id = format!("01920000-0000-7000-8000-{number:012}");
        json!({
            "eventID": number.to_string(), "eventName": "INSERT",
            "dynamodb": {
                "Keys": {"pk": {"S": format!("user#{id}")}}, "NewImage": image,
                "SequenceNumber": number.to_string(),
            },
        })
    }

    #[test]
    fn the_record_of_the_first_event_that_failed_is_reported() {
        let mut batch = Batch::default();
        for number in 1..=7 {
            let record = record(number);
            batch.add(&record, stream::events(&record, UnixSeconds::new(1)).unwrap());
        }
        let calls: Vec<_> = batch.calls(10).collect();
        assert_eq!(calls.iter().map(|call| call.len()).collect::<Vec<_>>(), [10, 4]);
        for (entries, reported) in [(calls[0], "1"), (&calls[0][3..], "2"), (calls[1], "6")] {
            let response = serde_json::to_value(BatchResponse::failed_from(entries)).unwrap();
            assert_eq!(response, json!({"batchItemFailures": [{"itemIdentifier": reported}]}));
        }
        let done = serde_json::to_value(BatchResponse::default()).unwrap();
        assert_eq!(done, json!({"batchItemFailures": []}));
    }
}
