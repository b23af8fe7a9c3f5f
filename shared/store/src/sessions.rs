//! The tokens table: one item per session.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    types::{ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use ratchet_core::{
    ids::{SessionId, UserId},
    revocations::MAX_ENDED,
    rotation::{Presented, Rotation},
    session::{RevocationReason, Session},
    time::{UnixMillis, UnixSeconds},
};

use crate::{
    StoreError,
    item::{Reader, VERSION, VERSION_NAME, binary, number, string},
};

mod item;
mod recovery;

/// What a fuzzer reaches of this module: the session item.
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
    /// The oldest first.
    pub sessions: Vec<Session>,
    /// Those that this release can not read, and why: what is wrong with one must not stand in the
    /// way of the others, nor of a sign-in.
    pub unreadable: Vec<(SessionId, StoreError)>,
}

impl SessionList {
    /// The sessions that are to be revoked because `ends` says so, expired ones among them: another
    /// function's clock may be behind ours. Of those that can not be read nobody knows, so they are
    /// too, but for the spared one.
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

/// What became of a rotation.
#[derive(Debug)]
pub enum RotateResult {
    /// It was written; this is the session after it.
    Rotated(Session),
    /// Its condition did not hold; this is the session as it is, if there is one. The decision
    /// table says what that means.
    Unmet(Option<Session>),
}

/// The index that has the sessions that ended, by when they did: those that have the attribute
/// `published`.
const ENDS_INDEX: &str = "ends";

/// Its partition key, the same for all of them. An index takes a thousand new items a second in
/// one partition, and more make the write of the session wait.
const PUBLISHED: &str = "ended";

/// A session is live: the first half of what every write to a live session requires.
const LIVE: &str = "attribute_not_exists(revoked_at) AND expires_at > :now_seconds \
                    AND absolute_expires_at > :now_seconds";

impl Sessions {
    /// The table called `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), published_for: None }
    }

    /// The same table, where sessions that are ended from here on are found in [`Self::ends`] for
    /// so long at least. That is part of the write that ends them: none is lost, and none is told
    /// of that has not ended.
    #[must_use]
    pub fn publishing_ends(self, published_for: Option<Duration>) -> Self {
        Self { published_for, ..self }
    }

