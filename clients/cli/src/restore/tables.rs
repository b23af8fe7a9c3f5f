//! New tables: restored from backups, configured like the template's, read and written in batches.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::{DisplayErrorContext, SdkError},
    operation::describe_table::DescribeTableError,
    primitives::DateTime,
    types::{
        AttributeValue, DeleteRequest, KeysAndAttributes, PointInTimeRecoverySpecification,
        PutRequest, StreamSpecification, StreamViewType, TableDescription, TableStatus,
        TimeToLiveSpecification, TimeToLiveStatus, WriteRequest,
    },
};
use indicatif::ProgressBar;

use super::replay::Item;
use crate::failure::Failure;

/// The pause between two looks at a table's state.
const PAUSE: Duration = Duration::from_secs(2);

/// The most items of a `BatchGetItem` and of a `BatchWriteItem`.
const MOST_READ: usize = 100;
const MOST_WRITTEN: usize = 25;

/// How often the unprocessed items of a batch are sent again.
const BATCH_TRIES: u32 = 10;

/// Which of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Users,
    Tokens,
}

impl Kind {
    pub(super) const fn key(self) -> &'static [&'static str] {
        match self {
            Self::Users => &["pk"],
            Self::Tokens => &["user_id", "session_id"],
        }
    }
}

/// A table that is restored.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) source: String,
}

impl Table {
    /// Starts to restore it, unless it exists already, from an earlier run or another tool.
    pub(super) async fn start(&self, client: &Client, at: DateTime) -> Result<(), Failure> {
        if exists(client, &self.name).await? {
            return Ok(());
        }
        let call = client.restore_table_to_point_in_time().source_table_name(&self.source);
        let call = call.target_table_name(&self.name).restore_date_time(at);
        call.send().await.map(drop).map_err(|error| failed("the table cannot be restored", &error))
    }

    /// Waits until it can be used. DynamoDB needs minutes to hours.
    pub(super) async fn wait(&self, client: &Client, bar: &ProgressBar) -> Result<(), Failure> {
        loop {
            let table = describe(client, &self.name).await?.ok_or_else(|| gone(&self.name))?;
            if table.table_status() == Some(&TableStatus::Active) {
                return Ok(());
            }
            bar.set_message(format!("{} is not ready yet", self.name));
            bar.tick();
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Adds the settings that a restored table does not inherit: expiry, stream, point-in-time
    /// recovery, deletion protection and tags.
    pub(super) async fn configure(&self, client: &Client) -> Result<(), Failure> {
        self.expire(client).await?;
        let table = describe(client, &self.name).await?.ok_or_else(|| gone(&self.name))?;
        // The publisher needs that of the tokens table, if EventBus is ever set. It costs nothing.
        if table.latest_stream_label().is_none() {
            let stream = StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(StreamViewType::NewAndOldImages)
                .build()
                .map_err(|error| Failure::machine(&error))?;
            let call = client.update_table().table_name(&self.name).stream_specification(stream);
            call.send().await.map_err(|error| failed("its stream cannot be enabled", &error))?;
            self.settled(client).await?;
        }
        if !table.deletion_protection_enabled().unwrap_or_default() {
            let call = client.update_table().table_name(&self.name);
            let call = call.deletion_protection_enabled(true);
            call.send().await.map_err(|error| failed("it cannot be protected", &error))?;
            self.settled(client).await?;
        }
        let recovery = PointInTimeRecoverySpecification::builder()
            .point_in_time_recovery_enabled(true)
            .build()
            .map_err(|error| Failure::machine(&error))?;
        let call = client.update_continuous_backups().table_name(&self.name);
        let call = call.point_in_time_recovery_specification(recovery);
        call.send().await.map_err(|error| failed("its backups cannot be enabled", &error))?;
        self.tag(client, &table).await
    }

    async fn settled(&self, client: &Client) -> Result<(), Failure> {
        self.wait(client, &ProgressBar::hidden()).await
    }

    async fn expire(&self, client: &Client) -> Result<(), Failure> {
        let answer = client.describe_time_to_live().table_name(&self.name).send().await;
        let answer = answer.map_err(|error| failed("its expiry cannot be read", &error))?;
        let status = answer.time_to_live_description().and_then(|it| it.time_to_live_status());
        if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
            return Ok(());
        }
        let expiry = TimeToLiveSpecification::builder()
            .attribute_name("expires_at")
            .enabled(true)
            .build()
            .map_err(|error| Failure::machine(&error))?;
        let call = client.update_time_to_live().table_name(&self.name);
        let call = call.time_to_live_specification(expiry);
        call.send().await.map(drop).map_err(|error| failed("its expiry cannot be enabled", &error))
    }

    /// Copies the tags of its source, except those of AWS itself.
    async fn tag(&self, client: &Client, table: &TableDescription) -> Result<(), Failure> {
        let Some(source) = describe(client, &self.source).await? else { return Ok(()) };
        let arn = |table: &TableDescription| table.table_arn().unwrap_or_default().to_owned();
        let answer = client.list_tags_of_resource().resource_arn(arn(&source)).send().await;
        let answer = answer.map_err(|error| failed("tags cannot be read", &error))?;
        let tags = answer.tags().iter().filter(|tag| !tag.key().starts_with("aws:")).cloned();
        let tags: Vec<_> = tags.collect();
        if tags.is_empty() {
            return Ok(());
        }
        let call = client.tag_resource().resource_arn(arn(table)).set_tags(Some(tags));
        call.send().await.map(drop).map_err(|error| failed("it cannot be tagged", &error))
    }

    /// The label of its stream, which the stack needs.
    pub(super) async fn stream_label(&self, client: &Client) -> Result<String, Failure> {
        let table = describe(client, &self.name).await?.ok_or_else(|| gone(&self.name))?;
        let label = table.latest_stream_label().map(str::to_owned);
        label.ok_or_else(|| Failure::Machine(format!("{} has no stream", self.name)))
    }
}

/// Whether there is a table of that name.
pub(super) async fn exists(client: &Client, name: &str) -> Result<bool, Failure> {
    Ok(describe(client, name).await?.is_some())
}

async fn describe(client: &Client, name: &str) -> Result<Option<TableDescription>, Failure> {
    match client.describe_table().table_name(name).send().await {
        Ok(answer) => Ok(answer.table().cloned()),
        Err(SdkError::ServiceError(error))
            if matches!(error.err(), DescribeTableError::ResourceNotFoundException(_)) =>
        {
            Ok(None)
        }
        Err(error) => Err(failed("the table cannot be looked at", &error)),
    }
}

/// A page of a table.
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    pub(super) next: Option<Item>,
}

