//! Events for other systems: what a change of a user or of a session means to them.
//!
//! The streams of the tables are the outbox. They deliver every change of an item, with the item as
//! it was before and after. [`of_user`] and [`of_session`] decide which events a change is. A record
//! may be delivered several times, and then yields the same events with the same ids.

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;
use uuid::Builder;

use crate::{
    ids::{SessionId, UserId},
    password::PhcHash,
    session::RevocationReason,
    time::{UnixMillis, UnixSeconds},
    user::UserStatus,
};

#[cfg(test)]
mod tests;

/// Who publishes the events: `source` in the envelope of EventBridge.
pub const SOURCE: &str = "ratchet";

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// A user was added. An unconfirmed one may expire without another event.
    UserRegistered,
    /// The user's address was confirmed.
    EmailConfirmed,
    /// The user has another address.
    EmailChanged,
    /// The password was changed or reset.
    PasswordChanged,
    /// A second factor was switched on.
    SecondFactorEnabled,
    /// The second factor was switched off or reset.
    SecondFactorDisabled,
    /// The user may not sign in any more.
    UserDisabled,
    /// The user may sign in again.
    UserEnabled,
    /// The user has other roles.
    RolesChanged,
    /// The user has other custom claims.
    ClaimsChanged,
    /// The user was deleted.
    UserDeleted,
    /// Somebody signed in.
    SessionCreated {
        /// The new session.
        session_id: SessionId,
        /// When it ends at the latest.
        expires_at: UnixSeconds,
    },
    /// An old refresh token was presented. The session has ended.
    ReuseDetected {
        /// The session.
        session_id: SessionId,
    },
    /// A session was ended before its time.
    SessionEnded {
        /// The session.
        session_id: SessionId,
        /// Why.
        reason: EndReason,
    },
}

/// Why a session was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// It was revoked.
    Revoked(RevocationReason),
    /// It made room for another session and was deleted.
    Evicted,
    /// For a reason that only a later release knows.
    Other,
}

impl EndReason {
    /// The reason in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked(reason) => reason.as_str(),
            Self::Evicted => "evicted",
            Self::Other => "other",
        }
    }
}

impl Happening {
    /// The name of the event: `detail-type` in the envelope of EventBridge.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::UserRegistered => "user_registered",
            Self::EmailConfirmed => "email_confirmed",
            Self::EmailChanged => "email_changed",
            Self::PasswordChanged => "password_changed",
            Self::SecondFactorEnabled => "second_factor_enabled",
            Self::SecondFactorDisabled => "second_factor_disabled",
            Self::UserDisabled => "user_disabled",
            Self::UserEnabled => "user_enabled",
            Self::RolesChanged => "roles_changed",
            Self::ClaimsChanged => "claims_changed",
            Self::UserDeleted => "user_deleted",
            Self::SessionCreated { .. } => "session_created",
            Self::ReuseDetected { .. } => "reuse_detected",
            Self::SessionEnded { .. } => "session_ended",
        }
    }

    const fn session_id(&self) -> Option<SessionId> {
        match self {
            Self::SessionCreated { session_id, .. }
            | Self::ReuseDetected { session_id }
            | Self::SessionEnded { session_id, .. } => Some(*session_id),
            _ => None,
        }
    }

    /// Whether it can happen only once in the life of a user or of a session.
    const fn happens_once(&self) -> bool {
        matches!(self, Self::UserRegistered | Self::EmailConfirmed | Self::UserDeleted)
            || self.session_id().is_some()
    }
}

/// An event.
///
/// # Security
/// What leaves the deployment is this type and nothing else: ids, times and reasons. No token, hash,
/// name or address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainEvent {
    id: String,
    user_id: UserId,
    occurred_at: UnixSeconds,
    happening: Happening,
}

