//! Transactions: several items that change together or not at all.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    types::{CancellationReason, TransactWriteItem},
};

use crate::{StoreError, write::Write};

/// How often a transaction that conflicts with another one is tried.
const TRIES: u32 = 4;

/// Writes all of `writes`, or none. Returns `false` if a condition does not hold.
///
/// The SDK gives every call an idempotency token (`ClientRequestToken`) and keeps it for retries.
/// So a transaction that was applied, but whose answer was lost, does not appear to have failed its
/// condition.
pub(crate) async fn transact(client: &Client, writes: Vec<Write>) -> Result<bool, StoreError> {
    Ok(transact_each(client, writes).await?.is_none())
}

/// Like [`transact`], but if the answers to all tries were lost, `was_written` finds out from the
/// items whether the transaction was applied.
pub(crate) async fn transact_and_check(
    client: &Client,
    writes: Vec<Write>,
    was_written: impl AsyncFnOnce() -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    match transact(client, writes).await {
        Err(error @ StoreError::Unavailable { .. }) => match was_written().await {
            Ok(true) => Ok(true),
            Ok(false) | Err(_) => Err(error),
        },
        outcome => outcome,
    }
}

/// Like [`transact`], but returns `None` if all were written, and otherwise which writes'
/// conditions failed.
pub(crate) async fn transact_each(
    client: &Client,
    writes: Vec<Write>,
) -> Result<Option<Vec<bool>>, StoreError> {
    let parts = writes.into_iter().map(Write::into_part);
    let parts: Vec<TransactWriteItem> = parts.collect::<Result<_, _>>()?;
    let mut tries = 1;
    loop {
        let call = client.transact_write_items().set_transact_items(Some(parts.clone()));
        let Err(error) = call.send().await else { return Ok(None) };
        let unmet = failed(error.as_service_error(), "ConditionalCheckFailed");
        if unmet.contains(&true) {
            return Ok(Some(unmet));
        }
        let conflicts = failed(error.as_service_error(), "TransactionConflict");
        if !conflicts.contains(&true) || tries == TRIES {
            return Err(StoreError::new("TransactWriteItems", error));
        }
        // Another transaction had one of the items at that moment. Nothing was written.
        tokio::time::sleep(Duration::from_millis(20 << tries)).await;
        tries += 1;
    }
}

/// Which writes caused the transaction to be cancelled for this reason.
fn failed(error: Option<&TransactWriteItemsError>, code: &str) -> Vec<bool> {
    let failed = |reason: &CancellationReason| reason.code() == Some(code);
    match error {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().iter().map(failed).collect()
        }
        _ => Vec::new(),
    }
}
