//! The tokens table: one item per session.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use ratchet_core::{
    dpop::Thumbprint,
    ids::{SessionId, UserId},
    revocations::MAX_ENDED,
    session::{RevocationReason, Session},
    time::{UnixMillis, UnixSeconds},
};

use crate::{
    StoreError,
    expression::{Changes, Condition, absent, any, equals, exists},
    item::{Reader, binary, number, string},
    write::{Updated, Write},
};

mod item;
mod recovery;
mod rotation;
mod state;
mod step_up;

pub use rotation::SessionUpdate;
#[cfg(test)]
pub(crate) use state::fixture;
pub(crate) use state::{STATE, to_state};

/// Exposes the session item to the fuzz targets.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use super::item::{from_session, to_session};
}

/// The tokens table.
#[derive(Debug, Clone)]
pub struct Sessions {
    client: Client,
    table: String,
    published_for: Option<Duration>,
}

/// The sessions of a user.
#[derive(Debug, Default)]
pub struct SessionList {
    /// Oldest first.
    pub sessions: Vec<Session>,
    /// Sessions that this release cannot read, and why. They must not block the others or a
    /// sign-in.
    pub unreadable: Vec<(SessionId, StoreError)>,
}

impl SessionList {
    /// The sessions to revoke: those that `ends` names, expired ones included, because another
    /// function's clock may be behind ours; and those that cannot be read, except the spared one.
    pub fn to_revoke(
        &self,
        spared: Option<SessionId>,
        ends: impl Fn(&Session) -> bool,
    ) -> impl Iterator<Item = SessionId> {
        let live = self.sessions.iter().filter(|session| session.revoked.is_none());
        let ended = live.filter(move |session| ends(session)).map(|session| session.session_id);
        let unreadable = self.unreadable.iter().map(|(session_id, _)| *session_id);
        ended.chain(unreadable.filter(move |session_id| Some(*session_id) != spared))
    }
}

/// The result of a log-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOutResult {
    /// This call ended the session.
    Ended,
    /// It had ended before, or never existed.
    EndedBefore,
    /// It is bound to a key whose possession was not proved. Nothing changed.
    KeyNotProved,
}

/// The index of ended sessions, by when they ended: those that have the attribute `published`.
const ENDS_INDEX: &str = "ends";

/// Its partition key, the same for all items. One partition of an index takes a thousand new items
/// a second; beyond that, writes to the table are throttled.
const PUBLISHED: &str = "ended";

/// There is no such session yet.
const fn is_new() -> Condition {
    absent("session_id")
}

/// There is such a session.
const fn is_present() -> Condition {
    exists("session_id")
}

/// The session was not revoked.
const fn is_not_revoked() -> Condition {
    absent("revoked_at")
}

