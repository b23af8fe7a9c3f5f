//! Imitates Lambda's event source mappings: reads a table's stream and invokes a function with it.
//!
//! The records come from DynamoDB Local's own stream, filtered by the template's pattern. A batch
//! that fails is retried, from the first record that the function names, or in halves if it names
//! none, until its records are too old or it has been tried too often. Records that are given up
//! are written to a file, the dead-letter queue.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};

use crate::{mail::authorization, starting::StartError, template::EventSource};

/// How often a stream is read.
const PERIOD: Duration = Duration::from_millis(100);

/// The most records of one read (the limit of `GetRecords`).
const RECORDS: usize = 1_000;
/// The number of reads between two looks for new shards.
const READINGS_PER_DESCRIPTION: u32 = 20;
/// The pause after the first failure. It doubles with each failure, up to 32 times.
const PAUSE: Duration = Duration::from_millis(100);

/// A running event source mapping; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Pump {
    function: String,
    dead_letters: PathBuf,
    task: JoinHandle<()>,
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The table's stream and the function.
#[derive(Debug)]
struct Pipe {
    http: reqwest::Client,
    dynamodb: String,
    stream: String,
    function: String,
    source: EventSource,
    /// The file for batches that were given up: the dead-letter queue.
    dead_letters: PathBuf,
}

impl Pump {
    /// Starts to read the stream of the table called `table` and to invoke the function at
    /// `base_url` with the records that pass the filter of the template's mapping.
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
        // A function that does not answer in its time has failed.
        let http = reqwest::Client::builder().no_proxy().timeout(source.timeout).build();
        let http = match http {
            Ok(http) => http,
            Err(error) => return Err(failed(error.to_string())),
        };
        let function = format!("{base_url}/2015-03-31/functions/{}/invocations", source.function);
        let dynamodb = dynamodb.endpoint().to_owned();
        let (name, file) = (source.function.clone(), dead_letters.clone());
        let pipe = Pipe { http, dynamodb, stream, function, source, dead_letters };
        Ok(Self { function: name, dead_letters: file, task: tokio::spawn(pipe.run()) })
    }

    pub(crate) fn function(&self) -> &str {
        &self.function
    }

    pub(crate) fn dead_letters(&self) -> &Path {
        &self.dead_letters
    }
}

/// A shard of a stream, and how far it has been read.
#[derive(Debug, Default)]
struct Shard {
    iterator: Option<String>,
    /// The sequence number of the last record.
    last: Option<String>,
    /// Whether it has ended.
    is_over: bool,
}

/// Records of one invocation, and how often they have failed.
#[derive(Debug)]
struct Batch {
    records: Vec<Value>,
    failures: u32,
}

impl Batch {
    /// Keeps the records to retry after a failure: from the first record that was named, or else,
    /// if batches are bisected, one half. The other half comes after it.
    fn again(&mut self, failed: Option<&[String]>, bisects: bool) -> Option<Self> {
        let Some(failed) = failed else {
            self.failures += 1;
            if !bisects || self.records.len() < 2 {
                return None;
            }
            // A half is a batch of its own, with its own count of tries.
            let records = self.records.split_off(self.records.len() / 2);
            self.failures = 0;
            return Some(Self { records, failures: 0 });
        };
        // A number that is not in this batch fails all of it, too.
        let first = self.records.iter().position(|record| {
            sequence_number(record).is_some_and(|number| failed.contains(&number))
        });
        match first {
            Some(first) if first > 0 => {
                self.records.drain(..first);
                self.failures = 1;
            }
            _ => self.failures += 1,
        }
        None
    }
}

