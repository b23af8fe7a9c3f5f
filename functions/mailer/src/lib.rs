//! Sends the letters of the outbox by Amazon SES.
//!
//! The users table's stream invokes it with the keys of new letters. A letter that is in the table
//! has not been sent: it is read, sent, and deleted, in this order, so that none is lost; one may be
//! sent twice. Tokens and codes are drawn here, and only their hashes are kept.

mod compose;
mod deliver;
mod ses;
mod stream;

use std::sync::Arc;

use ratchet_core::{config::Config, error_chain::ErrorChain};
use ratchet_service::metrics::{self, LETTERS_DELAYED, LETTERS_REFUSED, LETTERS_SENT};
use ratchet_store::{Challenges, KeyRingCache, Outbox, Stores, Users};

use deliver::Outcome;
use ses::Ses;
pub use stream::Event;
use stream::{Failure, Failures};

/// One execution environment of the function.
#[derive(Debug)]
pub struct Mailer {
    config: Config,
    key_ring: Arc<KeyRingCache>,
    users: Users,
    challenges: Challenges,
    outbox: Outbox,
    ses: Ses,
}

impl Mailer {
    /// A mailer with these stores. Calls no service.
    #[must_use]
    pub fn new(stores: &Stores<'_>) -> Self {
        Self {
            config: stores.config().clone(),
            key_ring: stores.key_ring(),
            users: stores.users(),
            challenges: stores.challenges(),
            outbox: stores.outbox(),
            ses: Ses::new(stores.config(), stores.aws()),
        }
    }

    /// Sends the letters of one batch, in order. What could not be sent is reported together with
    /// all that follows it, and comes again.
    pub async fn handle(&self, event: Event) -> Failures {
        for record in event.records {
            let Some(id) = record.letter() else {
                tracing::warn!("a record that is no letter's came through the filter");
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
                    return Failures { batch_item_failures: vec![Failure::of(record)] };
                }
            }
        }
        Failures::default()
    }
}
