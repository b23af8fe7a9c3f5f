//! The decision table for genuine refresh tokens.
//!
//! [`decide`] is the whole table. A rotation is one conditional write whose condition is the
//! [`Decision::Rotate`] row. If the condition does not hold, the item that the write found is
//! passed to the same function, and the other rows say what to answer. The model checker and the
//! property tests explore this function, not a copy.
//!
//! With a retry window `w`, a token is
//! * *live*: of the session's generation, with its hash;
//! * *recent*: superseded less than `w` ago;
//! * *late*: superseded longer ago, but by the most recent rotation. Its client may have lost the
//!   answer, so it leads to the live token a limited number of times;
//! * *old*: every other superseded token. Only a thief, or the victim of one, still presents it
//!   (RFC 9700 §4.14.2).
//!
//! In a session that is bound to a key, possession of the key decides instead of a token's age.
//! With the key, every token leads to the live one; without it, every token is refused.

use std::time::Duration;

use aws_lc_rs::hmac;

use crate::{
    dpop::Thumbprint,
    ids::{SessionId, UserId},
    key_ring::TagKey,
    refresh_token::RefreshToken,
    seal::{self, SealContext, SealError, SealedSecret},
    secret::{SecretHash, TokenSecret},
    session::{Ended, Origin, REGISTER_SLOTS, Session, Superseded},
    time::{UnixMillis, UnixSeconds},
};

/// The limits on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionPolicy {
    /// A session ends this long after its last rotation.
    pub idle: Duration,
    /// A session ends this long after the password was proved.
    pub absolute: Duration,
    /// A superseded token leads to the live one for this long.
    pub retry_window: Duration,
    /// How many late recoveries a session has within [`LATE_WINDOW`] generations; 0 for none.
    ///
    /// # Security
    /// This limit detects two parties that share a chain, each one rotation behind the other: every
    /// rotation of one makes the other late.
    pub late_recoveries: u8,
}

/// How many generations back late recoveries are counted.
pub const LATE_WINDOW: u32 = 8;

impl SessionPolicy {
    /// When a session ends at the latest under this policy.
    #[must_use]
    pub fn absolute_expires_at(&self, session_id: SessionId) -> UnixSeconds {
        session_id.created_at().seconds().plus(self.absolute)
    }

    /// When a session last refreshed at `now` ends: the earlier of idle and absolute.
    #[must_use]
    pub fn expires_at(&self, session_id: SessionId, now: UnixMillis) -> UnixSeconds {
        now.seconds().plus(self.idle).min(self.absolute_expires_at(session_id))
    }
}

/// The parts of a genuine token that the decision needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Presented {
    /// The generation it was issued as.
    pub generation: u32,
    /// The hash of its secret.
    pub hash: SecretHash,
    /// The key whose possession the request proves, if any.
    pub key: Option<Thumbprint>,
}

/// Without a key.
impl From<&RefreshToken> for Presented {
    fn from(token: &RefreshToken) -> Self {
        Self { generation: token.generation, hash: token.secret.hash(), key: None }
    }
}

impl Presented {
    /// The same token, presented by somebody who proves possession of this key, or of none.
    #[must_use]
    pub const fn with_key(self, key: Option<Thumbprint>) -> Self {
        Self { key, ..self }
    }
}

/// What to do with a presented token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It is live and the register has room: supersede it. This row is the write's condition.
    Rotate,
    /// It is live, but the register is full of recent generations: answer with this same token.
    AnswerLive,
    /// It is recent: walk to the live token and answer with that.
    AnswerSuccessor,
    /// It is late, and the session has a recovery left: note the recovery, then answer with the
    /// live token. Nothing is answered without the note.
    RecoverLate,
    /// It is late, and its recovery has been noted: that answer was lost too. Answer with the live
    /// token.
    AnswerRecovered,
    /// It is not live, but the session is bound to a key, and the request proves possession of it:
    /// answer with the live token ([`live_secret`]).
    AnswerOwner,
    /// It is of no use, but not a sign of theft.
    Refuse(Refusal),
    /// It is old: end the session.
    Theft(Reuse),
}

/// Why a genuine token is refused without a sign of theft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There is no such session.
    Unknown,
    /// The session is over.
    Ended(Ended),
    /// The session has not reached the token's generation: its table was restored from a backup.
    Ahead,
    /// The session is bound to a key, and the request does not prove possession of it. Nothing
    /// changes, so a thief cannot even end the session.
    Unproven,
}