impl Pipe {
    async fn run(self) {
        let mut shards = BTreeMap::new();
        let mut readings = 0;
        loop {
            if readings % READINGS_PER_DESCRIPTION == 0 {
                self.find_shards(&mut shards).await;
            }
            readings = readings.wrapping_add(1);
            for shard in shards.values_mut() {
                self.read(shard).await;
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Finds new shards, and the position in known ones. An iterator of DynamoDB Local from before
    /// the first record of a shard may never see any record, if other tables are written at that
    /// moment.
    async fn find_shards(&self, shards: &mut BTreeMap<String, Shard>) {
        let request = json!({ "StreamArn": self.stream });
        let Some(described) = self.call("DescribeStream", &request).await else { return };
        let found = described.pointer("/StreamDescription/Shards").and_then(Value::as_array);
        for id in found.into_iter().flatten().filter_map(|shard| shard.get("ShardId")?.as_str()) {
            let shard = shards.entry(id.to_owned()).or_default();
            if shard.is_over {
                continue;
            }
            let mut request = json!({
                "StreamArn": self.stream, "ShardId": id, "ShardIteratorType": "TRIM_HORIZON",
            });
            if let (Some(last), Some(request)) = (&shard.last, request.as_object_mut()) {
                request.insert("ShardIteratorType".to_owned(), json!("AFTER_SEQUENCE_NUMBER"));
                request.insert("SequenceNumber".to_owned(), json!(last));
            }
            let answer = self.call("GetShardIterator", &request).await;
            let iterator = answer.as_ref().and_then(|answer| answer.get("ShardIterator")?.as_str());
            if let Some(iterator) = iterator {
                shard.iterator = Some(iterator.to_owned());
            }
        }
    }

    /// Reads new records and delivers them in batches.
    async fn read(&self, shard: &mut Shard) {
        let Some(at) = &shard.iterator else { return };
        let request = json!({ "ShardIterator": at, "Limit": RECORDS });
        let Some(mut answer) = self.call("GetRecords", &request).await else { return };
        let next = answer.get("NextShardIterator").and_then(Value::as_str).map(str::to_owned);
        shard.is_over = next.is_none();
        shard.iterator = next;
        let Some(Value::Array(mut records)) = answer.get_mut("Records").map(Value::take) else {
            return;
        };
        if let Some(last) = records.last().and_then(sequence_number) {
            shard.last = Some(last);
        }
        records.retain(|record| self.source.patterns.iter().any(|pattern| fits(pattern, record)));
        // Records that match no pattern are not in a batch, and must not delay the others.
        let size = usize::try_from(self.source.batch_size).unwrap_or(usize::MAX).max(1);
        for batch in records.chunks(size) {
            self.deliver(batch.to_vec()).await;
        }
    }

    async fn deliver(&self, mut records: Vec<Value>) {
        for record in &mut records {
            if let Some(record) = record.as_object_mut() {
                record.insert("eventSourceARN".to_owned(), json!(self.stream));
            }
        }
        let mut waiting = VecDeque::from([Batch { records, failures: 0 }]);
        // A record's age counts from here: DynamoDB Local dates it to the minute only.
        let begun = Instant::now();
        while let Some(mut batch) = waiting.pop_front() {
            if begun.elapsed() > self.source.max_age {
                self.give_up(&batch.records);
                continue;
            }
            // Without a valid answer the whole batch has failed.
            let failed = self.invoke(&batch.records).await;
            if failed.as_ref().is_some_and(Vec::is_empty) {
                continue;
            }
            let rest = batch.again(failed.as_deref(), self.source.bisects);
            let exhausted = self.source.max_retries.is_some_and(|most| batch.failures > most);
            let pause = PAUSE * (1 << batch.failures.saturating_sub(1).min(5));
            if let Some(rest) = rest {
                waiting.push_front(rest);
            }
            if exhausted {
                self.give_up(&batch.records);
                continue;
            }
            waiting.push_front(batch);
            tokio::time::sleep(pause).await;
        }
    }

    fn give_up(&self, records: &[Value]) {
        let line = json!({ "function": self.source.function, "records": records });
        let file = OpenOptions::new().create(true).append(true).open(&self.dead_letters);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{line}")) {
            eprintln!("local: cannot keep what {} failed for: {error}", self.source.function);
        }
    }

    /// The sequence numbers that the function reports as failed; `None` if the invocation failed.
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

    /// An operation of DynamoDB Streams. DynamoDB Local separates data by access key and does not
    /// check signatures.
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

/// Whether a record fits a filter pattern, as far as this template's patterns go: equality, `prefix`
/// and that something exists.
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
                (None, _) => alternative == value || *alternative == json!({"exists": true}),
            }
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_comes_again_from_what_failed_or_in_halves() {
        let record = |number: u32| json!({"dynamodb": {"SequenceNumber": number.to_string()}});
        let batch = || Batch { records: (0..5).map(record).collect(), failures: 0 };
        let numbers = |batch: &Batch| -> Vec<_> {
            batch.records.iter().filter_map(sequence_number).collect()
        };
        let failed = |number: &str| vec![number.to_owned()];

        let mut named = batch();
        assert!(named.again(Some(&failed("3")), true).is_none());
        assert_eq!((numbers(&named), named.failures), (vec!["3".to_owned(), "4".to_owned()], 1));
        assert!(named.again(Some(&failed("3")), true).is_none());
        assert_eq!((named.records.len(), named.failures), (2, 2), "the first of it, again");

        let mut foreign = batch();
        assert!(foreign.again(Some(&failed("9")), true).is_none());
        assert_eq!((foreign.records.len(), foreign.failures), (5, 1));

        let mut halved = batch();
        let rest = halved.again(None, true).unwrap();
        assert_eq!(
            (numbers(&halved), numbers(&rest).len()),
            (failed("0").into_iter().chain(failed("1")).collect(), 3)
        );
        let mut whole = batch();
        assert!(whole.again(None, false).is_none());
        assert_eq!((whole.records.len(), whole.failures), (5, 1));
    }

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
        let pattern = json!({"dynamodb": {"NewImage": {"revoked_at": {"N": [{"exists": true}]}}}});
        let image = |image: Value| json!({"dynamodb": {"NewImage": image}});
        assert!(fits(&pattern, &image(json!({"revoked_at": {"N": "1"}}))));
        assert!(!fits(&pattern, &image(json!({"expires_at": {"N": "1"}}))));
    }
}
