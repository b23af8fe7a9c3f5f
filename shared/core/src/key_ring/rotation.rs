//! How a ring moves on: which keys come, which go, and when.
//!
//! A new key is *published* at once and *signs* from the moment on at which everybody had the time
//! to see it. The one before it *expires* when the last token that it may have signed has. Nothing
//! in between needs a second look: both times stand on the keys.
//!
//! ```text
//! now            now + lead                    now + lead + life + lead
//!  │ published    │ signs ──────────────────────────────▶
//! ─┼─ signs ──────┼─ verifies ───────────────────┤ expired
//! ```

use std::time::Duration;

use super::{
    GenerateError, KeyRing, KeyRingError, NewKey,
    document::{Entry, KeyUse, MAX_RING_LEN, RingDocument},
};
use crate::{config::Config, jws::SignatureAlgorithm, time::UnixSeconds};

/// So many expired keys are kept at most, for the access tokens of clients that come back late.
const MAX_RETIRED: usize = 12;

/// The times that a rotation keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationPolicy {
    /// What the next key for access tokens signs with.
    pub algorithm: SignatureAlgorithm,
    /// How long after a key was published everybody has it.
    pub lead: Duration,
    /// How long an access token may be accepted after it was signed.
    pub access_tokens: Duration,
    /// How long a refresh token may be accepted after it was tagged: the longest life of a session.
    pub sessions: Duration,
}

impl RotationPolicy {
    /// The policy of a configuration. Others keep the public keys for `jwks_max_age`, and what they
    /// fetch is as old as a ring may be in a function; a tenth is added for clocks and tries that
    /// fail.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let seen = config.keys.jwks_max_age.saturating_add(config.keys.reload);
        let seconds = seen.as_secs().saturating_mul(11).div_ceil(10);
        Self {
            algorithm: config.keys.algorithm,
            lead: Duration::from_secs(seconds),
            access_tokens: config.access_token.life.saturating_add(config.access_token.clock_skew),
            sessions: config.session.absolute,
        }
    }

    /// The least time between two tag keys. Each lives for `sessions`, so there are a handful of
    /// them, however often the ring is rotated.
    fn between_tag_keys(&self) -> Duration {
        self.sessions / 8
    }
}

/// When a new signing key begins to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// When everybody has seen it: nobody notices.
    WhenSeen,
    /// At once, in an emergency: verifiers that have not seen it refuse its tokens until they look.
    AtOnce,
}

/// A ring can not be changed as it should be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RotationError {
    /// There is no such key.
    #[error("the key ring has no key with this kid")]
    UnknownKey,
    /// No new key.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// What came out is no ring to sign with.
    #[error(transparent)]
    Ring(#[from] KeyRingError),
    /// What came out does not fit into a secret.
    #[error("the key ring would be longer than {MAX_RING_LEN} bytes")]
    TooLong,
}

