//! Second factors: an item `factor#<user id>` beside the user's, which says that there is one.
//!
//! Each method is one of [`Factor`]'s, as one conditional write or transaction.

use ratchet_core::{
    attempts::AttemptKey,
    authentication::{Authentication, SteppedUp},
    ids::{SessionId, UserId},
    letter::Letter,
    second_factor::{
        ChallengeHash, Enabled, Factor, Pending, RecoveryHash, SealedTotpSecret, Spend, Spent,
    },
    session::Session,
    time::{UnixMillis, UnixSeconds},
    user::{User, UserStatus},
};

use super::{
    Users,
    cut::{end_all_sessions, end_other_sessions, has_cut},
    item,
};
use crate::{
    Sessions, StoreError,
    conditions::{EXPIRES_AT, is_present},
    expression::{Changes, Condition, above, absent, all, below, contains, equals},
    item::{Item, Reader, VERSION, VERSION_NAME, binary, binary_set, number, string},
    outbox::enclose,
    transact::{transact_and_check, transact_each},
    write::{Write, pk},
};

const KID: &str = "kid";
const SECRET: &str = "secret";
const LAST_STEP: &str = "last_step";
const RECOVERY: &str = "recovery";
const ENABLED_AT: &str = "enabled_at";
const PENDING_KID: &str = "pending_kid";
const PENDING: &str = "pending";
const PENDING_UNTIL: &str = "pending_until";

/// A session to be started in the same transaction.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The tokens table.
    pub sessions: &'a Sessions,
    /// The session. There must be none of its id.
    pub session: &'a Session,
    /// The challenge that leads to it. It must be stored and not spent.
    pub challenge: ChallengeHash,
}

/// A step-up to be noted in the same transaction.
#[derive(Debug, Clone, Copy)]
pub struct SteppingUp<'a> {
    /// The tokens table.
    pub sessions: &'a Sessions,
    /// The session. It must not have ended.
    pub session_id: SessionId,
    /// When and how its user was authenticated.
    pub authentication: Authentication,
}

/// A secret that is confirmed by its first code.
#[derive(Debug, Clone, Copy)]
pub struct Enabling<'a> {
    /// The user, as read before.
    pub user: &'a User,
    /// The secret that waits.
    pub secret: &'a SealedTotpSecret,
    /// The time step of its first code.
    pub step: u64,
    /// The recovery codes.
    pub recovery: &'a [RecoveryHash],
    /// The session that continues; all others end.
    pub spared: Option<SessionId>,
    /// Says so.
    pub letter: &'a Letter,
}

/// A code that is about to be used up.
#[derive(Debug, Clone, Copy)]
pub struct Spending<'a> {
    /// The user, as read before.
    pub user: &'a User,
    /// The secret that the code was judged by.
    pub secret: &'a SealedTotpSecret,
    /// What is used up.
    pub spend: Spend,
}

/// The key of a user's factor.
pub(super) fn factor_pk(id: UserId) -> String {
    format!("factor#{id}")
}

/// No factor is on.
fn is_off() -> Condition {
    absent(SECRET)
}

/// The factor with this secret is on.
fn has_secret(secret: &SealedTotpSecret) -> Condition {
    all([equals(SECRET, binary(&secret.sealed)), equals(KID, string(secret.kid.as_str()))])
}

/// This secret waits for its first code, and its time is not over.
fn awaits(secret: &SealedTotpSecret, now: UnixMillis) -> Condition {
    all([
        equals(PENDING, binary(&secret.sealed)),
        equals(PENDING_KID, string(secret.kid.as_str())),
        above(PENDING_UNTIL, number(now.seconds().get())),
    ])
}

/// The code was not used before.
fn is_unused(spend: &Spend) -> Condition {
    match spend {
        Spend::Step(step) => below(LAST_STEP, number(*step)),
        Spend::Recovery(hash) => contains(RECOVERY, binary(hash.as_bytes())),
    }
}

/// Uses the code up.
fn use_up(changes: Changes, spend: &Spend) -> Changes {
    match spend {
        Spend::Step(step) => changes.set(LAST_STEP, number(*step)),
        Spend::Recovery(hash) => {
            changes.take(RECOVERY, binary_set(std::iter::once(hash.as_bytes().as_slice())))
        }
    }
}

fn recovery_set(recovery: &[RecoveryHash]) -> aws_sdk_dynamodb::types::AttributeValue {
    binary_set(recovery.iter().map(|hash| hash.as_bytes().as_slice()))
}

