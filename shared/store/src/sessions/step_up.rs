//! Noting a step-up: one conditional write, without a read.

use ratchet_core::{
    authentication::Authentication,
    ids::{SessionId, UserId},
};

use super::{Sessions, is_not_revoked, item, rotation::lasts};
use crate::{StoreError, expression::Changes, write::Write};

impl Sessions {
    /// Notes an authentication of the user within a session
    /// ([`Session::step_up`](ratchet_core::session::Session::step_up)). Returns `false` if the
    /// session has ended, or never existed.
    ///
    /// # Security
    /// Changes nothing that decides how long the session lives: neither `auth_time` and `cut_seen`,
    /// by which cuts end it, nor its expiry.
    ///
    /// # Errors
    /// [`StoreError`]; the write may have happened nevertheless.
    pub async fn step_up(
        &self,
        user_id: UserId,
        session_id: SessionId,
        authentication: Authentication,
    ) -> Result<bool, StoreError> {
        self.stepping_up(user_id, session_id, authentication).send(&self.client).await
    }

    /// The same, as part of a transaction.
    pub(crate) fn stepping_up(
        &self,
        user_id: UserId,
        session_id: SessionId,
        authentication: Authentication,
    ) -> Write {
        let changes = Changes::new().set(item::STEP_UP, item::stepped_up(authentication));
        // There is no session without an expiry.
        Write::update(&self.table, item::key(user_id, session_id), changes)
            .when(is_not_revoked())
            .when(lasts(authentication.at))
    }
}