#[derive(Serialize)]
struct Detail<'a> {
    id: &'a str,
    occurred_at: UnixSeconds,
    user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<UnixSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl DomainEvent {
    fn new(
        happening: Happening,
        user_id: UserId,
        occurred_at: UnixSeconds,
        record: Record<'_>,
    ) -> Self {
        Self { id: event_id(&happening, user_id, record), user_id, occurred_at, happening }
    }

    /// The event's id, a UUID. The same event has the same id, however often it is published.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name of the event.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.happening.name()
    }

    /// What happened.
    #[must_use]
    pub const fn happening(&self) -> Happening {
        self.happening
    }

    /// When it happened.
    #[must_use]
    pub const fn occurred_at(&self) -> UnixSeconds {
        self.occurred_at
    }
}

impl Serialize for DomainEvent {
    /// As `detail` in the envelope of EventBridge.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (expires_at, reason) = match self.happening {
            Happening::SessionCreated { expires_at, .. } => (Some(expires_at), None),
            Happening::SessionEnded { reason, .. } => (None, Some(reason.as_str())),
            _ => (None, None),
        };
        let Self { id, user_id, occurred_at, happening } = self;
        let (user_id, occurred_at) = (*user_id, *occurred_at);
        let session_id = happening.session_id();
        Detail { id, occurred_at, user_id, session_id, expires_at, reason }.serialize(serializer)
    }
}

/// A record of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The stream's own id of the record. A record that is delivered again has the same.
    pub id: &'a str,
    /// When the change was made, roughly.
    pub at: UnixSeconds,
}

/// A change of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<S> {
    /// There was no such item.
    Created(S),
    /// It was written again.
    Updated {
        /// As it was.
        before: S,
        /// As it is now.
        after: S,
    },
    /// It was deleted.
    Deleted {
        /// As it was.
        before: S,
        /// Whether DynamoDB deleted it, because it had expired.
        by_ttl: bool,
    },
}

/// The part of a user's item that events are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserState {
    /// The address.
    pub email: String,
    /// Whether the address has been confirmed.
    pub email_confirmed: bool,
    /// What proves the password.
    pub password_hash: PhcHash,
    /// The number of the latest cut of the user's sessions.
    pub cut: Option<UnixMillis>,
    /// Whether the user may sign in.
    pub status: UserStatus,
    /// Whether a second factor is on.
    pub second_factor: bool,
    /// The roles.
    pub roles: Vec<String>,
    /// The custom claims, as stored.
    pub claims: Option<String>,
    /// When the user expires, unless the address is confirmed before then.
    pub expires_at: Option<UnixSeconds>,
}

/// The part of a session's item that events are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    /// When it began.
    pub began_at: UnixMillis,
    /// When it ends if it is not refreshed before.
    pub expires_at: UnixSeconds,
    /// When it ends at the latest.
    pub absolute_expires_at: UnixSeconds,
    /// When it was ended before its time, and why.
    pub ended: Option<(UnixMillis, EndReason)>,
}

/// The events of a change of a user. An expired registration that is deleted is none.
#[must_use]
pub fn of_user(
    user_id: UserId,
    change: &Change<UserState>,
    record: Record<'_>,
) -> Vec<DomainEvent> {
    let happenings = match change {
        Change::Created(after) => {
            let registered = UserState { email: after.email.clone(), ..UserState::unknown() };
            [vec![Happening::UserRegistered], registered.differences(after)].concat()
        }
        Change::Updated { before, after } => before.differences(after),
        Change::Deleted { before, by_ttl } => {
            let has_expired = before.expires_at.is_some_and(|at| at <= record.at);
            if *by_ttl || has_expired { Vec::new() } else { vec![Happening::UserDeleted] }
        }
    };
    let event = |happening| DomainEvent::new(happening, user_id, record.at, record);
    happenings.into_iter().map(event).collect()
}

