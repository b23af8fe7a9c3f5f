//! The metrics of an invocation: counters and durations, kept in memory until it is over.
//!
//! They belong to the task of the invocation, not to the process. Outside [`collect`] (in the
//! command line and in unit tests) nothing is recorded.

use std::{cell::RefCell, collections::BTreeMap, future::Future};

use ratchet_store::{Call, Observer};

use crate::clock;

/// Invocations.
pub const REQUESTS: &str = "requests";
/// The time from the request to its response, as the function sees it.
pub const MILLISECONDS: &str = "milliseconds";
/// Responses with a 4xx status, by `code`.
pub const REFUSALS: &str = "refusals";
/// Responses with a 5xx status, and failed invocations.
pub const FAULTS: &str = "faults";
/// First invocations of an execution environment.
pub const COLD_STARTS: &str = "cold_starts";
/// Calls to DynamoDB, each with its retries.
pub const DYNAMODB_MILLISECONDS: &str = "dynamodb_milliseconds";
/// Password hashes.
pub const ARGON2_MILLISECONDS: &str = "argon2_milliseconds";
/// Failed attempts to load the key ring, whatever the cause.
pub const KEY_RING_NOT_LOADED: &str = "key_ring_not_loaded";
/// Letters that SES accepted.
pub const LETTERS_SENT: &str = "letters_sent";
/// Letters that SES refused for good.
pub const LETTERS_REFUSED: &str = "letters_refused";
/// Letters that could not be sent yet and will be tried again.
pub const LETTERS_DELAYED: &str = "letters_delayed";
/// Events that the bus took.
pub const EVENTS_PUBLISHED: &str = "events_published";
/// Events that the bus did not take yet, and that will be tried again.
pub const EVENTS_DELAYED: &str = "events_delayed";
/// Events that the bus refused for good, and records that cannot be read.
pub const EVENTS_REFUSED: &str = "events_refused";
/// Changes whose request could not revoke all ended sessions one by one in time.
pub const CLEAN_UPS_LEFT: &str = "clean_ups_left";
/// Changes after which the mailer revoked the remaining sessions.
pub const CLEAN_UPS_FINISHED: &str = "clean_ups_finished";

tokio::task_local! {
    static COLLECTED: RefCell<Metrics>;
}

/// Times the calls to AWS and counts failed loads of the key ring.
pub const OBSERVER: Observer =
    Observer { clock: clock::now, called: record_call, key_ring_not_loaded };

/// What was counted and timed during one invocation.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Counters by name.
    pub counts: BTreeMap<&'static str, u64>,
    /// [`REFUSALS`] by the code of the problem.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Durations in milliseconds, by name.
    pub times: BTreeMap<&'static str, Vec<u64>>,
}

/// Runs an invocation and returns its output together with its metrics.
pub async fn collect<F: Future>(invocation: F) -> (F::Output, Metrics) {
    let invocation = async {
        let output = invocation.await;
        (output, COLLECTED.with(RefCell::take))
    };
    COLLECTED.scope(RefCell::default(), invocation).await
}

/// Counts one occurrence of `name`.
pub fn count(name: &'static str) {
    update(|metrics| *metrics.counts.entry(name).or_default() += 1);
}

/// Counts a refusal with the code of its problem.
pub fn count_refusal(code: &'static str) {
    update(|metrics| *metrics.refusals.entry(code).or_default() += 1);
}

/// Adds a duration to `name`.
pub fn time(name: &'static str, milliseconds: u64) {
    update(|metrics| metrics.times.entry(name).or_default().push(milliseconds));
}

fn record_call(call: &Call) {
    if call.service == "DynamoDB" {
        time(DYNAMODB_MILLISECONDS, call.ended.get().saturating_sub(call.begun.get()));
    }
}

fn key_ring_not_loaded() {
    count(KEY_RING_NOT_LOADED);
}

fn update(change: impl FnOnce(&mut Metrics)) {
    COLLECTED.try_with(|metrics| change(&mut metrics.borrow_mut())).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    /// Our own metrics that the template's alarms and dashboard use.
    fn watched() -> BTreeSet<String> {
        let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
        let template = fs::read_to_string(template).unwrap();
        let word = |text: &str| {
            text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
        };
        let alarms = template.split("Namespace: Ratchet").skip(1).map(|rest| {
            word(rest.split_once("MetricName: ").expect("a name beside the namespace").1)
        });
        let widgets = template.split(r#"["Ratchet", ""#).skip(1).map(word);
        let searches = template.split(r#"MetricName=\""#).skip(1).map(word);
        alarms.chain(widgets).chain(searches).collect()
    }

    #[test]
    fn alarms_and_dashboard_watch_metrics_that_exist() {
        let own = [
            REQUESTS,
            MILLISECONDS,
            REFUSALS,
            FAULTS,
            COLD_STARTS,
            DYNAMODB_MILLISECONDS,
            ARGON2_MILLISECONDS,
            KEY_RING_NOT_LOADED,
            LETTERS_SENT,
            LETTERS_REFUSED,
            LETTERS_DELAYED,
            EVENTS_PUBLISHED,
            EVENTS_DELAYED,
            EVENTS_REFUSED,
            CLEAN_UPS_LEFT,
            CLEAN_UPS_FINISHED,
        ];
        let events = include_str!("events.rs");
        let watched = watched();
        assert!(watched.len() > 8, "{watched:?}");
        let is_event = |name: &str| events.contains(&format!(r#"=> "{name}","#));
        let unknown: Vec<_> = watched
            .iter()
            .filter(|name| !own.contains(&name.as_str()) && !is_event(name))
            .collect();
        assert!(unknown.is_empty(), "nothing writes {unknown:?}");
    }

    #[tokio::test]
    async fn concurrent_invocations_have_separate_metrics() {
        let invocation = |times: u64| {
            collect(async move {
                for _ in 0..times {
                    count(REQUESTS);
                    tokio::task::yield_now().await;
                }
            })
        };
        let (((), one), ((), other)) = tokio::join!(invocation(2), invocation(5));
        assert_eq!((one.counts[REQUESTS], other.counts[REQUESTS]), (2, 5));
    }
}
