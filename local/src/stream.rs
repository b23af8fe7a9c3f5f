//! What Lambda's event source mappings do: read a table's stream and invoke a function with it.
//!
//! The records are those of DynamoDB Local's own stream, as they come, filtered by the template's
//! pattern. A batch that fails comes again, from the first record that the function names.

use std::{collections::BTreeMap, fs::OpenOptions, io::Write as _, path::PathBuf, time::Duration};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{mail::authorization, starting::StartError, template::EventSource};

/// How often a stream is read.
const PERIOD: Duration = Duration::from_millis(100);
/// Every so many readings it is asked for new shards.
const READINGS_PER_DESCRIPTION: u32 = 20;
/// How often a batch is tried before it is given up. (The template says for how long.)
const TRIES: u32 = 30;

/// A running event source mapping; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Pump(JoinHandle<()>);

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// From where to where.
#[derive(Debug)]
struct Pipe {
    http: reqwest::Client,
    dynamodb: String,
    stream: String,
    function: String,
    source: EventSource,
    /// Where batches that were given up are written to: the dead-letter queue.
    dead_letters: PathBuf,
}

impl Pump {
    /// Begins to read the stream of the table called `table` and to invoke the function at
    /// `base_url` with what the template's mapping lets through.
    pub(crate) async fn start(
        dynamodb: &crate::dynamodb::DynamoDb,
        table: &str,
        base_url: &str,
        source: EventSource,
        dead_letters: PathBuf,
    ) -> Result<Self, StartError> {
        let failed = StartError::create(&format!("the stream of {table}"));
        let described = dynamodb.client().describe_table().table_name(table).send().await;
        let described = match crate::dynamodb::sdk_error(described) {
            Ok(described) => described.table.and_then(|table| table.latest_stream_arn),
            Err(error) => return Err(failed(error)),
        };
        let Some(stream) = described else { return Err(failed("it has none".to_owned())) };
        let http = reqwest::Client::builder().no_proxy().build();
        let http = match http {
            Ok(http) => http,
            Err(error) => return Err(failed(error.to_string())),
        };
        let function = format!("{base_url}/2015-03-31/functions/{}/invocations", source.function);
        let dynamodb = dynamodb.endpoint().to_owned();
        let pipe = Pipe { http, dynamodb, stream, function, source, dead_letters };
        Ok(Self(tokio::spawn(pipe.run())))
    }
}

