//! Noting a late recovery.

use ratchet_core::{session::Session, time::UnixMillis};

use super::{
    SessionUpdate, Sessions, is_not_revoked, item,
    rotation::{is_live_token, lasts},
};
use crate::{
    StoreError,
    expression::{Changes, absent, equals},
    item::number,
    write::Write,
};

impl Sessions {
    /// Notes, in one conditional write, that the live generation of `session` is recovered late.
    /// Answer with the live token only if the note was written.
    ///
    /// The condition names the generation, the hash and the notes that were read, so one of several
    /// concurrent requests makes the note, and the others see it. From now on the late token is a
    /// recent one for a retry window, so other requests of its client that are under way are no theft.
    ///
    /// # Errors
    /// [`StoreError`]; the note may have been written nevertheless. The next request with the same
    /// token then finds it.
    pub async fn note_late_recovery(
        &self,
        session: &Session,
        now: UnixMillis,
    ) -> Result<SessionUpdate, StoreError> {
        let notes = item::recovered(&session.recovered_late(now).recovered)
            .ok_or(StoreError::MalformedItem(item::RECOVERED))?;
        let as_read = match item::recovered(&session.recovered) {
            None => absent(item::RECOVERED),
            Some(notes) => equals(item::RECOVERED, notes),
        };
        let changes = Changes::new()
            .set(item::RECOVERED, notes)
            .set(item::LAST_SUPERSEDED_AT, number(now.get()));
        let key = item::key(session.user_id, session.session_id);
        let write = Write::update(&self.table, key, changes)
            .when(is_live_token(session.generation, session.token_hash))
            .when(is_not_revoked())
            .when(lasts(now))
            .when(as_read);
        SessionUpdate::read(&write.send_update(&self.client).await?)
    }
}
