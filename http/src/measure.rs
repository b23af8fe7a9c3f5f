//! What is counted and timed: CloudWatch metrics in the namespace `Ratchet`, by way of the embedded
//! metric format, one line of the log per request. Their one dimension is `FunctionName`; refusals
//! have `code` too.

use std::{
    io,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use http::StatusCode;
use metrics::Unit;
use metrics_cloudwatch_embedded::{Builder, Collector};
use ratchet::{error_chain::ErrorChain, time::UnixMillis};
use ratchet_store::{Call, Observer};

use crate::{clock, trace};

/// Answers.
pub const REQUESTS: &str = "requests";
/// From the request to its answer, as the function sees it.
pub const MILLISECONDS: &str = "milliseconds";
/// Answers of 4xx, by `code`.
pub const REFUSALS: &str = "refusals";
/// Answers of 5xx.
pub const FAULTS: &str = "faults";
/// First requests of an execution environment.
pub const COLD_STARTS: &str = "cold_starts";
/// Calls to DynamoDB, with all their tries.
pub const DYNAMODB_MILLISECONDS: &str = "dynamodb_milliseconds";
/// Password hashes.
pub const ARGON2_MILLISECONDS: &str = "argon2_milliseconds";
/// Failed calls to Secrets Manager.
pub const KEY_RING_NOT_LOADED: &str = "key_ring_not_loaded";

static COLLECTOR: OnceLock<&'static Collector> = OnceLock::new();

/// Times the calls to AWS.
pub(crate) const OBSERVER: Observer = Observer { clock: clock::now, told: called };

/// Begins to collect metrics. Called once, at start.
///
/// # Errors
/// If a collector has been installed before.
pub(crate) fn collect(function: String) -> Result<(), metrics_cloudwatch_embedded::Error> {
    let collector = Builder::new()
        .cloudwatch_namespace("Ratchet")
        .with_dimension("FunctionName", function)
        .init()?;
    for name in [MILLISECONDS, DYNAMODB_MILLISECONDS, ARGON2_MILLISECONDS] {
        metrics::describe_histogram!(name, Unit::Milliseconds, "");
    }
    COLLECTOR.get_or_init(|| collector);
    Ok(())
}

/// Counts an answer.
pub(crate) fn answered(status: StatusCode, code: Option<&'static str>, milliseconds: u64) {
    static WARM: AtomicBool = AtomicBool::new(false);
    metrics::counter!(REQUESTS).increment(1);
    time(MILLISECONDS, milliseconds);
    if !WARM.swap(true, Ordering::Relaxed) {
        metrics::counter!(COLD_STARTS).increment(1);
    }
    if status.is_server_error() {
        metrics::counter!(FAULTS).increment(1);
    } else if let Some(code) = code.filter(|_| status.is_client_error()) {
        metrics::counter!(REFUSALS, "code" => code).increment(1);
    }
}

/// Times a password hash that was begun then.
pub fn hashed(begun: UnixMillis) {
    time(ARGON2_MILLISECONDS, clock::now().get().saturating_sub(begun.get()));
}

/// A call to AWS is over.
fn called(call: &Call<'_>) {
    match call.service {
        "DynamoDB" => {
            time(DYNAMODB_MILLISECONDS, call.ended.get().saturating_sub(call.begun.get()));
        }
        _ if call.failed => metrics::counter!(KEY_RING_NOT_LOADED).increment(1),
        _ => {}
    }
    trace::subsegment(call);
}

fn time(name: &'static str, milliseconds: u64) {
    // Exact up to 49 days.
    let milliseconds = f64::from(u32::try_from(milliseconds).unwrap_or(u32::MAX));
    metrics::histogram!(name).record(milliseconds);
}

/// Writes the metrics of one request to the log, where CloudWatch finds them.
pub(crate) fn flush(request_id: &str) {
    let Some(collector) = COLLECTOR.get() else { return };
    let result = collector.set_property("request_id", request_id.to_owned()).flush(io::stdout());
    if let Err(error) = result {
        let error = tracing::field::display(ErrorChain(&error));
        tracing::warn!(error, "metrics could not be written");
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    /// The metrics of our own that alarms and dashboard of the template watch.
    fn watched() -> BTreeSet<String> {
        let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
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
}