impl Pipe {
    async fn run(self) {
        // Shards that were ever seen, with the iterator that reads on; none at a shard's end.
        let mut shards: BTreeMap<String, Option<String>> = BTreeMap::new();
        let mut readings = 0;
        loop {
            if readings % READINGS_PER_DESCRIPTION == 0 {
                self.find_shards(&mut shards).await;
            }
            readings = readings.wrapping_add(1);
            for iterator in shards.values_mut() {
                if let Some(at) = iterator.take() {
                    *iterator = self.read(at).await;
                }
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn find_shards(&self, shards: &mut BTreeMap<String, Option<String>>) {
        let request = json!({ "StreamArn": self.stream });
        let Some(described) = self.call("DescribeStream", &request).await else { return };
        let found = described.pointer("/StreamDescription/Shards").and_then(Value::as_array);
        for shard in found.into_iter().flatten() {
            let Some(id) = shard.get("ShardId").and_then(Value::as_str) else { continue };
            if shards.contains_key(id) {
                continue;
            }
            let request = json!({
                "StreamArn": self.stream, "ShardId": id, "ShardIteratorType": "TRIM_HORIZON",
            });
            let Some(answer) = self.call("GetShardIterator", &request).await else { continue };
            let iterator = answer.get("ShardIterator").and_then(Value::as_str).map(str::to_owned);
            shards.insert(id.to_owned(), iterator);
        }
    }

    /// Reads one batch; the iterator to read on with.
    async fn read(&self, at: String) -> Option<String> {
        let request = json!({ "ShardIterator": at, "Limit": self.source.batch_size });
        let Some(mut answer) = self.call("GetRecords", &request).await else {
            return Some(at);
        };
        let records = answer.get_mut("Records").map(Value::take);
        let records = records.and_then(|records| match records {
            Value::Array(records) => Some(records),
            _ => None,
        });
        let mut records = records.unwrap_or_default();
        records.retain(|record| self.source.patterns.iter().any(|pattern| fits(pattern, record)));
        if !records.is_empty() {
            self.deliver(records).await;
        }
        answer.get("NextShardIterator").and_then(Value::as_str).map(str::to_owned)
    }

    async fn deliver(&self, mut records: Vec<Value>) {
        for record in &mut records {
            if let Some(record) = record.as_object_mut() {
                record.insert("eventSourceARN".to_owned(), json!(self.stream));
            }
        }
        for attempt in 0..TRIES {
            // Without a sound answer all of it has failed.
            if let Some(failed) = self.invoke(&records).await {
                if failed.is_empty() {
                    return;
                }
                // A number that is not of this batch fails all of it, too.
                let first = records.iter().position(|record| {
                    sequence_number(record).is_some_and(|number| failed.contains(&number))
                });
                records.drain(..first.unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(100 << attempt.min(5))).await;
        }
        let line = json!({ "function": self.source.function, "records": records });
        let file = OpenOptions::new().create(true).append(true).open(&self.dead_letters);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{line}")) {
            eprintln!("local: can not keep what {} failed for: {error}", self.source.function);
        }
    }

    /// The sequence numbers that the function says it failed for; `None` if it failed itself.
    async fn invoke(&self, records: &[Value]) -> Option<Vec<String>> {
        let event = json!({ "Records": records });
        let answer = self.http.post(&self.function).json(&event).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        let answer: Value = answer.json().await.ok()?;
        if answer.get("errorType").is_some() {
            return None;
        }
        let failures = answer.get("batchItemFailures").and_then(Value::as_array);
        let number = |failure: &Value| {
            failure.get("itemIdentifier").and_then(Value::as_str).map(str::to_owned)
        };
        Some(failures.into_iter().flatten().filter_map(number).collect())
    }

    /// An operation of DynamoDB Streams. DynamoDB Local keeps apart what belongs to different
    /// access keys and checks no signature.
    async fn call(&self, operation: &str, request: &Value) -> Option<Value> {
        let call = self
            .http
            .post(&self.dynamodb)
            .header("x-amz-target", format!("DynamoDBStreams_20120810.{operation}"))
            .header(AUTHORIZATION, authorization("dynamodb"))
            .header(CONTENT_TYPE, "application/x-amz-json-1.0")
            .body(request.to_string());
        let answer = call.send().await.ok()?;
        if answer.status().is_success() { answer.json().await.ok() } else { None }
    }
}

fn sequence_number(record: &Value) -> Option<String> {
    record.pointer("/dynamodb/SequenceNumber")?.as_str().map(str::to_owned)
}

/// Whether a record fits a filter pattern, as far as this template's patterns go: equality and
/// `prefix`.
fn fits(pattern: &Value, value: &Value) -> bool {
    match pattern {
        Value::Object(members) => members
            .iter()
            .all(|(name, pattern)| value.get(name).is_some_and(|value| fits(pattern, value))),
        Value::Array(alternatives) => alternatives.iter().any(|alternative| {
            let prefix = alternative.get("prefix").and_then(Value::as_str);
            match (prefix, value.as_str()) {
                (Some(prefix), Some(text)) => text.starts_with(prefix),
                (Some(_), None) => false,
                (None, _) => alternative == value,
            }
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_lets_through_what_has_all_of_it() {
        let pattern = json!({
            "eventName": ["INSERT"],
            "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "outbox#"}]}}},
        });
        let record = |name: &str, key: Value| json!({"eventName": name, "dynamodb": {"Keys": key}});
        assert!(fits(&pattern, &record("INSERT", json!({"pk": {"S": "outbox#1"}}))));
        for other in [
            record("REMOVE", json!({"pk": {"S": "outbox#1"}})),
            record("INSERT", json!({"pk": {"S": "user#outbox#"}})),
            record("INSERT", json!({"pk": {"N": "1"}})),
            record("INSERT", json!({})),
        ] {
            assert!(!fits(&pattern, &other), "{other}");
        }
    }
}
