//! How many codes may be tried, and how many messages may be sent. A counter holds the ids of what it
//! counted, so that what arrives twice counts once.

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::{
    attempts::AttemptId,
    challenge::{CODE_TRIES_PER_DAY, Purpose},
    email::EmailAddress,
    ids::LetterId,
    time::UnixMillis,
};

use super::Challenges;
use crate::{
    StoreError,
    conditions::EXPIRES_AT,
    expression::{Changes, Condition, Path, absent, any, contains, has_fewer_than},
    item::{binary, binary_set, number, string},
    write::{Write, pk},
};

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// The counter has counted this already, or has room for it.
fn admits(counted: Path, member: AttributeValue, most: usize) -> Condition {
    any([absent(counted), contains(counted, member), has_fewer_than(counted, most)])
}

impl Challenges {
    /// Counts a proof that is about to be compared, for an address, known or not. Returns `false` if
    /// there have been too many today. The same attempt counts once.
    ///
    /// # Errors
    /// [`StoreError`]; the proof must not be compared then.
    pub async fn count_try(
        &self,
        purpose: Purpose,
        email: &EmailAddress,
        attempt: AttemptId,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let day = now.seconds().get() / DAY;
        let changes = Changes::new()
            .set(EXPIRES_AT, number((day + 2) * DAY))
            .add("tried", binary_set(attempt.as_bytes()));
        let key = pk(format!("tries#{}#{email}#{day}", purpose.as_str()));
        Write::update(&self.table, key, changes)
            .when(admits("tried", binary(attempt.as_bytes()), CODE_TRIES_PER_DAY))
            .send(&self.client)
            .await
    }

    /// Counts a message of some kind. Returns `false` if its address got `most` of that kind within
    /// the hour. A letter that is tried again is counted once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_mail(
        &self,
        email: &EmailAddress,
        (kind, most): (&str, usize),
        letter: LetterId,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let hour = now.seconds().get() / HOUR;
        let id = letter.to_string();
        let changes = Changes::new()
            .set(EXPIRES_AT, number((hour + 2) * HOUR))
            .add("letters", AttributeValue::Ss(vec![id.clone()]));
        Write::update(&self.table, pk(format!("mails#{kind}#{email}#{hour}")), changes)
            .when(admits("letters", string(id), most))
            .send(&self.client)
            .await
    }
}
