//! What Lambda passes on from a stream of DynamoDB, and what it wants to hear.

use ratchet_core::ids::LetterId;
use ratchet_store::outbox::OUTBOX_PREFIX;
use serde::{Deserialize, Serialize};

/// A batch of records. The stream has keys only: no user's data travels in it.
#[derive(Debug, Deserialize)]
pub struct Event {
    #[serde(rename = "Records")]
    pub(crate) records: Vec<Record>,
}

/// One change of one item.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    dynamodb: Change,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    keys: Keys,
    sequence_number: String,
}

#[derive(Debug, Deserialize)]
struct Keys {
    pk: Text,
}

#[derive(Debug, Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

impl Record {
    /// The letter that the record is about, if it is about one.
    pub(crate) fn letter(&self) -> Option<LetterId> {
        self.dynamodb.keys.pk.text.strip_prefix(OUTBOX_PREFIX)?.parse().ok()
    }
}

/// The records that have to come again: the first of them stands for all that follow.
#[derive(Debug, Default, Serialize)]
pub struct Failures {
    #[serde(rename = "batchItemFailures")]
    pub(crate) batch_item_failures: Vec<Failure>,
}

/// A record that has to come again.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    #[serde(rename = "itemIdentifier")]
    item_identifier: String,
}

impl Failure {
    pub(crate) fn of(record: Record) -> Self {
        Self { item_identifier: record.dynamodb.sequence_number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_stream_names_its_letter() {
        let event: Event = serde_json::from_str(
            r#"{"Records": [{"eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb",
                "dynamodb": {"ApproximateCreationDateTime": 1795521600, "SizeBytes": 43,
                "Keys": {"pk": {"S": "outbox#01920000-0000-7000-8000-000000000000"}},
                "SequenceNumber": "111", "StreamViewType": "KEYS_ONLY"}}]}"#,
        )
        .unwrap();
        let [record] = event.records.try_into().unwrap();
        assert_eq!(record.letter().unwrap().to_string(), "01920000-0000-7000-8000-000000000000");
        let failures = Failures { batch_item_failures: vec![Failure::of(record)] };
        assert_eq!(
            serde_json::to_string(&failures).unwrap(),
            r#"{"batchItemFailures":[{"itemIdentifier":"111"}]}"#
        );
        assert_eq!(
            serde_json::to_string(&Failures::default()).unwrap(),
            r#"{"batchItemFailures":[]}"#
        );
    }
}