/// How a token was recognised as old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reuse {
    /// It was superseded, longer ago than the retry window.
    Superseded,
    /// It was superseded by the last rotation, longer ago than the retry window, and the session
    /// has used up its late recoveries.
    Late,
    /// The register has another secret for its generation: the session has two histories.
    Diverged,
}

impl Reuse {
    /// The name in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Superseded => "superseded",
            Self::Late => "late",
            Self::Diverged => "diverged",
        }
    }
}

/// Decides about a genuine token that came with `user_agent`, given the item that a consistent read
/// or a failed write found.
///
/// # Security
/// Refusals that depend only on generation or time come before [`Decision::Theft`]. A genuine token
/// that matches no other row is theft.
#[must_use]
pub fn decide(
    presented: &Presented,
    user_agent: &str,
    session: Option<&Session>,
    now: UnixMillis,
    policy: &SessionPolicy,
) -> Decision {
    let retry_window = policy.retry_window;
    let Some(session) = session else {
        return Decision::Refuse(Refusal::Unknown);
    };
    if let Some(ended) = session.ended(now) {
        return Decision::Refuse(Refusal::Ended(ended));
    }
    if !session.accepts(presented.key) {
        return Decision::Refuse(Refusal::Unproven);
    }
    let is_live =
        session.generation == presented.generation && session.token_hash == presented.hash;
    if session.jkt.is_some() && !is_live {
        return Decision::AnswerOwner;
    }
    let Some(generations_ago) = session.generation.checked_sub(presented.generation) else {
        return Decision::Refuse(Refusal::Ahead);
    };
    let Some(slot) = generations_ago.checked_sub(1) else {
        return match (is_live, register_has_room(session, now, retry_window)) {
            (true, true) => Decision::Rotate,
            (true, false) => Decision::AnswerLive,
            (false, _) => Decision::Theft(Reuse::Diverged),
        };
    };
    let remembered = usize::try_from(slot).ok().and_then(|slot| session.superseded.get(slot));
    match remembered {
        Some(Some(superseded)) if superseded.hash != presented.hash => {
            Decision::Theft(Reuse::Diverged)
        }
        Some(Some(superseded)) if superseded.is_recent(now, retry_window) => {
            Decision::AnswerSuccessor
        }
        Some(Some(_)) if slot == 0 && session.origin.is_same_kind_of_client(user_agent) => {
            recover(session, policy)
        }
        _ => Decision::Theft(Reuse::Superseded),
    }
}

/// Decides about a late token that comes from the kind of client that rotated last.
fn recover(session: &Session, policy: &SessionPolicy) -> Decision {
    let counted = session.recovered.within(session.generation, LATE_WINDOW);
    if policy.late_recoveries == 0 {
        Decision::Theft(Reuse::Superseded)
    } else if session.recovered.last() == Some(session.generation) {
        Decision::AnswerRecovered
    } else if counted < usize::from(policy.late_recoveries) {
        Decision::RecoverLate
    } else {
        Decision::Theft(Reuse::Late)
    }
}

impl Superseded {
    /// Whether it was superseded less than `retry_window` ago. If the clock has been set back, it
    /// still counts as recent.
    #[must_use]
    pub fn is_recent(&self, now: UnixMillis, retry_window: Duration) -> bool {
        now < self.superseded_at.plus(retry_window)
    }
}

/// Whether a rotation would push no recent generation out of the register.
fn register_has_room(session: &Session, now: UnixMillis, retry_window: Duration) -> bool {
    let [.., oldest] = &session.superseded;
    !oldest.as_ref().is_some_and(|oldest| oldest.is_recent(now, retry_window))
}

/// A rotation ready to be written: everything the write sets.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The hash of the next secret.
    pub next_hash: SecretHash,
    /// The next secret, sealed for the holder of the presented one.
    pub sealed_successor: SealedSecret,
    /// When the presented token is superseded.
    pub now: UnixMillis,
    /// When the session ends if this is its last rotation.
    pub expires_at: UnixSeconds,
    /// Where the request came from.
    pub origin: Origin,
}

