//! Changes of a ring: a [plan](super::plan) for the keys of each use, carried out and checked.

use super::{
    GenerateError, KeyRingError, NewKey,
    document::{MAX_RING_LEN, RingDocument},
    entry::{Entry, KeyUse},
    life::KeyLife,
    plan::{Change, KeyState, Times, first_gap, plan},
    policy::{BETWEEN_SEALING_KEYS, MAX_SEALING_KEYS, MAX_TAG_KEYS, RotationPolicy},
};
use crate::time::UnixSeconds;

/// When a new signing key begins to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Once all verifiers have it, so that none refuses its tokens.
    WhenSeen,
    /// At once, in an emergency. Verifiers without it refuse its tokens until they reload.
    AtOnce,
}

/// A ring cannot be changed as requested.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RotationError {
    /// There is no such key.
    #[error("the key ring has no key with this kid")]
    UnknownKey,
    /// A sealing key cannot be removed: what it has sealed could not be opened any more.
    #[error(
        "a sealing key cannot be revoked, because the second factors that it has sealed could not be \
         checked any more; `keys rotate --now` adds one for those that are switched on later"
    )]
    SealingKey,
    /// No new key.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The result is not a usable ring.
    #[error(transparent)]
    Ring(#[from] KeyRingError),
    /// The result would leave a moment without a key.
    #[error("from {} on no key of the ring would {}", .from.get(), .use_.purpose())]
    Gap {
        /// The use without a key.
        use_: KeyUse,
        /// When the gap begins.
        from: UnixSeconds,
    },
    /// The result does not fit into a secret.
    #[error(
        "the key ring would be longer than {MAX_RING_LEN} bytes; try again when keys have ended"
    )]
    TooLong,
}