/// The user may sign in, and nothing has ended the sessions since the user was read.
pub(super) fn is_as_read(user: &User) -> Condition {
    let active = equals("status", string(item::status_name(UserStatus::Active)));
    all([is_present(), active, has_cut(user.cut)])
}

/// A user with a factor has a later version: releases that know no factors must not read the user,
/// because they would ask for the password alone.
fn switched_on(changes: Changes) -> Changes {
    changes.set(item::SECOND_FACTOR, item::truth()).set(VERSION_NAME, number(item::FACTOR_VERSION))
}

pub(super) fn switched_off(changes: Changes) -> Changes {
    changes.remove(item::SECOND_FACTOR).set(VERSION_NAME, number(VERSION))
}

fn end_sessions(changes: Changes, now: UnixMillis, spared: Option<SessionId>) -> Changes {
    match spared {
        None => end_all_sessions(changes, now),
        Some(spared) => end_other_sessions(changes, now, spared),
    }
}

impl Users {
    /// The second factor of a user, read consistently.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_factor(&self, id: UserId) -> Result<Option<Factor>, StoreError> {
        self.get(factor_pk(id)).await?.as_ref().map(to_factor).transpose()
    }

    /// [`Factor::begin`]. Returns `false` if a factor is on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_factor(&self, id: UserId, pending: &Pending) -> Result<bool, StoreError> {
        let factor = Factor { enabled: None, pending: Some(pending.clone()) };
        let put = Write::put(&self.table, from_factor(id, &factor)).when(is_off());
        put.send(&self.client).await
    }

    /// [`Factor::enable`], in one transaction with the user's item, the cut of the other sessions
    /// and the letter that says so. Returns `false` if the secret does not wait any more, or if the
    /// user's sessions were ended since the user was read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enable_factor(&self, enabling: Enabling<'_>) -> Result<bool, StoreError> {
        let Enabling { user, secret, recovery, .. } = enabling;
        let was_written = async || {
            let found = self.find_factor(user.id).await?.and_then(|factor| factor.enabled);
            Ok::<_, StoreError>(found.is_some_and(|found| {
                found.secret == *secret && recovery.iter().all(|it| found.recovery.contains(it))
            }))
        };
        transact_and_check(&self.client, self.enabling(enabling), was_written).await
    }

    /// The same, and starts a session.
    ///
    /// # Errors
    /// [`StoreError`]. Both or nothing may have been written.
    pub async fn enable_factor_and_start(
        &self,
        enabling: Enabling<'_>,
        start: Start<'_>,
    ) -> Result<Spent, StoreError> {
        let mut writes = self.enabling(enabling);
        let first_of_start = writes.len();
        writes.push(start.sessions.creation(start.session));
        writes.push(self.spend_challenge(&start.challenge));
        let unmet = transact_each(&self.client, writes).await?;
        Ok(Spent::of(unmet.map(|unmet| {
            let (factor, start) = unmet.split_at_checked(first_of_start).unwrap_or((&unmet, &[]));
            [factor.contains(&true), start.contains(&true)]
        })))
    }

    fn enabling(&self, enabling: Enabling<'_>) -> Vec<Write> {
        let Enabling { user, secret, step, recovery, spared, letter } = enabling;
        let now = letter.written_at;
        let factor = Changes::new()
            .set(KID, string(secret.kid.as_str()))
            .set(SECRET, binary(&secret.sealed))
            .set(LAST_STEP, number(step))
            .set(RECOVERY, recovery_set(recovery))
            .set(ENABLED_AT, number(now.get()))
            .remove(PENDING)
            .remove(PENDING_KID)
            .remove(PENDING_UNTIL)
            .remove(EXPIRES_AT);
        let changes = end_sessions(switched_on(Changes::new()), now, spared);
        vec![
            Write::update(&self.table, pk(factor_pk(user.id)), factor)
                .when(is_off())
                .when(awaits(secret, now)),
            self.change(user.id, changes).when(is_as_read(user)),
            enclose(&self.table, letter),
        ]
    }

    /// [`Factor::spend`], in one transaction with the session that the challenge leads to, and with
    /// a letter if there is one.
    ///
    /// # Errors
    /// [`StoreError`]. Both or nothing may have been written.
    pub async fn spend_factor_and_start(
        &self,
        spending: Spending<'_>,
        start: Start<'_>,
        letter: Option<&Letter>,
    ) -> Result<Spent, StoreError> {
        let mut writes = vec![
            self.spending(spending, Changes::new()),
            start.sessions.creation(start.session),
            self.spend_challenge(&start.challenge),
        ];
        writes.extend(letter.map(|letter| enclose(&self.table, letter)));
        let unmet = transact_each(&self.client, writes).await?;
        Ok(Spent::of(unmet.map(|unmet| {
            let (factor, start) = unmet.split_first().unwrap_or((&false, &[]));
            [*factor, start.contains(&true)]
        })))
    }

    /// [`Factor::spend`], in one transaction with the step-up of the caller's session, and with a
    /// letter if there is one.
    ///
    /// # Errors
    /// [`StoreError`]. Both or nothing may have been written.
    pub async fn spend_factor_and_step_up(
        &self,
        spending: Spending<'_>,
        stepping_up: SteppingUp<'_>,
        letter: Option<&Letter>,
    ) -> Result<SteppedUp, StoreError> {
        let SteppingUp { sessions, session_id, authentication } = stepping_up;
        let session = sessions.stepping_up(spending.user.id, session_id, authentication);
        let mut writes = vec![self.spending(spending, Changes::new()), session];
        writes.extend(letter.map(|letter| enclose(&self.table, letter)));
        let unmet = transact_each(&self.client, writes).await?;
        Ok(SteppedUp::of(unmet.map(|unmet| {
            let (factor, session) = unmet.split_first().unwrap_or((&false, &[]));
            [*factor, session.contains(&true)]
        })))
    }

    fn spending(&self, spending: Spending<'_>, changes: Changes) -> Write {
        let Spending { user, secret, spend } = spending;
        Write::update(&self.table, pk(factor_pk(user.id)), use_up(changes, &spend))
            .when(has_secret(secret))
            .when(is_unused(&spend))
    }

    /// Switches a factor off, for somebody who presented a code, and ends the other sessions.
    /// Returns `false` if the code was used before, or anything has changed since it was judged.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn disable_factor(
        &self,
        spending: Spending<'_>,
        spared: SessionId,
        letter: &Letter,
    ) -> Result<bool, StoreError> {
        let Spending { user, secret, spend } = spending;
        let now = letter.written_at;
        let changes = end_sessions(switched_off(Changes::new()), now, Some(spared));
        let writes = vec![
            Write::delete(&self.table, pk(factor_pk(user.id)))
                .when(has_secret(secret))
                .when(is_unused(&spend)),
            self.change(user.id, changes).when(is_as_read(user)),
            enclose(&self.table, letter),
        ];
        transact_and_check(&self.client, writes, async || self.is_without_factor(user.id).await)
            .await
    }

    /// [`Factor::replace_recovery`], in one transaction with the letter that says so. Returns
    /// `false` if the code was used before, or the factor or the user's sessions have changed
    /// since.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replace_recovery_codes(
        &self,
        spending: Spending<'_>,
        recovery: &[RecoveryHash],
        letter: &Letter,
    ) -> Result<bool, StoreError> {
        let Spending { user, secret, spend } = spending;
        // All codes are replaced, and with them the one that is used up.
        let changes = match &spend {
            Spend::Step(_) => use_up(Changes::new(), &spend),
            Spend::Recovery(_) => Changes::new(),
        };
        let factor = changes.set(RECOVERY, recovery_set(recovery));
        let writes = vec![
            Write::update(&self.table, pk(factor_pk(user.id)), factor)
                .when(has_secret(secret))
                .when(is_unused(&spend)),
            // Nothing about the user changes, but the sessions must not have been ended.
            self.change(user.id, switched_on(Changes::new())).when(is_as_read(user)),
            enclose(&self.table, letter),
        ];
        let was_written = async || {
            let found = self.find_factor(user.id).await?.and_then(|factor| factor.enabled);
            Ok::<_, StoreError>(
                found.is_some_and(|found| recovery.iter().all(|it| found.recovery.contains(it))),
            )
        };
        transact_and_check(&self.client, writes, was_written).await
    }

    /// Removes a user's factor without a code, forgets its failed attempts and ends all sessions.
    /// Returns `false` if the user's sessions were ended since the user was read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reset_factor(
        &self,
        user: &User,
        now: UnixMillis,
        letter: Option<&Letter>,
    ) -> Result<bool, StoreError> {
        let changes = end_sessions(switched_off(Changes::new()), now, None);
        let mut writes =
            vec![self.change(user.id, changes).when(is_present()).when(has_cut(user.cut))];
        writes.extend(self.remove_factor(user.id));
        writes.extend(letter.map(|letter| enclose(&self.table, letter)));
        transact_and_check(&self.client, writes, async || self.is_without_factor(user.id).await)
            .await
    }

    async fn is_without_factor(&self, id: UserId) -> Result<bool, StoreError> {
        Ok(self.find(id).await?.is_some_and(|user| !user.second_factor))
    }

    /// The write of an imported factor.
    pub(super) fn put_factor(&self, id: UserId, enabled: &Enabled) -> Write {
        let factor = Factor { enabled: Some(enabled.clone()), pending: None };
        Write::put(&self.table, from_factor(id, &factor))
    }

    /// Deletes a user's factor, and the counter of its failed attempts.
    pub(super) fn remove_factor(&self, id: UserId) -> [Write; 2] {
        let counter = AttemptKey::second_factor(id);
        [
            Write::delete(&self.table, pk(factor_pk(id))),
            Write::delete(&self.table, pk(counter.as_str())),
        ]
    }
}

