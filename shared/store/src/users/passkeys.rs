//! Passkeys: an item `passkeys#<user id>` with all passkeys of a user.
//!
//! Each change is made by [`Passkeys`] in the core. It is written only if the revision is still the one
//! that was read, so that no change undoes another one.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::{
    ids::{SessionId, UserId},
    letter::Letter,
    passkey::{Passkey, PasskeyId, PasskeyName, Passkeys},
    second_factor::ChallengeHash,
    session::Session,
    time::UnixMillis,
    user::User,
};

use super::{
    Users,
    cut::{end_all_sessions, end_other_sessions, has_cut},
    factor::{SteppingUp, is_as_read},
    item,
};
use crate::{
    Sessions, StoreError,
    conditions::{is_new, is_present},
    expression::{Changes, Condition, equals},
    item::{Item, Reader, VERSION, VERSION_NAME, binary, number, string},
    outbox::enclose,
    transact::{transact_and_check, transact_each},
    write::{Write, pk},
};

const REVISION: &str = "revision";
const KEYS: &str = "keys";

/// A session that a passkey starts.
#[derive(Debug, Clone, Copy)]
pub struct PasskeyStart<'a> {
    /// The tokens table.
    pub sessions: &'a Sessions,
    /// The session. There must be none of its id.
    pub session: &'a Session,
    /// The challenge of the sign-in that it completes, if any. It must be stored and not spent.
    pub challenge: Option<ChallengeHash>,
}

/// Passkeys before and after a change.
#[derive(Debug, Clone, Copy)]
pub struct PasskeysChange<'a> {
    /// As they were read.
    pub before: &'a Passkeys,
    /// As they are to be.
    pub after: &'a Passkeys,
}

/// The result of adding a passkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddedPasskey {
    /// Everything was written.
    Written,
    /// The ceremony is not stored, or was spent.
    NotKept,
    /// The passkeys have changed since they were read, or the user's sessions were ended.
    ChangedMeanwhile,
}

/// A step-up with a passkey.
#[derive(Debug, Clone, Copy)]
pub struct PasskeyStepUp<'a> {
    /// The ceremony. It must be stored and not spent.
    pub ceremony: &'a ChallengeHash,
    /// The passkeys, of which one was used.
    pub change: PasskeysChange<'a>,
    /// The session.
    pub stepping_up: SteppingUp<'a>,
}

/// The result of a step-up with a passkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SteppedUpWith {
    /// Everything was written.
    Written,
    /// The ceremony is not stored, or was spent.
    NotKept,
    /// The session has ended.
    SessionEnded,
    /// The passkeys have changed since they were read.
    ChangedMeanwhile,
}

/// The result of starting a session with a passkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// Everything was written.
    Written,
    /// The ceremony, or the challenge, has led to a session before.
    Before,
    /// The passkeys have changed since they were read: they have to be read again.
    ChangedMeanwhile,
}

/// The key of a user's passkeys.
pub(super) fn passkeys_pk(id: UserId) -> String {
    format!("passkeys#{id}")
}

/// Nothing has changed since these passkeys were read.
fn are_as_read(passkeys: &Passkeys) -> Condition {
    match passkeys.revision {
        0 => is_new(),
        revision => equals(REVISION, number(revision)),
    }
}

