//! What is counted and timed: CloudWatch metrics in the namespace `Ratchet`, by way of the embedded
//! metric format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>),
//! one line of the log per invocation. Their one dimension is `FunctionName`; refusals have `code`
//! too.
//!
//! What is measured belongs to the task that an invocation runs on, not to the process: an
//! environment may serve several invocations at once, and a line has the id of one of them.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::Future,
    io::{self, Write as _},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use http::StatusCode;
use ratchet_core::{error_chain::ErrorChain, time::UnixMillis};
use ratchet_store::{Call, Observer, aws::AwsSettings};
use serde_json::{Map, Value, json};

use crate::{clock, trace};

/// Invocations.
pub const REQUESTS: &str = "requests";
/// From the request to its answer, as the function sees it.
pub const MILLISECONDS: &str = "milliseconds";
/// Answers of 4xx, by `code`.
pub const REFUSALS: &str = "refusals";
/// Answers of 5xx, and invocations that failed.
pub const FAULTS: &str = "faults";
/// First invocations of an execution environment.
pub const COLD_STARTS: &str = "cold_starts";
/// Calls to DynamoDB, with all their tries.
pub const DYNAMODB_MILLISECONDS: &str = "dynamodb_milliseconds";
/// Password hashes.
pub const ARGON2_MILLISECONDS: &str = "argon2_milliseconds";
/// Loads of the key ring that came to nothing: Secrets Manager could not be asked, or has no ring.
pub const KEY_RING_NOT_LOADED: &str = "key_ring_not_loaded";
/// Letters that SES took.
pub const LETTERS_SENT: &str = "letters_sent";
/// Letters that SES refuses for good.
pub const LETTERS_REFUSED: &str = "letters_refused";
/// Letters that could not be sent, and come again.
pub const LETTERS_DELAYED: &str = "letters_delayed";

/// The most values of one metric that a line may have.
const MAX_VALUES: usize = 100;

static FUNCTION: OnceLock<String> = OnceLock::new();

tokio::task_local! {
    /// What this invocation has come to so far.
    static MEASURED: RefCell<Measured>;
}

/// Times the calls to AWS.
const OBSERVER: Observer = Observer { clock: clock::now, told: called };

/// The same clients, timed and traced.
#[must_use]
pub fn observed(aws: AwsSettings) -> AwsSettings {
    aws.observed_by(OBSERVER)
}

/// Begins to measure. Called once, at start.
pub(crate) fn collect(function: String) {
    FUNCTION.get_or_init(|| function);
}

/// Runs an invocation, or the start, and writes what it measured to the log, where CloudWatch finds
/// it.
pub(crate) async fn within<F: Future>(request_id: &str, invocation: F) -> F::Output {
    let invocation = async {
        let output = invocation.await;
        (output, MEASURED.with(RefCell::take))
    };
    let (output, measured) = MEASURED.scope(RefCell::default(), invocation).await;
    if let Some(function) = FUNCTION.get()
        && let Err(error) = io::stdout()
            .lock()
            .write_all(measured.lines(function, request_id, clock::now()).as_bytes())
    {
        let error = tracing::field::display(ErrorChain(&error));
        tracing::warn!(error, "metrics could not be written");
    }
    output
}

/// Counts an answer.
pub(crate) fn answered(status: StatusCode, code: Option<&'static str>, milliseconds: u64) {
    handled(milliseconds, status.is_server_error());
    if let Some(code) = code.filter(|_| status.is_client_error()) {
        measure(|measured| *measured.refusals.entry(code).or_default() += 1);
    }
}

/// Counts an invocation.
pub(crate) fn handled(milliseconds: u64, is_fault: bool) {
    static WARM: AtomicBool = AtomicBool::new(false);
    count(REQUESTS);
    time(MILLISECONDS, milliseconds);
    if !WARM.swap(true, Ordering::Relaxed) {
        count(COLD_STARTS);
    }
    if is_fault {
        count(FAULTS);
    }
}

/// Counts something.
pub fn count(name: &'static str) {
    measure(|measured| *measured.counts.entry(name).or_default() += 1);
}

/// Notes how long something took.
pub(crate) fn time(name: &'static str, milliseconds: u64) {
    measure(|measured| measured.times.entry(name).or_default().push(milliseconds));
}

/// Counts a load of the key ring that came to nothing.
pub fn key_ring_not_loaded() {
    count(KEY_RING_NOT_LOADED);
}

/// A call to AWS is over.
fn called(call: &Call<'_>) {
    if call.service == "DynamoDB" {
        time(DYNAMODB_MILLISECONDS, call.ended.get().saturating_sub(call.begun.get()));
    }
    trace::subsegment(call);
}

/// Outside an invocation, as in tests of parts, nothing is measured.
fn measure(note: impl FnOnce(&mut Measured)) {
    MEASURED.try_with(|measured| note(&mut measured.borrow_mut())).unwrap_or_default();
}

/// What one invocation came to.
#[derive(Debug, Default)]
struct Measured {
    counts: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<&'static str, u64>,
    times: BTreeMap<&'static str, Vec<u64>>,
}

