//! Metrics as log lines in CloudWatch's embedded metric format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>):
//! one line per invocation, in the namespace `Ratchet`. The only dimension is `FunctionName`;
//! refusals have `code` too.

use std::{
    future::Future,
    io::{self, Write as _},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use ratchet_core::{error_chain::ErrorChain, time::UnixMillis};
use ratchet_service::{
    clock,
    metrics::{self, COLD_STARTS, FAULTS, MILLISECONDS, Metrics, REFUSALS, REQUESTS, count, time},
};
use serde_json::{Map, Value, json};

/// The maximum number of values of one metric in a line.
const MAX_VALUES: usize = 100;

static FUNCTION: OnceLock<String> = OnceLock::new();

/// Starts to write metrics, in the name of this function. Without it, as in unit tests, none are
/// written.
pub(crate) fn init(function: String) {
    FUNCTION.get_or_init(|| function);
}

/// Runs an invocation, or the start, and writes its metrics.
pub(crate) async fn measured<F: Future>(request_id: &str, invocation: F) -> F::Output {
    let (output, metrics) = metrics::collect(invocation).await;
    if let Some(function) = FUNCTION.get()
        && let Err(error) = io::stdout()
            .lock()
            .write_all(lines(&metrics, function, request_id, clock::now()).as_bytes())
    {
        let error = tracing::field::display(ErrorChain(&error));
        tracing::warn!(error, "metrics could not be written");
    }
    output
}

/// Counts an invocation.
pub(crate) fn record_invocation(milliseconds: u64, is_fault: bool) {
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

/// One line, or more if a metric has more values than a line may have; none without metrics.
fn lines(metrics: &Metrics, function: &str, request_id: &str, at: UnixMillis) -> String {
    let mut lines = String::new();
    let mut line = Line::new(function, request_id, at);
    for (name, count) in &metrics.counts {
        line.add(name, "Count", json!(count));
    }
    for (code, count) in &metrics.refusals {
        // A line has one value of each dimension, and a request has one refusal.
        line.add_refusal(code, *count);
    }
    for number in 0.. {
        for (name, times) in &metrics.times {
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
    use super::*;

    async fn written(invocation: impl Future<Output = ()>) -> Vec<Value> {
        let ((), metrics) = metrics::collect(invocation).await;
        let lines = lines(&metrics, "refresh", "7", UnixMillis::new(1_700_000_000_123));
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_line_declares_the_metrics_that_it_contains() {
        let lines = written(async {
            count(REQUESTS);
            time(MILLISECONDS, 8);
            record_invocation(9, false);
            metrics::count_refusal("malformed");
        });
        let [line] = lines.await.try_into().unwrap();
        assert_eq!(
            (&line[REQUESTS], &line[MILLISECONDS], &line[REFUSALS]),
            (&json!(2), &json!([8, 9]), &json!(1))
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
    async fn a_metric_with_more_than_a_hundred_values_continues_in_further_lines() {
        assert!(written(async {}).await.is_empty());
        let lines = written(async { (0..250).for_each(|value| time(MILLISECONDS, value)) }).await;
        let lengths = lines.iter().map(|line| line[MILLISECONDS].as_array().unwrap().len());
        assert_eq!(lengths.collect::<Vec<_>>(), [100, 100, 50]);
    }
}