impl Users {
    /// The passkeys of a user, read consistently.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_passkeys(&self, id: UserId) -> Result<Passkeys, StoreError> {
        let found = self.get(passkeys_pk(id)).await?;
        Ok(found.as_ref().map(to_passkeys).transpose()?.unwrap_or_default())
    }

    /// Writes passkeys with a new one, in one transaction with the letter that says so, and marks the
    /// ceremony as spent.
    ///
    /// # Errors
    /// [`StoreError`]. All or nothing may have been written.
    pub async fn add_passkey(
        &self,
        user: &User,
        change: PasskeysChange<'_>,
        ceremony: &ChallengeHash,
        letter: &Letter,
    ) -> Result<AddedPasskey, StoreError> {
        let changes = Changes::new().set(item::PASSKEYS, item::truth());
        let writes = vec![
            self.spend_challenge(ceremony),
            self.write_passkeys(user.id, change),
            self.change(user.id, changes).when(is_as_read(user)),
            enclose(&self.table, letter),
        ];
        Ok(match transact_each(&self.client, writes).await? {
            None => AddedPasskey::Written,
            Some(unmet) if unmet.first() == Some(&true) => AddedPasskey::NotKept,
            Some(_) => AddedPasskey::ChangedMeanwhile,
        })
    }

    /// Writes passkeys of which one has another name. Returns `false` if they have changed since they
    /// were read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rename_passkey(
        &self,
        id: UserId,
        change: PasskeysChange<'_>,
    ) -> Result<bool, StoreError> {
        self.write_passkeys(id, change).send(&self.client).await
    }

    /// Writes passkeys without one that there was, in one transaction with the end of all other
    /// sessions and the letter that says so. Returns `false` if the passkeys have changed since they
    /// were read, or the user's sessions were ended since the user was read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_passkey(
        &self,
        user: &User,
        change: PasskeysChange<'_>,
        spared: SessionId,
        letter: &Letter,
    ) -> Result<bool, StoreError> {
        let changes = end_other_sessions(Changes::new(), letter.written_at, spared);
        let changes = if change.after.all.is_empty() { without_passkeys(changes) } else { changes };
        let writes = vec![
            self.write_passkeys(user.id, change),
            self.change(user.id, changes).when(is_as_read(user)),
            enclose(&self.table, letter),
        ];
        let was_written = async || Ok(self.find_passkeys(user.id).await? == *change.after);
        transact_and_check(&self.client, writes, was_written).await
    }

    /// Removes all passkeys of a user and ends all sessions, in one transaction with the letter that
    /// says so. Returns `false` if the user's sessions were ended since the user was read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_all_passkeys(
        &self,
        user: &User,
        letter: &Letter,
    ) -> Result<bool, StoreError> {
        let changes = end_all_sessions(without_passkeys(Changes::new()), letter.written_at);
        let writes = vec![
            self.change(user.id, changes).when(is_present()).when(has_cut(user.cut)),
            self.delete_passkeys(user.id),
            enclose(&self.table, letter),
        ];
        let is_done = async || Ok(self.find(user.id).await?.is_some_and(|it| !it.has_passkeys));
        transact_and_check(&self.client, writes, is_done).await
    }

    /// Writes passkeys of which one was used, in one transaction with the session that it starts.
    ///
    /// # Errors
    /// [`StoreError`]. All or nothing may have been written.
    pub async fn use_passkey_and_start(
        &self,
        id: UserId,
        change: PasskeysChange<'_>,
        start: PasskeyStart<'_>,
    ) -> Result<Started, StoreError> {
        let mut writes =
            vec![self.write_passkeys(id, change), start.sessions.creation(start.session)];
        writes.extend(start.challenge.map(|challenge| self.spend_challenge(&challenge)));
        let Some(unmet) = transact_each(&self.client, writes).await? else {
            return Ok(Started::Written);
        };
        let (_, start) = unmet.split_first().unwrap_or((&false, &[]));
        Ok(if start.contains(&true) { Started::Before } else { Started::ChangedMeanwhile })
    }

    /// Writes passkeys of which one was used, in one transaction with the step-up that it leads to, and
    /// marks the ceremony as spent.
    ///
    /// # Errors
    /// [`StoreError`]. All or nothing may have been written.
    pub async fn use_passkey_and_step_up(
        &self,
        id: UserId,
        step_up: PasskeyStepUp<'_>,
    ) -> Result<SteppedUpWith, StoreError> {
        let PasskeyStepUp { ceremony, change, stepping_up } = step_up;
        let SteppingUp { sessions, session_id, authentication } = stepping_up;
        let writes = vec![
            self.spend_challenge(ceremony),
            sessions.stepping_up(id, session_id, authentication),
            self.write_passkeys(id, change),
        ];
        Ok(match transact_each(&self.client, writes).await?.as_deref() {
            None => SteppedUpWith::Written,
            Some([true, ..]) => SteppedUpWith::NotKept,
            Some([_, true, ..]) => SteppedUpWith::SessionEnded,
            Some(_) => SteppedUpWith::ChangedMeanwhile,
        })
    }

    fn write_passkeys(&self, id: UserId, change: PasskeysChange<'_>) -> Write {
        let PasskeysChange { before, after } = change;
        Write::put(&self.table, from_passkeys(id, after)).when(are_as_read(before))
    }

    /// Deletes a user's passkeys.
    pub(super) fn delete_passkeys(&self, id: UserId) -> Write {
        Write::delete(&self.table, pk(passkeys_pk(id)))
    }
}