impl Measured {
    /// One line, or more if a metric has more values than a line may have; none without metrics.
    fn lines(&self, function: &str, request_id: &str, at: UnixMillis) -> String {
        let mut lines = String::new();
        let mut line = Line::new(function, request_id, at);
        for (name, count) in &self.counts {
            line.add(name, "Count", json!(count));
        }
        for (code, count) in &self.refusals {
            // A line has one value for a dimension, and a request one refusal.
            line.add_refusal(code, *count);
        }
        for number in 0.. {
            for (name, times) in &self.times {
                if let Some(some) = times.chunks(MAX_VALUES).nth(number) {
                    line.add(name, "Milliseconds", json!(some));
                }
            }
            let Some(text) = line.into_text() else { break };
            lines.push_str(&text);
            lines.push('\n');
            line = Line::new(function, request_id, at);
        }
        lines
    }
}

/// A line in the embedded metric format.
struct Line {
    at: UnixMillis,
    own: Vec<Value>,
    by_code: Vec<Value>,
    members: Map<String, Value>,
}

impl Line {
    fn new(function: &str, request_id: &str, at: UnixMillis) -> Self {
        let members = [("FunctionName", function), ("request_id", request_id)];
        let members = members.map(|(name, value)| (name.to_owned(), json!(value)));
        Self { at, own: Vec::new(), by_code: Vec::new(), members: members.into_iter().collect() }
    }

    fn add(&mut self, name: &str, unit: &str, value: Value) {
        self.own.push(json!({"Name": name, "Unit": unit}));
        self.members.insert(name.to_owned(), value);
    }

    fn add_refusal(&mut self, code: &str, count: u64) {
        self.by_code = vec![json!({"Name": REFUSALS, "Unit": "Count"})];
        self.members.insert("code".to_owned(), json!(code));
        self.members.insert(REFUSALS.to_owned(), json!(count));
    }

    fn into_text(mut self) -> Option<String> {
        let of = |dimensions: Value, metrics: Vec<Value>| {
            let set =
                json!({"Namespace": "Ratchet", "Dimensions": [dimensions], "Metrics": &metrics});
            (!metrics.is_empty()).then_some(set)
        };
        let sets = [
            of(json!(["FunctionName"]), self.own),
            of(json!(["FunctionName", "code"]), self.by_code),
        ];
        let sets: Vec<Value> = sets.into_iter().flatten().collect();
        if sets.is_empty() {
            return None;
        }
        let about = json!({"Timestamp": self.at.get(), "CloudWatchMetrics": sets});
        self.members.insert("_aws".to_owned(), about);
        Some(Value::Object(self.members).to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    /// The metrics of our own that alarms and dashboard of the template watch.
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

    async fn measured(invocation: impl Future<Output = ()>) -> Vec<Value> {
        let invocation = async {
            invocation.await;
            MEASURED.with(RefCell::take)
        };
        let measured = MEASURED.scope(RefCell::default(), invocation).await;
        let lines = measured.lines("refresh", "7", UnixMillis::new(1_700_000_000_123));
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_line_declares_what_it_has() {
        let lines = measured(async {
            count(REQUESTS);
            time(MILLISECONDS, 8);
            time(MILLISECONDS, 9);
            answered(StatusCode::UNAUTHORIZED, Some("malformed"), 3);
        });
        let [line] = lines.await.try_into().unwrap();
        assert_eq!(
            (&line[REQUESTS], &line[MILLISECONDS], &line[REFUSALS]),
            (&json!(2), &json!([8, 9, 3]), &json!(1))
        );
        assert_eq!(
            (&line["FunctionName"], &line["request_id"], &line["code"]),
            (&json!("refresh"), &json!("7"), &json!("malformed"))
        );
        let sets = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert_eq!(sets[0]["Dimensions"], json!([["FunctionName"]]));
        assert_eq!(sets[1]["Dimensions"], json!([["FunctionName", "code"]]));
        assert_eq!(sets[1]["Metrics"], json!([{"Name": "refusals", "Unit": "Count"}]));
        assert_eq!(line["_aws"]["Timestamp"], 1_700_000_000_123_u64);
    }

    #[tokio::test]
    async fn no_metric_of_a_line_has_more_than_a_hundred_values_and_none_is_lost() {
        assert!(measured(async {}).await.is_empty());
        let lines = measured(async { (0..250).for_each(|value| time(MILLISECONDS, value)) }).await;
        let lengths = lines.iter().map(|line| line[MILLISECONDS].as_array().unwrap().len());
        assert_eq!(lengths.collect::<Vec<_>>(), [100, 100, 50]);
    }

    #[tokio::test]
    async fn invocations_at_the_same_time_are_measured_apart() {
        let invocation = |times: u64| {
            measured(async move {
                for _ in 0..times {
                    count(REQUESTS);
                    tokio::task::yield_now().await;
                }
            })
        };
        let (one, other) = tokio::join!(invocation(2), invocation(5));
        assert_eq!((&one[0][REQUESTS], &other[0][REQUESTS]), (&json!(2), &json!(5)));
    }
}