pub(super) async fn scan(
    client: &Client,
    table: &str,
    after: Option<Item>,
) -> Result<Page, Failure> {
    let call = client.scan().table_name(table).consistent_read(true).limit(MOST_PAGE);
    let answer = call.set_exclusive_start_key(after).send().await;
    let answer = answer.map_err(|error| failed("the restored table cannot be read", &error))?;
    let next = answer.last_evaluated_key;
    Ok(Page { items: answer.items.unwrap_or_default(), next })
}

/// For each item of a page, at most two keys are read.
const MOST_PAGE: i32 = 100;

/// An item's key as text, to find it again among others.
pub(super) fn name_of(key: &Item) -> String {
    let mut parts: Vec<String> = key
        .iter()
        .map(|(name, value)| match value {
            AttributeValue::S(text) => format!("{name}={text}"),
            AttributeValue::B(bytes) => format!("{name}={:02x?}", bytes.as_ref()),
            other => format!("{name}={other:?}"),
        })
        .collect();
    parts.sort();
    parts.join(" ")
}

/// The items of a table under these keys, by the names of the keys.
pub(super) async fn get_all(
    client: &Client,
    table: &str,
    keys: Vec<Item>,
    kind: Kind,
) -> Result<HashMap<String, Item>, Failure> {
    // No key twice: DynamoDB refuses that.
    let keys: HashMap<String, Item> = keys.into_iter().map(|key| (name_of(&key), key)).collect();
    let keys: Vec<Item> = keys.into_values().collect();
    let mut found = HashMap::new();
    for chunk in keys.chunks(MOST_READ) {
        let mut left = Some(asked(chunk.to_vec())?);
        for attempt in 0..=BATCH_TRIES {
            let Some(keys) = left.take() else { break };
            pause(attempt).await;
            let answer = client.batch_get_item().request_items(table, keys).send().await;
            let answer = answer.map_err(|error| failed("the table cannot be read", &error))?;
            let items = answer.responses.and_then(|mut tables| tables.remove(table));
            for item in items.unwrap_or_default() {
                found.insert(name_of(&super::key(&item, kind)), item);
            }
            left = answer.unprocessed_keys.and_then(|mut tables| tables.remove(table));
        }
        if left.is_some() {
            return Err(throttled(table));
        }
    }
    Ok(found)
}

fn asked(keys: Vec<Item>) -> Result<KeysAndAttributes, Failure> {
    let asked = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
    asked.build().map_err(|error| Failure::machine(&error))
}

pub(super) fn put(item: Item) -> Result<WriteRequest, Failure> {
    let put = PutRequest::builder().set_item(Some(item)).build();
    let put = put.map_err(|error| Failure::machine(&error))?;
    Ok(WriteRequest::builder().put_request(put).build())
}

pub(super) fn delete(key: Item) -> Result<WriteRequest, Failure> {
    let delete = DeleteRequest::builder().set_key(Some(key)).build();
    let delete = delete.map_err(|error| Failure::machine(&error))?;
    Ok(WriteRequest::builder().delete_request(delete).build())
}

pub(super) async fn write_all(
    client: &Client,
    table: &str,
    requests: Vec<WriteRequest>,
) -> Result<(), Failure> {
    for chunk in requests.chunks(MOST_WRITTEN) {
        let mut left = Some(chunk.to_vec());
        for attempt in 0..=BATCH_TRIES {
            let Some(requests) = left.take() else { break };
            pause(attempt).await;
            let answer = client.batch_write_item().request_items(table, requests).send().await;
            let answer = answer.map_err(|error| failed("the table cannot be written", &error))?;
            left = answer.unprocessed_items.and_then(|mut tables| tables.remove(table));
        }
        if left.is_some() {
            return Err(throttled(table));
        }
    }
    Ok(())
}

/// Waits before a batch is tried again: 50 ms, then twice as long each time.
async fn pause(attempt: u32) {
    if attempt > 0 {
        tokio::time::sleep(Duration::from_millis(25 << attempt)).await;
    }
}

fn throttled(table: &str) -> Failure {
    Failure::Machine(format!("DynamoDB throttles {table}; run the command again"))
}

fn gone(table: &str) -> Failure {
    Failure::Machine(format!("there is no table {table}"))
}

/// The cause is DynamoDB's own text, which names tables but no items.
fn failed(what: &str, error: &(impl std::error::Error + 'static)) -> Failure {
    Failure::Machine(format!("{what}: {}", DisplayErrorContext(error)))
}