impl UserState {
    /// A user about whom there was no event yet.
    fn unknown() -> Self {
        Self {
            email: String::new(),
            email_confirmed: false,
            password_hash: PhcHash::new(String::new()),
            cut: None,
            status: UserStatus::Active,
            second_factor: false,
            roles: Vec::new(),
            claims: None,
            expires_at: None,
        }
    }

    /// What has happened from `self` to `after`.
    fn differences(&self, after: &Self) -> Vec<Happening> {
        // A hash that is only renewed, because its cost has changed, ends no sessions. A changed
        // password always does, in the same write.
        let other_password = self.password_hash != after.password_hash && self.cut != after.cut;
        let switched = |before: bool, after: bool, to: bool| before != after && after == to;
        let disabled = |state: &Self| state.status == UserStatus::Disabled;
        let factor = |to| switched(self.second_factor, after.second_factor, to);
        let status = |to| switched(disabled(self), disabled(after), to);
        let rules = [
            (!self.email_confirmed && after.email_confirmed, Happening::EmailConfirmed),
            (self.email != after.email, Happening::EmailChanged),
            (other_password, Happening::PasswordChanged),
            (factor(true), Happening::SecondFactorEnabled),
            (factor(false), Happening::SecondFactorDisabled),
            (status(true), Happening::UserDisabled),
            (status(false), Happening::UserEnabled),
            (self.roles != after.roles, Happening::RolesChanged),
            (self.claims != after.claims, Happening::ClaimsChanged),
        ];
        rules.into_iter().filter(|(holds, _)| *holds).map(|(_, happening)| happening).collect()
    }
}

/// The events of a change of a session. Refreshes and expiry are none.
#[must_use]
pub fn of_session(
    user_id: UserId,
    session_id: SessionId,
    change: &Change<SessionState>,
    record: Record<'_>,
) -> Vec<DomainEvent> {
    let event = |happening, at| DomainEvent::new(happening, user_id, at, record);
    let ended = |(at, reason): (UnixMillis, EndReason)| {
        let reuse = reason == EndReason::Revoked(RevocationReason::ReuseDetected);
        let reuse = reuse.then_some(Happening::ReuseDetected { session_id });
        let ended = Happening::SessionEnded { session_id, reason };
        reuse.into_iter().chain([ended]).map(move |happening| event(happening, at.seconds()))
    };
    match change {
        Change::Created(after) => {
            let expires_at = after.absolute_expires_at;
            let created = Happening::SessionCreated { session_id, expires_at };
            let created = event(created, after.began_at.seconds());
            std::iter::once(created).chain(after.ended.into_iter().flat_map(ended)).collect()
        }
        Change::Updated { before, after } if before.ended.is_none() => {
            let in_time = |(at, _): &(UnixMillis, _)| at.seconds() < before.expires_at;
            after.ended.into_iter().filter(in_time).flat_map(ended).collect()
        }
        Change::Deleted { before, by_ttl: false }
            if before.ended.is_none() && record.at < before.expires_at =>
        {
            let reason = EndReason::Evicted;
            vec![event(Happening::SessionEnded { session_id, reason }, record.at)]
        }
        Change::Updated { .. } | Change::Deleted { .. } => Vec::new(),
    }
}

/// What happens only once has an id of its own, even if another stream repeats it: after a restore,
/// or in another region. Whatever may happen again is identified by its record.
fn event_id(happening: &Happening, user_id: UserId, record: Record<'_>) -> String {
    let mut context = Context::new(&SHA256);
    let mut add = |bytes: &[u8]| context.update(bytes);
    add(happening.name().as_bytes());
    // The name has no such byte, and the ids have a fixed length.
    add(&[0]);
    add(user_id.as_bytes());
    if let Some(session_id) = happening.session_id() {
        add(session_id.as_bytes());
    }
    if !happening.happens_once() {
        add(record.id.as_bytes());
    }
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    // RFC 9562 §5.8.
    Builder::from_custom_bytes(id).into_uuid().as_hyphenated().to_string()
}
