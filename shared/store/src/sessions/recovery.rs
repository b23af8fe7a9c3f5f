//! The note of a late recovery.

use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use ratchet_core::{session::Session, time::UnixMillis};

use super::{LIVE, RotateResult, Sessions, item, unmet};
use crate::{
    StoreError,
    item::{binary, number},
};

impl Sessions {
    /// Notes that the live generation of `session`, as it was read, is being recovered late: one
    /// conditional write. Nothing may be answered unless it was made.
    ///
    /// The condition asks for the generation, the hash and the notes that were read, so of requests
    /// at the same time one makes the note, and the others see it.
    ///
    /// # Errors
    /// [`StoreError`]; the note may have been made all the same, and the next request with the same
    /// token finds it.
    pub async fn note_late_recovery(
        &self,
        session: &Session,
        now: UnixMillis,
    ) -> Result<RotateResult, StoreError> {
        let recovered = item::RECOVERED;
        let noted = item::recovered(&session.recovered_late().recovered)
            .ok_or(StoreError::MalformedItem(item::RECOVERED))?;
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item::key(session.user_id, session.session_id)))
            .update_expression(format!("SET {recovered} = :noted"))
            .expression_attribute_values(":noted", noted)
            .expression_attribute_values(":generation", number(session.generation))
            .expression_attribute_values(":hash", binary(session.token_hash.as_bytes()))
            .expression_attribute_values(":now_seconds", number(now.seconds().get()));
        let (as_read, update) = match item::recovered(&session.recovered) {
            None => (format!("attribute_not_exists({recovered})"), update),
            Some(value) => (
                format!("{recovered} = :as_read"),
                update.expression_attribute_values(":as_read", value),
            ),
        };
        let result = update
            .condition_expression(format!(
                "generation = :generation AND token_hash = :hash AND {LIVE} AND {as_read}"
            ))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(output) => {
                let item = output.attributes.ok_or(StoreError::MalformedItem("attributes"))?;
                Ok(RotateResult::Rotated(item::to_session(&item)?))
            }
            Err(error) => {
                let found = unmet(error)?;
                Ok(RotateResult::Unmet(found.as_ref().map(item::to_session).transpose()?))
            }
        }
    }
}
