//! Limits on codes tried and messages sent. A counter holds the ids of what it counted, so that a
//! repeated write counts once.

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::{
    attempts::AttemptId,
    challenge::{CODE_TRIES_PER_DAY, Purpose},
    email::EmailAddress,
    ids::{LetterId, UserId},
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

/// The counter has room for this, or has counted it already.
fn admits(counted: Path, member: AttributeValue, most: usize) -> Condition {
    any([absent(counted), contains(counted, member), has_fewer_than(counted, most)])
}

impl Challenges {
    /// Counts comparisons of a code before they are made, for an address, known or not. Returns
    /// `false` if there would be too many today. The same attempts count once.
    ///
    /// # Errors
    /// [`StoreError`]; do not compare the code then.
    pub async fn count_tries(
        &self,
        purpose: Purpose,
        email: &EmailAddress,
        attempts: &[AttemptId],
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let Some(one) = attempts.first() else { return Ok(true) };
        let day = now.seconds().get() / DAY;
        let changes = Changes::new()
            .set(EXPIRES_AT, number((day + 2) * DAY))
            .add("tried", binary_set(attempts.iter().map(|attempt| &attempt.as_bytes()[..])));
        let key = pk(format!("tries#{}#{email}#{day}", purpose.as_str()));
        let room_for_one = CODE_TRIES_PER_DAY.saturating_sub(attempts.len() - 1);
        Write::update(&self.table, key, changes)
            .when(admits("tried", binary(one.as_bytes()), room_for_one))
            .send(&self.client)
            .await
    }

    /// Counts a message of some kind. Returns `false` if its address already got `most` messages of
    /// that kind within the hour. Counts a message once per letter and `user`, even if sending it
    /// is tried again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_mail(
        &self,
        email: &EmailAddress,
        (kind, most): (&str, usize),
        (letter, user): (LetterId, Option<UserId>),
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let hour = now.seconds().get() / HOUR;
        let id = user.map_or_else(|| letter.to_string(), |user| format!("{letter}/{user}"));
        let changes = Changes::new()
            .set(EXPIRES_AT, number((hour + 2) * HOUR))
            .add("letters", AttributeValue::Ss(vec![id.clone()]));
        Write::update(&self.table, pk(format!("mails#{kind}#{email}#{hour}")), changes)
            .when(admits("letters", string(id), most))
            .send(&self.client)
            .await
    }
}