impl RingDocument {
    /// The ring after one rotation at `now`. While a published key does not sign yet, no other one
    /// is added, so a second rotation has no effect.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn rotated(
        mut self,
        policy: &RotationPolicy,
        start: Start,
        now: UnixSeconds,
    ) -> Result<Self, RotationError> {
        let emergency = start == Start::AtOnce;
        let signing = if emergency { Change::SucceedNow } else { Change::Succeed };
        let due = self.tag_key_is_due(policy, now);
        let room = self.lives(KeyUse::Tag).count() < MAX_TAG_KEYS;
        // Never at once: a function that does not have the key refuses the tokens that it tags.
        let tag = if due || emergency && room { Change::Succeed } else { Change::Mend };
        self.apply(KeyUse::Signing, signing, policy, now)?;
        self.apply(KeyUse::Tag, tag, policy, now)?;
        self.add_sealing_key(emergency, policy, now)?;
        self.fitted(policy, now)
    }

    /// Adds a sealing key in an emergency, and if the newest one is old. It begins once all functions
    /// have it, unless it is the only one.
    fn add_sealing_key(
        &mut self,
        emergency: bool,
        policy: &RotationPolicy,
        now: UnixSeconds,
    ) -> Result<(), GenerateError> {
        let newest = self.sealing.iter().map(Entry::life).max_by_key(|life| life.not_before);
        let is_needed = newest.is_none_or(|life| {
            let made_at = life.issued_at.unwrap_or(life.not_before);
            let is_old = made_at.plus(BETWEEN_SEALING_KEYS) <= now;
            // In an emergency, one that has not begun is known to others as well.
            emergency || is_old && life.not_before <= now
        });
        if is_needed && self.sealing.len() < MAX_SEALING_KEYS {
            let mut key = Entry::from(NewKey::sealing()?);
            let not_before = now.plus(policy.lead);
            key.set_life(KeyLife { issued_at: Some(now), not_before, expires_at: None });
            self.sealing.push(key);
        }
        Ok(())
    }

    /// The ring without one key, at `now`. If that key signed (or tagged), its successor takes its
    /// place at once; if it was to sign next, another key is published instead.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn without(
        mut self,
        kid: &str,
        policy: &RotationPolicy,
        now: UnixSeconds,
    ) -> Result<Self, RotationError> {
        if self.sealing.iter().any(|key| key.kid().is_ok_and(|own| own == kid)) {
            return Err(RotationError::SealingKey);
        }
        let revoked = self.keys.iter().find(|key| key.kid().is_ok_and(|own| own == kid));
        let revoked = revoked.ok_or(RotationError::UnknownKey)?;
        let (use_, other) = if revoked.is_for(KeyUse::Tag) {
            (KeyUse::Tag, KeyUse::Signing)
        } else {
            (KeyUse::Signing, KeyUse::Tag)
        };
        let mut of_use = self.keys.iter().filter(|key| key.is_for(use_));
        let position = of_use.position(|key| key.kid().is_ok_and(|own| own == kid));
        let position = position.ok_or(RotationError::UnknownKey)?;
        self.apply(use_, Change::Remove(position), policy, now)?;
        self.apply(other, Change::Mend, policy, now)?;
        self.fitted(policy, now)
    }

    /// Checks that some key signs and some key tags at every moment, by any clock, and that the ring
    /// fits into a secret.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn check(&self) -> Result<(), RotationError> {
        for use_ in [KeyUse::Signing, KeyUse::Tag] {
            if let Some(from) = first_gap(self.lives(use_)) {
                return Err(RotationError::Gap { use_, from });
            }
        }
        if self.to_json().len() > MAX_RING_LEN {
            return Err(RotationError::TooLong);
        }
        Ok(())
    }

    /// Whether this ring, made from `current` by `policy`, would be published too late at `now`: a new
    /// key in it begins before all can have it.
    #[must_use]
    pub fn is_late(&self, current: &Self, policy: &RotationPolicy, now: UnixSeconds) -> bool {
        let earliest = now.plus(policy.least_lead());
        [KeyUse::Signing, KeyUse::Tag].into_iter().any(|use_| {
            let known: Vec<_> = current.summaries().map(|key| key.kid).collect();
            let mut new =
                self.summaries().filter(|key| key.use_ == use_ && !known.contains(&key.kid));
            // If nothing signs, a new key has to begin at once.
            let signs = current.lives(use_).any(|life| life.may_sign(now));
            signs && new.any(|key| key.life.not_before < earliest)
        })
    }

    fn tag_key_is_due(&self, policy: &RotationPolicy, now: UnixSeconds) -> bool {
        let newest = self.lives(KeyUse::Tag).max_by_key(|life| life.not_before);
        newest.is_none_or(|life| {
            let made_at = life.issued_at.unwrap_or(life.not_before);
            // A key from the future was made by a clock that is wrong.
            made_at > now || made_at.plus(policy.between_tag_keys()) <= now
        })
    }

    fn apply(
        &mut self,
        use_: KeyUse,
        change: Change,
        policy: &RotationPolicy,
        now: UnixSeconds,
    ) -> Result<(), GenerateError> {
        let times = match use_ {
            KeyUse::Signing => policy.signing_keys(),
            KeyUse::Tag | KeyUse::Sealing => policy.tag_keys(),
        };
        self.apply_within(use_, change, &times, policy, now)
    }

    fn apply_within(
        &mut self,
        use_: KeyUse,
        change: Change,
        times: &Times,
        policy: &RotationPolicy,
        now: UnixSeconds,
    ) -> Result<(), GenerateError> {
        let is_usable = |key: &Entry| match use_ {
            KeyUse::Signing => key.algorithm() == Some(policy.algorithm.name()),
            KeyUse::Tag | KeyUse::Sealing => true,
        };
        let keys: Vec<Entry> = self.keys.extract_if(.., |key| key.is_for(use_)).collect();
        let states: Vec<_> = keys
            .iter()
            .map(|key| KeyState { life: key.life(), is_usable: is_usable(key) })
            .collect();
        for planned in plan(&states, change, times, now) {
            let mut key = match planned.position.and_then(|position| keys.get(position)) {
                Some(key) => key.clone(),
                None => Entry::from(match use_ {
                    KeyUse::Signing => NewKey::signing(policy.algorithm)?,
                    KeyUse::Tag => NewKey::tag()?,
                    KeyUse::Sealing => NewKey::sealing()?,
                }),
            };
            key.set_life(planned.life);
            self.keys.push(key);
        }
        Ok(())
    }

    /// The ring, checked; if it is too long, without the signing keys that have ended.
    fn fitted(mut self, policy: &RotationPolicy, now: UnixSeconds) -> Result<Self, RotationError> {
        if self.check() == Err(RotationError::TooLong) {
            let times = Times { max_ended: 0, ..policy.signing_keys() };
            self.apply_within(KeyUse::Signing, Change::Mend, &times, policy, now)?;
        }
        self.check()?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