/// The user has no passkey any more.
pub(super) fn without_passkeys(changes: Changes) -> Changes {
    changes.remove(item::PASSKEYS)
}

fn from_passkeys(id: UserId, passkeys: &Passkeys) -> Item {
    let mut item = item::pointer(passkeys_pk(id), id);
    item.insert(VERSION_NAME.to_owned(), number(VERSION));
    item.insert(REVISION.to_owned(), number(passkeys.revision));
    let keys = passkeys.all.iter().map(|it| AttributeValue::M(from_passkey(it)));
    item.insert(KEYS.to_owned(), AttributeValue::L(keys.collect()));
    item
}

fn from_passkey(passkey: &Passkey) -> HashMap<String, AttributeValue> {
    let Passkey { id, name, credential, backed_up, created_at, last_used_at, ceremony } = passkey;
    let mut members = HashMap::new();
    let mut set = |name: &str, value| members.insert(name.to_owned(), value);
    set("id", string(id.to_string()));
    set("name", string(name.as_str()));
    set("credential", string(credential));
    set("backed_up", AttributeValue::Bool(*backed_up));
    set("created_at", number(created_at.get()));
    set("ceremony", binary(ceremony));
    if let Some(last_used_at) = last_used_at {
        set("last_used_at", number(last_used_at.get()));
    }
    members
}

fn to_passkeys(item: &Item) -> Result<Passkeys, StoreError> {
    let reader = Reader(item);
    reader.readable()?;
    let keys = reader.optional_list(KEYS)?;
    Ok(Passkeys {
        revision: reader.number(REVISION)?,
        all: keys.iter().map(to_passkey).collect::<Result<_, _>>()?,
    })
}

fn to_passkey(members: &Reader<'_>) -> Result<Passkey, StoreError> {
    let id = members.string("id")?.parse::<PasskeyId>();
    let name = PasskeyName::parse(members.string("name")?);
    let backed_up = members.0.get("backed_up").and_then(|value| value.as_bool().ok());
    Ok(Passkey {
        id: id.map_err(|_| StoreError::MalformedItem("id"))?,
        name: name.map_err(|_| StoreError::MalformedItem("name"))?,
        credential: members.string("credential")?.to_owned(),
        backed_up: *backed_up.ok_or(StoreError::MalformedItem("backed_up"))?,
        created_at: UnixMillis::new(members.number("created_at")?),
        last_used_at: members.optional_number("last_used_at")?.map(UnixMillis::new),
        ceremony: members.bytes("ceremony")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passkeys() -> Passkeys {
        let passkey = |number: u8, last_used_at| Passkey {
            id: PasskeyId::of(&[number]),
            name: PasskeyName::parse("Phone").unwrap(),
            credential: "{}".to_owned(),
            backed_up: number == 1,
            created_at: UnixMillis::new(5),
            last_used_at,
            ceremony: [number; 16],
        };
        let all = vec![passkey(1, None), passkey(2, Some(UnixMillis::new(9)))];
        Passkeys { revision: 7, all }
    }

    #[test]
    fn passkeys_read_back_as_written() {
        let id = UserId::from_bytes([7; 16]);
        for passkeys in [passkeys(), Passkeys { revision: 8, all: Vec::new() }] {
            assert_eq!(to_passkeys(&from_passkeys(id, &passkeys)).unwrap(), passkeys);
        }
    }

    #[test]
    fn a_damaged_passkey_is_malformed() {
        let id = UserId::from_bytes([7; 16]);
        let item = from_passkeys(id, &passkeys());
        let damaged = |change: &dyn Fn(&mut Item)| {
            let mut item = item.clone();
            change(&mut item);
            to_passkeys(&item).is_err()
        };
        assert!(damaged(&|item| drop(item.remove(REVISION))));
        assert!(damaged(&|item| drop(item.insert(KEYS.to_owned(), item::truth()))));
        let [first, ..] = &passkeys().all[..] else { panic!() };
        for name in from_passkey(first).keys() {
            let with = |value: Option<AttributeValue>| {
                let mut members = from_passkey(first);
                members.remove(name);
                members.extend(value.map(|value| (name.clone(), value)));
                let keys = AttributeValue::L(vec![AttributeValue::M(members)]);
                damaged(&|item| drop(item.insert(KEYS.to_owned(), keys.clone())))
            };
            assert!(with(None), "without {name}");
            assert!(with(Some(AttributeValue::Null(true))), "{name} is nothing");
        }
    }
}
