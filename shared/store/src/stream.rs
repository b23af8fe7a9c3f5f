//! The records of the tables' streams, in the form in which Lambda delivers them.
//!
//! An image contains secrets: hashes, and what is sealed. Only the attributes that [`domain_event`]
//! is about are read.
//!
//! [`domain_event`]: ratchet_core::domain_event

use aws_sdk_dynamodb::{
    primitives::{Blob, DateTime, DateTimeFormat},
    types::AttributeValue,
};
use ratchet_core::{
    domain_event::{Change, DomainEvent, Record, of_session, of_user},
    encoding::from_base64,
    ids::{SessionId, UserId},
    time::UnixSeconds,
};
use serde_json::Value;

use crate::{StoreError, item::Item, sessions, users};

#[cfg(test)]
mod tests;

/// Who deletes expired items.
const TTL: &str = "dynamodb.amazonaws.com";

/// The events of a record; none if it is about an item of another kind. A record without a time is
/// taken to be from `received_at`.
///
/// # Errors
/// [`StoreError::MalformedItem`], also if the stream does not have both images.
pub fn events(record: &Value, received_at: UnixSeconds) -> Result<Vec<DomainEvent>, StoreError> {
    let id = record.get("eventID").and_then(Value::as_str);
    let id = id.ok_or(StoreError::MalformedItem("eventID"))?;
    let at = written_at(record).unwrap_or(received_at);
    let from = Record { id, at };
    match subject(record) {
        Some(Subject::User(user_id)) => {
            let change = change(record, &users::STATE, users::to_state)?;
            Ok(of_user(user_id, &change, from))
        }
        Some(Subject::Session(user_id, session_id)) => {
            let change = change(record, &sessions::STATE, sessions::to_state)?;
            Ok(of_session(user_id, session_id, &change, from))
        }
        None => Ok(Vec::new()),
    }
}

/// The key of a record's item, for the log.
#[must_use]
pub fn subject_of(record: &Value) -> String {
    match subject(record) {
        Some(Subject::User(user_id)) => format!("user {user_id}"),
        Some(Subject::Session(user_id, session_id)) => {
            format!("session {session_id} of user {user_id}")
        }
        None => "another item".to_owned(),
    }
}

/// What an item is about.
enum Subject {
    User(UserId),
    Session(UserId, SessionId),
}

fn subject(record: &Value) -> Option<Subject> {
    let keys = record.pointer("/dynamodb/Keys")?;
    if let Some(pk) = keys.pointer("/pk/S").and_then(Value::as_str) {
        return users::id_of_pk(pk).map(Subject::User);
    }
    let bytes = |name: &str| -> Option<[u8; 16]> {
        from_base64(keys.get(name)?.get("B")?.as_str()?)?.try_into().ok()
    };
    let (user_id, session_id) = (bytes("user_id")?, bytes("session_id")?);
    Some(Subject::Session(UserId::from_bytes(user_id), SessionId::from_bytes(session_id)))
}

/// When the change was made. Lambda writes whole seconds, DynamoDB Local also fractions. The AWS CLI,
/// with which operators publish records again, writes RFC 3339.
fn written_at(record: &Value) -> Option<UnixSeconds> {
    let at = record.pointer("/dynamodb/ApproximateCreationDateTime")?;
    if let Some(text) = at.as_str() {
        let at = DateTime::from_str(text, DateTimeFormat::DateTimeWithOffset).ok()?;
        return at.secs().try_into().ok().map(UnixSeconds::new);
    }
    let at = std::time::Duration::try_from_secs_f64(at.as_f64()?).ok()?;
    Some(UnixSeconds::new(at.as_secs()))
}

fn change<S>(
    record: &Value,
    attributes: &[&str],
    read: impl Fn(&Item) -> Result<S, StoreError>,
) -> Result<Change<S>, StoreError> {
    let image = |name: &'static str| {
        let image = record.get("dynamodb").and_then(|change| change.get(name)?.as_object());
        let image = image.filter(|image| !image.is_empty());
        let image = image.ok_or(StoreError::MalformedItem(name))?;
        let wanted = image.iter().filter(|(name, _)| attributes.contains(&name.as_str()));
        let item: Option<Item> =
            wanted.map(|(name, value)| Some((name.clone(), attribute(value)?))).collect();
        read(&item.ok_or(StoreError::MalformedItem(name))?)
    };
    match record.get("eventName").and_then(Value::as_str) {
        Some("INSERT") => Ok(Change::Created(image("NewImage")?)),
        Some("MODIFY") => {
            Ok(Change::Updated { before: image("OldImage")?, after: image("NewImage")? })
        }
        Some("REMOVE") => {
            let by = record.pointer("/userIdentity/principalId").and_then(Value::as_str);
            Ok(Change::Deleted { before: image("OldImage")?, by_ttl: by == Some(TTL) })
        }
        _ => Err(StoreError::MalformedItem("eventName")),
    }
}

/// A value of one of the types that the wanted attributes have.
fn attribute(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object()?.iter().next()?;
    match kind.as_str() {
        "S" => Some(AttributeValue::S(value.as_str()?.to_owned())),
        "N" => Some(AttributeValue::N(value.as_str()?.to_owned())),
        "B" => Some(AttributeValue::B(Blob::new(from_base64(value.as_str()?)?))),
        "BOOL" => Some(AttributeValue::Bool(value.as_bool()?)),
        "L" => {
            let members: Option<_> = value.as_array()?.iter().map(attribute).collect();
            Some(AttributeValue::L(members?))
        }
        _ => None,
    }
}