fn from_factor(id: UserId, factor: &Factor) -> Item {
    let mut item = item::pointer(factor_pk(id), id);
    let mut set = |name: &str, value| item.insert(name.to_owned(), value);
    set(VERSION_NAME, number(VERSION));
    if let Some(Enabled { secret, last_step, recovery, since }) = &factor.enabled {
        set(KID, string(secret.kid.as_str()));
        set(SECRET, binary(&secret.sealed));
        set(LAST_STEP, number(*last_step));
        set(ENABLED_AT, number(since.get()));
        if !recovery.is_empty() {
            set(RECOVERY, recovery_set(recovery));
        }
    }
    if let Some(Pending { secret, expires_at }) = &factor.pending {
        set(PENDING_KID, string(secret.kid.as_str()));
        set(PENDING, binary(&secret.sealed));
        set(PENDING_UNTIL, number(expires_at.get()));
        if factor.enabled.is_none() {
            set(EXPIRES_AT, number(expires_at.get()));
        }
    }
    item
}

fn to_factor(item: &Item) -> Result<Factor, StoreError> {
    let reader = Reader(item);
    reader.readable()?;
    let sealed = |name: &'static str, kid: &'static str| {
        let sealed = item.get(name).and_then(|value| value.as_b().ok());
        let sealed = sealed.ok_or(StoreError::MalformedItem(name))?.as_ref().to_vec();
        let kid = reader.string(kid)?.to_owned();
        Ok::<_, StoreError>(SealedTotpSecret { kid, sealed })
    };
    let enabled = if item.contains_key(SECRET) {
        let recovery = reader.optional_binary_set(RECOVERY)?.into_iter();
        Some(Enabled {
            secret: sealed(SECRET, KID)?,
            last_step: reader.number(LAST_STEP)?,
            recovery: recovery.map(RecoveryHash::from_bytes).collect(),
            since: UnixMillis::new(reader.number(ENABLED_AT)?),
        })
    } else {
        None
    };
    let pending = if item.contains_key(PENDING) {
        let expires_at = UnixSeconds::new(reader.number(PENDING_UNTIL)?);
        Some(Pending { secret: sealed(PENDING, PENDING_KID)?, expires_at })
    } else {
        None
    };
    Ok(Factor { enabled, pending })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(byte: u8) -> SealedTotpSecret {
        SealedTotpSecret { kid: "kid".to_owned(), sealed: vec![byte; 48] }
    }

    #[test]
    fn a_factor_reads_back_as_written() {
        let id = UserId::from_bytes([7; 16]);
        let enabled = Enabled {
            secret: sealed(1),
            last_step: 5,
            recovery: vec![RecoveryHash::from_bytes([2; 32])],
            since: UnixMillis::new(3),
        };
        let pending = Pending { secret: sealed(4), expires_at: UnixSeconds::new(9) };
        for factor in [
            Factor { enabled: Some(enabled.clone()), pending: None },
            Factor { enabled: Some(Enabled { recovery: Vec::new(), ..enabled }), pending: None },
            Factor { enabled: None, pending: Some(pending) },
        ] {
            let item = from_factor(id, &factor);
            assert_eq!(to_factor(&item).unwrap(), factor);
            assert_eq!(item.contains_key(EXPIRES_AT), factor.enabled.is_none());
            for name in item.keys().filter(|name| *name != "pk" && *name != VERSION_NAME) {
                let mut damaged = item.clone();
                damaged.insert(name.clone(), item::truth());
                let optional = ["user_id", EXPIRES_AT].contains(&name.as_str());
                assert_eq!(to_factor(&damaged).is_ok(), optional, "{name}");
            }
        }
    }
}