impl RingDocument {
    /// The ring after one rotation at `now`. A key that was published and does not sign yet is not
    /// followed by another one, so doing this twice is doing it once.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn rotated(
        mut self,
        policy: &RotationPolicy,
        start: Start,
        now: UnixSeconds,
    ) -> Result<Self, RotationError> {
        self.forget_what_has_ended(policy, now);
        self.roll_signing_key(policy, start, now)?;
        let due = self
            .newest(KeyUse::Tag)
            .is_none_or(|newest| newest.life().not_before.plus(policy.between_tag_keys()) <= now);
        if due || start == Start::AtOnce {
            // Never at once: a refresh token whose tag a function does not know yet is a refusal,
            // and its client signs out.
            self.roll_tag_key(policy, Start::WhenSeen, now)?;
        }
        self.checked(now)
    }

    /// The ring without one key, at `now`. If that key signed (or tagged), a new one begins at once;
    /// if it was about to, a new one is published.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn without(
        mut self,
        kid: &str,
        policy: &RotationPolicy,
        now: UnixSeconds,
    ) -> Result<Self, RotationError> {
        let position = self
            .keys
            .iter()
            .position(|key| key.kid().is_ok_and(|own| own == kid))
            .ok_or(RotationError::UnknownKey)?;
        let use_ = if self.keys.get(position).is_some_and(|key| key.is_for(KeyUse::Tag)) {
            KeyUse::Tag
        } else {
            KeyUse::Signing
        };
        let active = self.active(use_, now).and_then(|key| key.kid().ok());
        let removed = self.keys.remove(position);
        let start = if active.as_deref() == Some(kid) {
            Some(Start::AtOnce)
        } else if removed.life().not_before > now {
            Some(Start::WhenSeen)
        } else {
            None
        };
        if let Some(start) = start {
            match use_ {
                KeyUse::Signing => self.roll_signing_key(policy, start, now)?,
                KeyUse::Tag => self.roll_tag_key(policy, start, now)?,
            }
        }
        self.checked(now)
    }

    /// Drops what nobody asks for any more. An expired key for access tokens verifies nothing, but
    /// says of a token that a client brings along with its refresh token that it was ours, for as
    /// long as there are sessions of its time (and not more than [`MAX_RETIRED`] such keys).
    fn forget_what_has_ended(&mut self, policy: &RotationPolicy, now: UnixSeconds) {
        let retired = |key: &Entry| key.is_for(KeyUse::Signing) && key.life().expired(now);
        let ended = |key: &Entry| {
            let end = key.life().expires_at;
            end.is_some_and(|end| {
                let kept =
                    if key.is_for(KeyUse::Signing) { policy.sessions } else { Duration::ZERO };
                end.plus(kept) <= now
            })
        };
        self.keys.retain(|key| !ended(key));
        let mut surplus =
            self.keys.iter().filter(|key| retired(key)).count().saturating_sub(MAX_RETIRED);
        // The oldest stand first.
        self.keys.retain(|key| {
            let goes = surplus > 0 && retired(key);
            surplus -= usize::from(goes);
            !goes
        });
    }

    fn roll_signing_key(
        &mut self,
        policy: &RotationPolicy,
        start: Start,
        now: UnixSeconds,
    ) -> Result<(), GenerateError> {
        let wanted = policy.algorithm.name();
        self.roll(KeyUse::Signing, policy.access_tokens, policy.lead, start, now, |waiting| {
            if waiting.and_then(Entry::algorithm) == Some(wanted) {
                Ok(None)
            } else {
                NewKey::signing(policy.algorithm).map(Some)
            }
        })
    }

    fn roll_tag_key(
        &mut self,
        policy: &RotationPolicy,
        start: Start,
        now: UnixSeconds,
    ) -> Result<(), GenerateError> {
        self.roll(KeyUse::Tag, policy.sessions, policy.lead, start, now, |waiting| {
            if waiting.is_some() { Ok(None) } else { NewKey::tag().map(Some) }
        })
    }

    /// Makes a successor, or takes the one that waits, and says to all others when they end.
    /// `life`: how long after the last signature what was signed counts.
    fn roll(
        &mut self,
        use_: KeyUse,
        life: Duration,
        lead: Duration,
        start: Start,
        now: UnixSeconds,
        generate: impl FnOnce(Option<&Entry>) -> Result<Option<NewKey>, GenerateError>,
    ) -> Result<(), GenerateError> {
        let begin = match start {
            Start::WhenSeen => now.plus(lead),
            Start::AtOnce => now,
        };
        let waiting = self.newest_position(use_).filter(|position| {
            self.keys.get(*position).is_some_and(|key| key.life().not_before > now)
        });
        let fresh = generate(waiting.and_then(|position| self.keys.get(position)))?;
        let mut successor = match (fresh, waiting) {
            (None, Some(position)) => self.keys.remove(position),
            (Some(fresh), _) => Entry::new(fresh, now, begin),
            // Nothing waits and nothing was made: there is nothing to say.
            (None, None) => return Ok(()),
        };
        if start == Start::AtOnce {
            successor.set("nbf", now);
        }
        let begin = successor.life().not_before;
        // What would begin later than its successor has signed nothing and never will.
        self.keys.retain(|key| !key.is_for(use_) || key.life().not_before <= begin);
        // A function that hears of the successor late signs with its own key that much longer.
        let end = begin.plus(life).plus(lead);
        for key in self.keys.iter_mut().filter(|key| key.is_for(use_)) {
            if key.life().expires_at.is_none() {
                key.set("exp", end);
            }
        }
        self.keys.push(successor);
        Ok(())
    }

    fn newest(&self, use_: KeyUse) -> Option<&Entry> {
        self.newest_position(use_).and_then(|position| self.keys.get(position))
    }

    fn newest_position(&self, use_: KeyUse) -> Option<usize> {
        let of_use = self.keys.iter().enumerate().filter(|(_, key)| key.is_for(use_));
        of_use.max_by_key(|(_, key)| key.life().not_before).map(|(position, _)| position)
    }

    /// The key that signs or tags at `now`.
    fn active(&self, use_: KeyUse, now: UnixSeconds) -> Option<&Entry> {
        let able = self.keys.iter().filter(|key| key.is_for(use_) && key.life().may_sign(now));
        able.max_by_key(|key| key.life().not_before)
    }

    fn checked(self, now: UnixSeconds) -> Result<Self, RotationError> {
        let json = self.to_json();
        if json.len() > MAX_RING_LEN {
            return Err(RotationError::TooLong);
        }
        KeyRing::parse(&json, now)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
