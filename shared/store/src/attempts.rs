//! Counters of attempts, in the users table: one item each, which its TTL removes.

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, ReturnValue},
};
use ratchet_core::{
    attempts::{AttemptId, AttemptKey, Counter, Failures, REMEMBERED, Throttle, ThrottleDecision},
    time::UnixMillis,
};

use crate::{
    StoreError,
    conditions::{EXPIRES_AT, is_new, is_present},
    expression::{Changes, Condition, Path, above, all, any, at_most, below, differs, is_number},
    item::{Item, Reader, binary, number},
    write::{Updated, Write, pk},
};

/// The attempts counted most recently, newest first.
const TAKEN: [Path; REMEMBERED] =
    ["last_attempt", "last_attempt_2", "last_attempt_3", "last_attempt_4"];

/// The attempts settled most recently, newest first.
const SETTLED: [Path; REMEMBERED] = ["settled_1", "settled_2", "settled_3", "settled_4"];

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

    /// Counts an attempt, if and only if `throttle` allows it: [`Counter::take`] in one conditional
    /// write. If the condition does not hold, the returned item says why.
    ///
    /// # Errors
    /// [`StoreError`]; the attempt must not be made.
    pub async fn take(
        &self,
        key: &AttemptKey,
        throttle: &Throttle,
        attempt: AttemptId,
        now: UnixMillis,
    ) -> Result<ThrottleDecision, StoreError> {
        let changes = Changes::new()
            .set("last_at", number(now.get()))
            .set(EXPIRES_AT, number(key.expires_at(now.seconds()).get()))
            .add("failures", number(1_u64));
        let allowed = all([is_readable(), is_not_among(TAKEN, attempt), is_allowed(throttle, now)]);
        let write = Write::update(&self.table, pk(key.as_str()), shift(changes, TAKEN, attempt))
            .when(any([is_new(), allowed]));
        let item = match write.send_update(&self.client).await? {
            Updated::Written(_) => return Ok(ThrottleDecision::Allow),
            Updated::Unmet(item) => item.ok_or(StoreError::MalformedItem("attempts"))?,
        };
        // An earlier try of the SDK may have been applied although its answer was lost.
        match Counter::take(Some(&to_counter(&item)?), attempt, throttle, now) {
            // Condition and decision can differ only by a defect. Fail rather than allow the
            // attempt.
            (ThrottleDecision::Allow, Some(_)) => Err(StoreError::MalformedItem("failures")),
            (decision, _) => Ok(decision),
        }
    }

    /// Resets the count, because the password was right. `attempt` is settled once, however often
    /// this write arrives.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reset(&self, key: &AttemptKey, attempt: AttemptId) -> Result<(), StoreError> {
        let changes = Changes::new().set("failures", number(0_u64));
        self.settle(key, attempt, changes, is_present()).await.map(drop)
    }

    /// Takes back one attempt that was not a failure. `attempt` is settled once, however often this
    /// write arrives, and the counter never falls below zero.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn give_back(&self, key: &AttemptKey, attempt: AttemptId) -> Result<(), StoreError> {
        let changes = Changes::new().add("failures", AttributeValue::N("-1".to_owned()));
        self.settle(key, attempt, changes, above("failures", number(0_u64))).await.map(drop)
    }

    /// Takes back one attempt whose code was right, and up to `errors` failures before it:
    /// [`Counter::forgive`]. `attempt` is settled once, however often this write arrives.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forgive(
        &self,
        key: &AttemptKey,
        attempt: AttemptId,
        errors: u32,
    ) -> Result<(), StoreError> {
        let all = errors.saturating_add(1);
        let less = Changes::new().add("failures", AttributeValue::N(format!("-{all}")));
        let enough = above("failures", number(errors));
        if !self.settle(key, attempt, less, enough).await? {
            let none = Changes::new().set("failures", number(0_u64));
            let few = all_of_few(errors);
            self.settle(key, attempt, none, few).await?;
        }
        Ok(())
    }

    /// Removes a counter: the account is unlocked. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget(&self, key: &AttemptKey) -> Result<bool, StoreError> {
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete.set_key(Some(pk(key.as_str()))).return_values(ReturnValue::AllOld);
        let deleted = delete.send().await.map_err(|error| StoreError::new("DeleteItem", error))?;
        Ok(deleted.attributes.is_some())
    }

    /// What a counter holds, read consistently.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, key: &AttemptKey) -> Result<Option<Failures>, StoreError> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.set_key(Some(pk(key.as_str()))).send().await;
        let output = get.map_err(|error| StoreError::new("GetItem", error))?;
        output.item.as_ref().map(to_failures).transpose()
    }

    /// A missing counter, one at zero, and one where the attempt is settled already need no write.
    /// Returns whether there was one.
    async fn settle(
        &self,
        key: &AttemptKey,
        attempt: AttemptId,
        changes: Changes,
        condition: Condition,
    ) -> Result<bool, StoreError> {
        Write::update(&self.table, pk(key.as_str()), shift(changes, SETTLED, attempt))
            .when(condition)
            .when(is_not_among(SETTLED, attempt))
            .send(&self.client)
            .await
    }
}

/// There are some failures, but no more than these errors.
fn all_of_few(errors: u32) -> Condition {
    all([above("failures", number(0_u64)), at_most("failures", number(errors))])
}

/// The time of the last attempt is readable; without it there would be no delay. Every step of the
/// throttle compares `failures`, so that is a number too.
fn is_readable() -> Condition {
    is_number("last_at")
}

/// [`Throttle::decide`] allows an attempt, by [`Throttle::steps`].
fn is_allowed(throttle: &Throttle, now: UnixMillis) -> Condition {
    let steps = throttle.steps(now);
    let steps = steps.iter().map(|step| {
        let few = below("failures", number(step.below));
        match step.last_until {
            None => few,
            Some(until) => all([few, at_most("last_at", number(until.get()))]),
        }
    });
    any(steps.collect::<Vec<_>>())
}

/// The attempt is not one that the counter remembers.
fn is_not_among(slots: [Path; REMEMBERED], attempt: AttemptId) -> Condition {
    all(slots.map(|slot| differs(slot, binary(attempt.as_bytes()))))
}

/// Remembers the attempt in place of the oldest one. Slots that are still empty get the attempt
/// too, because DynamoDB cannot copy a missing attribute.
fn shift(changes: Changes, slots: [Path; REMEMBERED], attempt: AttemptId) -> Changes {
    let [first, second, third, fourth] = slots;
    let attempt = binary(attempt.as_bytes());
    changes
        .copy_or(fourth, third, attempt.clone())
        .copy_or(third, second, attempt.clone())
        .copy_or(second, first, attempt.clone())
        .set(first, attempt)
}

fn to_failures(item: &Item) -> Result<Failures, StoreError> {
    let item = Reader(item);
    Ok(Failures {
        count: u32::try_from(item.number("failures")?).unwrap_or(u32::MAX),
        last: UnixMillis::new(item.number("last_at")?),
    })
}

fn to_counter(item: &Item) -> Result<Counter, StoreError> {
    let slots = |slots: [Path; REMEMBERED]| -> Result<[Option<AttemptId>; REMEMBERED], StoreError> {
        let mut attempts = [None; REMEMBERED];
        for (attempt, slot) in attempts.iter_mut().zip(slots) {
            *attempt = Reader(item).optional_bytes(slot)?.map(AttemptId::new);
        }
        Ok(attempts)
    };
    Ok(Counter { failures: to_failures(item)?, taken: slots(TAKEN)?, settled: slots(SETTLED)? })
}