impl Rotation {
    /// Prepares the rotation from `token` to `next`. `nonce` is twelve fresh random bytes.
    ///
    /// # Errors
    /// [`SealError`] if the successor cannot be sealed; nothing may be written then.
    pub fn prepare(
        token: &RefreshToken,
        next: &TokenSecret,
        nonce: [u8; 12],
        now: UnixMillis,
        policy: &SessionPolicy,
        origin: Origin,
    ) -> Result<Self, SealError> {
        Ok(Self {
            next_hash: next.hash(),
            sealed_successor: seal::seal(
                &token.secret,
                next,
                &context(token, token.generation),
                nonce,
            )?,
            now,
            expires_at: policy.expires_at(token.session_id, now),
            origin,
        })
    }
}

impl Session {
    /// The session after `rotation` has been written: what the store's `UpdateItem` does.
    #[must_use]
    pub fn rotated(&self, rotation: &Rotation) -> Self {
        let [first, second, third, _] = self.superseded;
        let superseded = Superseded {
            hash: self.token_hash,
            sealed_successor: rotation.sealed_successor,
            superseded_at: rotation.now,
        };
        Self {
            generation: self.generation.saturating_add(1),
            token_hash: rotation.next_hash,
            superseded: [Some(superseded), first, second, third],
            expires_at: rotation.expires_at,
            origin: rotation.origin.clone(),
            ..self.clone()
        }
    }
}

impl Session {
    /// The session after a late recovery of its present generation has been noted: what the
    /// store's `UpdateItem` does. The late token is recent again, for its client may have sent it
    /// more than once.
    #[must_use]
    pub fn recovered_late(&self, now: UnixMillis) -> Self {
        let mut session = self.clone();
        session.recovered = self.recovered.noting(self.generation);
        if let Some(Some(last)) = session.superseded.first_mut() {
            last.superseded_at = now;
        }
        session
    }
}

/// Walks from a superseded token, seal by seal, to the live secret of `session`.
///
/// # Errors
/// [`SealError`] if a seal does not open, or its contents do not match the session: the item is
/// damaged.
pub fn walk(token: &RefreshToken, session: &Session) -> Result<TokenSecret, SealError> {
    let generations_ago = session.generation.checked_sub(token.generation).ok_or(SealError)?;
    let steps = usize::try_from(generations_ago).map_err(|_| SealError)?;
    if steps > REGISTER_SLOTS {
        return Err(SealError);
    }
    let mut secret = TokenSecret::new(*token.secret.expose());
    let mut generation = token.generation;
    for slot in (0..steps).rev() {
        let superseded = session.superseded.get(slot).and_then(Option::as_ref).ok_or(SealError)?;
        if superseded.hash != secret.hash() {
            return Err(SealError);
        }
        secret = seal::open(&secret, &superseded.sealed_successor, &context(token, generation))?;
        generation = generation.checked_add(1).ok_or(SealError)?;
    }
    if secret.hash() == session.token_hash { Ok(secret) } else { Err(SealError) }
}

/// The secret of one generation of a session that is bound to a key. It is derived from the tag
/// key, so any of the session's tokens can lead to the live one.
///
/// # Security
/// Somebody who has the key ring can compute this secret, but cannot refresh with it without the
/// client's key.
#[must_use]
pub fn bound_secret(
    key: &TagKey,
    user_id: UserId,
    session_id: SessionId,
    generation: u32,
) -> TokenSecret {
    let mut hmac = hmac::Context::with_key(&key.derive(b"ratchet bound session v1"));
    hmac.update(user_id.as_bytes());
    hmac.update(session_id.as_bytes());
    hmac.update(&generation.to_be_bytes());
    let mut secret = [0; 32];
    // HMAC-SHA-256 yields exactly 32 bytes.
    secret.copy_from_slice(hmac.sign().as_ref());
    TokenSecret::new(secret)
}

/// The live secret of a bound `session`, for the owner of one of its superseded tokens. `None` if
/// the tag key that it was derived from is gone.
pub fn live_secret<'k>(
    session: &Session,
    keys: impl IntoIterator<Item = &'k TagKey>,
) -> Option<TokenSecret> {
    let Session { user_id, session_id, generation, .. } = *session;
    keys.into_iter()
        .map(|key| bound_secret(key, user_id, session_id, generation))
        .find(|secret| secret.hash() == session.token_hash)
}

const fn context(token: &RefreshToken, generation: u32) -> SealContext {
    SealContext { user_id: token.user_id, session_id: token.session_id, generation }
}

#[cfg(test)]
mod tests;
