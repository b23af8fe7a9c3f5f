//! Counters of attempts, in the users table: one item each, which its TTL removes.

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::UpdateItemError,
    types::{ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use ratchet_core::{
    attempts::{AttemptId, AttemptKey, Failures, Throttle, ThrottleDecision},
    time::UnixMillis,
};

use crate::{
    StoreError,
    item::{Item, Reader, binary, number, string},
};

/// The counters.
#[derive(Debug, Clone)]
pub struct Attempts {
    client: Client,
    table: String,
}

impl Attempts {
    /// The counters in the table called `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Counts an attempt, if and only if `throttle` allows it: one conditional write.
    ///
    /// The condition is [`Throttle::steps`]; if it does not hold, the item says why. The types are
    /// part of it so that a damaged counter is found and not read as an empty one.
    ///
    /// # Errors
    /// [`StoreError`]; nothing may be tried then.
    pub async fn take(
        &self,
        key: &AttemptKey,
        throttle: &Throttle,
        attempt: AttemptId,
        now: UnixMillis,
    ) -> Result<ThrottleDecision, StoreError> {
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(key.as_str()))
            .update_expression(
                "SET last_at = :now, last_attempt = :attempt, expires_at = :expires_at \
                 ADD failures :one",
            )
            .expression_attribute_values(":now", number(now.get()))
            .expression_attribute_values(":attempt", binary(attempt.as_bytes()))
            .expression_attribute_values(":expires_at", number(key.expires_at(now.seconds()).get()))
            .expression_attribute_values(":one", number(1_u64))
            .expression_attribute_values(":number", string("N"));
        let mut allowed = Vec::new();
        for (position, step) in throttle.steps(now).iter().enumerate() {
            let below = format!(":below_{position}");
            update = update.expression_attribute_values(&below, number(step.below));
            match step.last_until {
                None => allowed.push(format!("failures < {below}")),
                Some(until) => {
                    let until_name = format!(":until_{position}");
                    allowed.push(format!("failures < {below} AND last_at <= {until_name}"));
                    update = update.expression_attribute_values(until_name, number(until.get()));
                }
            }
        }
        // A try of the SDK that was applied without our hearing of it is not counted again.
        let condition = format!(
            "attribute_not_exists(pk) OR last_attempt <> :attempt AND \
             attribute_type(failures, :number) AND attribute_type(last_at, :number) AND ({})",
            allowed.join(" OR ")
        );
        let result = update
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = result else { return Ok(ThrottleDecision::Allow) };
        let Some(UpdateItemError::ConditionalCheckFailedException(unmet)) =
            error.as_service_error()
        else {
            return Err(StoreError::new("UpdateItem", error));
        };
        let item = unmet.item.as_ref().ok_or(StoreError::MalformedItem("attempts"))?;
        if Reader(item).optional_bytes("last_attempt")? == Some(*attempt.as_bytes()) {
            return Ok(ThrottleDecision::Allow);
        }
        match throttle.decide(Some(to_failures(item)?), now) {
            // The two can differ only by a defect; nothing may get through by it.
            ThrottleDecision::Allow => Err(StoreError::MalformedItem("failures")),
            decision => Ok(decision),
        }
    }

    /// Begins a new succession: the password was proved.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reset(&self, key: &AttemptKey) -> Result<(), StoreError> {
        let update = self.client.update_item().table_name(&self.table);
        let update = update
            .key("pk", string(key.as_str()))
            .update_expression("SET failures = :zero")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":zero", number(0_u64));
        unless_unmet(update.send().await.map(drop))
    }

    /// Takes one attempt back: it was no failure.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn give_back(&self, key: &AttemptKey) -> Result<(), StoreError> {
        let update = self.client.update_item().table_name(&self.table);
        let update = update
            .key("pk", string(key.as_str()))
            .update_expression("SET failures = failures - :one")
            .condition_expression("failures > :zero")
            .expression_attribute_values(":one", number(1_u64))
            .expression_attribute_values(":zero", number(0_u64));
        unless_unmet(update.send().await.map(drop))
    }

    /// Forgets a counter: the account is unlocked. Whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget(&self, key: &AttemptKey) -> Result<bool, StoreError> {
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete.key("pk", string(key.as_str())).return_values(ReturnValue::AllOld);
        let deleted = delete.send().await.map_err(|error| StoreError::new("DeleteItem", error))?;
        Ok(deleted.attributes.is_some())
    }

    /// What a counter holds, read consistently.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, key: &AttemptKey) -> Result<Option<Failures>, StoreError> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.key("pk", string(key.as_str())).send().await;
        let output = get.map_err(|error| StoreError::new("GetItem", error))?;
        output.item.as_ref().map(to_failures).transpose()
    }
}

fn to_failures(item: &Item) -> Result<Failures, StoreError> {
    let item = Reader(item);
    Ok(Failures {
        count: u32::try_from(item.number("failures")?).unwrap_or(u32::MAX),
        last: UnixMillis::new(item.number("last_at")?),
    })
}

/// A counter that is not there, or at zero, is as it should be.
fn unless_unmet(
    result: Result<
        (),
        aws_sdk_dynamodb::error::SdkError<
            UpdateItemError,
            aws_sdk_dynamodb::config::http::HttpResponse,
        >,
    >,
) -> Result<(), StoreError> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
            _ => Err(StoreError::new("UpdateItem", error)),
        },
    }
}
