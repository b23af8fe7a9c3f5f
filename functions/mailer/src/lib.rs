//! Sends the letters of the outbox by Amazon SES.
//!
//! The users table's stream invokes it with the keys of new letters. A letter in the table has not
//! been sent. It is read, sent and then deleted, so none is lost, but one may be sent twice. The
//! secrets of a message are derived from its letter, and only their hashes are stored.
//!
//! Before it sends a letter about a changed password, a second factor that was switched on or off, or a
//! deletion, it also revokes one by one the sessions that the change has ended and not revoked yet.

mod compose;
mod deliver;
mod draft;
mod proofs;
mod ses;
mod template;

use std::sync::Arc;

use aws_lambda_events::{
    dynamodb::EventRecord,
    streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse},
};
use ratchet_core::{error_chain::ErrorChain, ids::LetterId};
use ratchet_service::{
    end_sessions::EndSessions,
    metrics::{self, LETTERS_DELAYED, LETTERS_REFUSED, LETTERS_SENT},
};
use ratchet_store::{Challenges, KeyRingCache, Outbox, Stores, Users, outbox::OUTBOX_PREFIX};

pub use aws_lambda_events::dynamodb::Event;

use deliver::Outcome;
use ses::Ses;

/// One execution environment of the function.
#[derive(Debug)]
pub struct Mailer {
    key_ring: Arc<KeyRingCache>,
    users: Users,
    challenges: Challenges,
    outbox: Outbox,
    end_sessions: EndSessions,
    ses: Ses,
    /// What messages call the service.
    service: String,
    link_url: Option<String>,
}

impl Mailer {
    /// A mailer with these stores. Calls no service.
    #[must_use]
    pub fn new(stores: &Stores<'_>) -> Self {
        Self {
            key_ring: stores.key_ring(),
            users: stores.users(),
            challenges: stores.challenges(),
            outbox: stores.outbox(),
            end_sessions: EndSessions::new(stores.users(), stores.sessions()),
            ses: Ses::new(stores.config(), stores.aws()),
            service: stores.config().password_policy.service_name.clone(),
            link_url: stores.config().link_url.clone(),
        }
    }

    /// Sends the letters of one batch, in order. A letter that could not be sent is reported together
    /// with all that follow it, and comes again.
    pub async fn handle(&self, event: Event) -> DynamoDbEventResponse {
        for record in event.records {
            let Some(id) = letter(&record) else {
                tracing::warn!("the filter let through a record that is not a letter's");
                continue;
            };
            match self.deliver(id).await {
                Ok(outcome) => {
                    match outcome.result {
                        Outcome::Sent => metrics::count(LETTERS_SENT),
                        Outcome::Refused => metrics::count(LETTERS_REFUSED),
                        Outcome::Gone | Outcome::Pointless | Outcome::TooMany => {}
                    }
                    let (kind, outcome) = (outcome.kind, outcome.result.as_str());
                    tracing::info!(letter = %id, kind, outcome, "letter");
                }
                Err(error) => {
                    metrics::count(LETTERS_DELAYED);
                    let error = tracing::field::display(ErrorChain(&error));
                    tracing::error!(letter = %id, error, "a letter could not be sent; it comes again");
                    return from(record);
                }
            }
        }
        DynamoDbEventResponse::default()
    }
}

/// The letter that a record is about, if it is about one.
fn letter(record: &EventRecord) -> Option<LetterId> {
    let serde_dynamo::AttributeValue::S(pk) = record.change.keys.get("pk")? else { return None };
    pk.strip_prefix(OUTBOX_PREFIX)?.parse().ok()
}

/// Reports a record as failed, and with it all that follow.
fn from(record: EventRecord) -> DynamoDbEventResponse {
    let mut failure = DynamoDbBatchItemFailure::default();
    failure.item_identifier = record.change.sequence_number;
    let mut response = DynamoDbEventResponse::default();
    response.batch_item_failures.push(failure);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_stream_names_its_letter() {
        let event: Event = serde_json::from_str(
            r#"{"Records": [{"eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb",
                "awsRegion": "eu-west-1",
                "dynamodb": {"ApproximateCreationDateTime": 1795521600, "SizeBytes": 43,
                "Keys": {"pk": {"S": "outbox#01920000-0000-7000-8000-000000000000"}},
                "SequenceNumber": "111", "StreamViewType": "KEYS_ONLY"}}]}"#,
        )
        .unwrap();
        let [record] = event.records.try_into().unwrap();
        assert_eq!(letter(&record).unwrap().to_string(), "01920000-0000-7000-8000-000000000000");
        assert_eq!(
            serde_json::to_string(&from(record)).unwrap(),
            r#"{"batchItemFailures":[{"itemIdentifier":"111"}]}"#
        );
        assert_eq!(
            serde_json::to_string(&DynamoDbEventResponse::default()).unwrap(),
            r#"{"batchItemFailures":[]}"#
        );
    }
}