impl Sessions {
    /// The table called `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), published_for: None }
    }

    /// The same table, but sessions that end from now on are found in [`Self::ends`] for at least
    /// this time. The write that ends a session also publishes its end, so the two always agree.
    #[must_use]
    pub fn publishing_ends(self, published_for: Option<Duration>) -> Self {
        Self { published_for, ..self }
    }

    /// Writes a new session. A retry that arrives late does not overwrite a session that was
    /// refreshed or ended meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create(&self, session: &Session) -> Result<(), StoreError> {
        // An id has 74 random bits, so an existing item is from an earlier try of this write.
        self.creation(session).send(&self.client).await.map(drop)
    }

    /// The same, as part of a transaction.
    pub(crate) fn creation(&self, session: &Session) -> Write {
        Write::put(&self.table, item::from_session(session)).when(is_new())
    }

    /// Ends a session, whatever generation it has reached. Returns whether this call ended it;
    /// `false` if it had ended before or never existed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke(
        &self,
        user_id: UserId,
        session_id: SessionId,
        reason: RevocationReason,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        self.revocation(user_id, session_id, reason, now).send(&self.client).await
    }

    /// Logs out: ends a session, unless it is bound to a key other than `key`
    /// ([`Session::accepts`]).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log_out(
        &self,
        user_id: UserId,
        session_id: SessionId,
        key: Option<Thumbprint>,
        now: UnixMillis,
    ) -> Result<LogOutResult, StoreError> {
        let mut accepts = vec![absent(item::JKT)];
        accepts.extend(key.map(|key| equals(item::JKT, binary(key.as_bytes()))));
        let write = self
            .revocation(user_id, session_id, RevocationReason::LoggedOut, now)
            .when(any(accepts));
        Ok(match write.send_update(&self.client).await? {
            Updated::Written(_) => LogOutResult::Ended,
            Updated::Unmet(Some(item)) if item::to_session(&item)?.ended(now).is_none() => {
                LogOutResult::KeyNotProved
            }
            Updated::Unmet(_) => LogOutResult::EndedBefore,
        })
    }

    fn revocation(
        &self,
        user_id: UserId,
        session_id: SessionId,
        reason: RevocationReason,
        now: UnixMillis,
    ) -> Write {
        let changes = Changes::new()
            .set("revoked_at", number(now.get()))
            .set("revoked_reason", string(reason.as_str()))
            // Nothing recovers it now, and the item stays below 1 KiB.
            .remove(item::RECOVERED);
        let changes = match self.published_for {
            None => changes,
            // TTL must not delete the session before its access tokens have expired.
            Some(published_for) => changes.set("published", string(PUBLISHED)).increase(
                "expires_at",
                number(now.seconds().get()),
                number(published_for.as_secs()),
            ),
        };
        Write::update(&self.table, item::key(user_id, session_id), changes)
            .when(is_present())
            .when(is_not_revoked())
    }

    /// Reads one session, consistently.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<Option<Session>, StoreError> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.set_key(Some(item::key(user_id, session_id)));
        let output = get.send().await.map_err(|error| StoreError::new("GetItem", error))?;
        output.item.as_ref().map(item::to_session).transpose()
    }

    /// All sessions of a user that are still in the table, including ended ones, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, user_id: UserId) -> Result<SessionList, StoreError> {
        let mut list = SessionList::default();
        for item in self.items_about(user_id).await? {
            match item::to_session(&item) {
                Ok(session) => list.sessions.push(session),
                Err(error) => list.unreadable.push((item::session_id(&item)?, error)),
            }
        }
        Ok(list)
    }

    /// The items of the sessions that [`Self::list`] returns, as they are stored.
    ///
    /// # Security
    /// They contain hashes and sealed secrets.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn items_about(
        &self,
        user_id: UserId,
    ) -> Result<Vec<HashMap<String, AttributeValue>>, StoreError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let output = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("user_id = :user_id")
                .expression_attribute_values(":user_id", binary(user_id.as_bytes()))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| StoreError::new("Query", error))?;
            items.extend(output.items.unwrap_or_default());
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// The published sessions that ended at `since` or later, the latest first. If there are too
    /// many for a list, returns one more than it has room for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ends(
        &self,
        since: UnixSeconds,
    ) -> Result<Vec<(SessionId, UnixMillis)>, StoreError> {
        let query = self.client.query().table_name(&self.table).index_name(ENDS_INDEX);
        let query = query
            .key_condition_expression("published = :published AND revoked_at >= :since")
            .expression_attribute_values(":published", string(PUBLISHED))
            .expression_attribute_values(":since", number(since.get().saturating_mul(1_000)))
            .scan_index_forward(false)
            // Far less than one response can hold.
            .limit(i32::try_from(MAX_ENDED + 1).unwrap_or(i32::MAX));
        let output = query.send().await.map_err(|error| StoreError::new("Query", error))?;
        // An item without a valid key belongs to no token, and must not hide the others.
        let read = |item| {
            let item = Reader(item);
            let id = SessionId::from_bytes(item.bytes("session_id").ok()?);
            Some((id, UnixMillis::new(item.number("revoked_at").ok()?)))
        };
        Ok(output.items.unwrap_or_default().iter().filter_map(read).collect())
    }

    /// Deletes a session. Its tokens are then refused as unknown.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete(&self, user_id: UserId, session_id: SessionId) -> Result<(), StoreError> {
        let delete = Write::delete(&self.table, item::key(user_id, session_id));
        delete.send(&self.client).await.map(drop)
    }
}
