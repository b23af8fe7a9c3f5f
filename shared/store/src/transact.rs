//! Several items that change together or not at all.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{Delete, Put, TransactWriteItem, Update, builders::PutBuilder},
};

use ratchet_core::time::UnixMillis;

use crate::{
    StoreError,
    item::{Item, number},
};

/// How often a transaction that met another one is tried.
const TRIES: u32 = 4;

/// Writes all of `items`, or none. Returns `false` if a condition does not hold.
///
/// The SDK gives every call an idempotency token and keeps it when it tries again, so a
/// transaction whose answer was lost is not taken for one whose condition failed.
pub(crate) async fn transact(
    client: &Client,
    items: Vec<TransactWriteItem>,
) -> Result<bool, StoreError> {
    let mut tries = 1;
    loop {
        let call = client.transact_write_items().set_transact_items(Some(items.clone()));
        let Err(error) = call.send().await else { return Ok(true) };
        match cancelled(&error) {
            Some(Cancelled::ConditionFailed) => return Ok(false),
            // Another transaction had one of the items at that moment. Nothing was written.
            Some(Cancelled::Conflict) if tries < TRIES => {
                tokio::time::sleep(Duration::from_millis(20 << tries)).await;
                tries += 1;
            }
            _ => return Err(StoreError::new("TransactWriteItems", error)),
        }
    }
}

enum Cancelled {
    ConditionFailed,
    Conflict,
}

fn cancelled<R>(error: &SdkError<TransactWriteItemsError, R>) -> Option<Cancelled> {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
        error.as_service_error()
    else {
        return None;
    };
    let because =
        |code| cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some(code));
    if because("ConditionalCheckFailed") {
        Some(Cancelled::ConditionFailed)
    } else if because("TransactionConflict") {
        Some(Cancelled::Conflict)
    } else {
        None
    }
}

/// An operation that lacks a required member: a defect in here.
fn incomplete<E>(_: E) -> StoreError {
    StoreError::MalformedItem("transaction")
}

pub(crate) fn put(put: PutBuilder) -> Result<TransactWriteItem, StoreError> {
    let put: Put = put.build().map_err(incomplete)?;
    Ok(TransactWriteItem::builder().put(put).build())
}

pub(crate) fn update(
    update: aws_sdk_dynamodb::types::builders::UpdateBuilder,
) -> Result<TransactWriteItem, StoreError> {
    let update: Update = update.build().map_err(incomplete)?;
    Ok(TransactWriteItem::builder().update(update).build())
}

pub(crate) fn delete(
    delete: aws_sdk_dynamodb::types::builders::DeleteBuilder,
) -> Result<TransactWriteItem, StoreError> {
    let delete: Delete = delete.build().map_err(incomplete)?;
    Ok(TransactWriteItem::builder().delete(delete).build())
}

/// The condition that nothing is kept under a key, or only what has expired and waits for TTL.
const FREE: &str = "attribute_not_exists(pk) OR expires_at <= :second";

/// The condition that something is, and has not expired.
pub(crate) const TAKEN: &str =
    "attribute_exists(pk) AND (attribute_not_exists(expires_at) OR expires_at > :second)";

/// Puts an item under a key that nothing is kept under.
pub(crate) fn put_new(table: &str, item: Item) -> Result<TransactWriteItem, StoreError> {
    put(put_if(table, item, "attribute_not_exists(pk)"))
}

/// Puts an item that can expire, over another such item if there is one.
pub(crate) fn put_over(table: &str, item: Item) -> Result<TransactWriteItem, StoreError> {
    put(put_if(table, item, "attribute_not_exists(pk) OR attribute_exists(expires_at)"))
}

/// Puts an item under a key that is [`FREE`].
pub(crate) fn put_free(
    table: &str,
    item: Item,
    now: UnixMillis,
) -> Result<TransactWriteItem, StoreError> {
    put(put_if(table, item, FREE)
        .expression_attribute_values(":second", number(now.seconds().get())))
}

fn put_if(table: &str, item: Item, condition: &str) -> PutBuilder {
    Put::builder().table_name(table).set_item(Some(item)).condition_expression(condition)
}