    /// Keeps a new session. A try that comes through late never puts a session back that has been
    /// refreshed or ended meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create(&self, session: &Session) -> Result<(), StoreError> {
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .set_item(Some(item::from_session(session)))
            .condition_expression("attribute_not_exists(session_id)");
        match put.send().await {
            Ok(_) => Ok(()),
            // Its id has 74 random bits: what is there is what an earlier try of ours has written.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(StoreError::new("PutItem", error)),
        }
    }

    /// Supersedes the presented token, if and only if the decision table says
    /// [`Rotate`](ratchet_core::rotation::Decision::Rotate): one conditional write, without a read.
    ///
    /// The right-hand sides of the update see the item as it was, which is what shifts the
    /// register. `recent_since` is where the retry window began. The types are part of the
    /// condition so that a damaged item is found before it is written to.
    ///
    /// # Errors
    /// [`StoreError`]; the write may have happened all the same, and the register then leads the
    /// presented token to what this rotation wrote.
    pub async fn rotate(
        &self,
        user_id: UserId,
        session_id: SessionId,
        presented: &Presented,
        rotation: &Rotation,
        recent_since: UnixMillis,
    ) -> Result<RotateResult, StoreError> {
        let [first, second, third, fourth] = item::SLOTS;
        let recovered = item::RECOVERED;
        let superseded = ratchet_core::session::Superseded {
            hash: presented.hash,
            sealed_successor: rotation.sealed_successor,
            superseded_at: rotation.now,
        };
        let result = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item::key(user_id, session_id)))
            .update_expression(format!(
                "SET {VERSION_NAME} = :version, generation = :next_generation, token_hash = :next_hash, \
                 expires_at = :expires_at, network = :network, user_agent = :user_agent, \
                 {fourth} = {third}, {third} = {second}, {second} = {first}, {first} = :superseded"
            ))
            .condition_expression(format!(
                "generation = :generation AND token_hash = :hash AND {LIVE} \
                 AND (attribute_not_exists({fourth}.at_ms) \
                 OR {fourth}.at_ms <= :recent_since) \
                 AND (attribute_not_exists({VERSION_NAME}) OR {VERSION_NAME} <= :version) \
                 AND attribute_type(auth_time, :number) AND attribute_type(cut_seen, :number) \
                 AND attribute_type(source_ip, :string) \
                 AND (attribute_not_exists(device) OR attribute_type(device, :string)) \
                 AND (attribute_not_exists({recovered}) OR attribute_type({recovered}, :binary)) \
                 AND attribute_type({first}, :map) \
                 AND attribute_type({second}, :map) AND attribute_type({third}, :map) \
                 AND attribute_type({fourth}, :map)"
            ))
            .expression_attribute_values(":version", number(VERSION))
            .expression_attribute_values(":generation", number(presented.generation))
            .expression_attribute_values(":hash", binary(presented.hash.as_bytes()))
            .expression_attribute_values(
                ":next_generation",
                number(presented.generation.saturating_add(1)),
            )
            .expression_attribute_values(":next_hash", binary(rotation.next_hash.as_bytes()))
            .expression_attribute_values(":superseded", item::superseded(Some(&superseded)))
            .expression_attribute_values(":expires_at", number(rotation.expires_at.get()))
            .expression_attribute_values(":network", string(&rotation.origin.network))
            .expression_attribute_values(":user_agent", string(&rotation.origin.user_agent))
            .expression_attribute_values(":now_seconds", number(rotation.now.seconds().get()))
            .expression_attribute_values(":recent_since", number(recent_since.get()))
            .expression_attribute_values(":number", string("N"))
            .expression_attribute_values(":string", string("S"))
            .expression_attribute_values(":binary", string("B"))
            .expression_attribute_values(":map", string("M"))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(output) => {
                let item = output.attributes.ok_or(StoreError::MalformedItem("attributes"))?;
                Ok(RotateResult::Rotated(item::to_session(&item)?))
            }
            Err(error) => match unmet(error)? {
                Some(item) => Ok(RotateResult::Unmet(Some(item::to_session(&item)?))),
                None => Ok(RotateResult::Unmet(None)),
            },
        }
    }

    /// Ends a session, whatever generation it has reached meanwhile. Returns whether this call
    /// was the one that did; `false` if it was over already or never was.
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
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item::key(user_id, session_id)))
            .condition_expression(
                "attribute_exists(session_id) AND attribute_not_exists(revoked_at)",
            )
            .expression_attribute_values(":now", number(now.get()))
            .expression_attribute_values(":reason", string(reason.as_str()));
        let set = "SET revoked_at = :now, revoked_reason = :reason";
        let update = match self.published_for {
            None => update.update_expression(set),
            // TTL must not delete it before its access tokens have expired.
            Some(published_for) => update
                .update_expression(format!(
                    "{set}, published = :published, \
                     expires_at = if_not_exists(expires_at, :now_seconds) + :published_for"
                ))
                .expression_attribute_values(":published", string(PUBLISHED))
                .expression_attribute_values(":now_seconds", number(now.seconds().get()))
                .expression_attribute_values(":published_for", number(published_for.as_secs())),
        };
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) => unmet(error).map(|_| false),
        }
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

    /// All sessions of a user that the table still has, ended ones among them, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, user_id: UserId) -> Result<SessionList, StoreError> {
        let mut list = SessionList::default();
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
            for item in output.items.unwrap_or_default() {
                match item::to_session(&item) {
                    Ok(session) => list.sessions.push(session),
                    Err(error) => list.unreadable.push((item::session_id(&item)?, error)),
                }
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(list);
            }
        }
    }

    /// The sessions whose ends are published and which ended at `since` or later, the last one first:
    /// all of them, or one more than a list has room for.
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
            // Far less than what one answer may hold.
            .limit(i32::try_from(MAX_ENDED + 1).unwrap_or(i32::MAX));
        let output = query.send().await.map_err(|error| StoreError::new("Query", error))?;
        // What is no session's key has no tokens, and must not hide the ends of others.
        let read = |item| {
            let item = Reader(item);
            let id = SessionId::from_bytes(item.bytes("session_id").ok()?);
            Some((id, UnixMillis::new(item.number("revoked_at").ok()?)))
        };
        Ok(output.items.unwrap_or_default().iter().filter_map(read).collect())
    }

    /// Forgets a session altogether. Its tokens are refused as those of no session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete(&self, user_id: UserId, session_id: SessionId) -> Result<(), StoreError> {
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete.set_key(Some(item::key(user_id, session_id)));
        delete.send().await.map_err(|error| StoreError::new("DeleteItem", error))?;
        Ok(())
    }
}

/// The item that a failed condition found, or the error if that is not what happened.
fn unmet(
    error: aws_sdk_dynamodb::error::SdkError<
        UpdateItemError,
        aws_sdk_dynamodb::config::http::HttpResponse,
    >,
) -> Result<Option<crate::item::Item>, StoreError> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failure)) => Ok(failure.item.clone()),
        _ => Err(StoreError::new("UpdateItem", error)),
    }
}
