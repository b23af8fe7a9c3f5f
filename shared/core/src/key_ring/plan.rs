//! Plans how the keys of one use succeed each other: a pure function of their lives, the configured
//! times, and the current time.
//!
//! The youngest key that has begun signs (or tags), so keys form a line. No change leaves a gap in
//! the line: the first key has no beginning, each key ends only after the next one has begun and
//! everything it signed has expired, and the last key has no end.
//!
//! ```text
//! now            now + lead                    now + lead + life + lead + tolerance
//!  │ published    │ signs ──────────────────────────────▶
//! ─┼─ signs ──────┼─ verifies ───────────────────────────┤ ended
//! ```
//!
//! # Clocks
//! `now` may be wrong. A line without a gap has a signer at every moment, so no clock, however
//! wrong, leaves a moment without one. Lifetimes allow for [`CLOCK_TOLERANCE`].

use std::time::Duration;

use super::KeyLife;
use crate::time::UnixSeconds;

/// How wrong the clock of a writer or a function may be before valid tokens can be refused. AWS
/// rejects requests that are signed with a clock more than five minutes wrong.
pub const CLOCK_TOLERANCE: Duration = Duration::from_mins(5);

/// The longest lead that a configuration can have: a day for others' copies of the public keys, an
/// hour for functions' copies of the ring, and a tenth more.
pub const LONGEST_LEAD: Duration = Duration::from_secs((86_400 + 3_600) * 11 / 10);

/// The configured times for the keys of one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How long after publication every function and verifier has a key.
    pub lead: Duration,
    /// How long a signature or tag of a key is accepted.
    pub life: Duration,
    /// How long a key is kept after its end.
    pub kept: Duration,
    /// The most keys that are kept after their end.
    pub max_ended: usize,
}

/// The parts of a key that a plan depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyState {
    /// Its life.
    pub life: KeyLife,
    /// Whether it may be the next key: it is of the policy's algorithm.
    pub is_usable: bool,
}

/// A change of the keys. If it needs a successor, a key that is published and does not sign yet
/// becomes it, so no second one is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// None, except to repair the line.
    Mend,
    /// A successor, which begins once all have it.
    Succeed,
    /// A successor, which begins at once.
    SucceedNow,
    /// The key at this position is removed. If it was the signer, its successor takes its place at
    /// once.
    Remove(usize),
}

/// A key after the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedKey {
    /// Its position among the keys before the change; `None` for the one to be created.
    pub position: Option<usize>,
    /// Its life.
    pub life: KeyLife,
    is_usable: bool,
}

/// The keys after `change` at `now`, in the order in which they sign: those that stay, and at most
/// one that is to be created.
#[must_use]
pub fn plan(keys: &[KeyState], change: Change, times: &Times, now: UnixSeconds) -> Vec<PlannedKey> {
    let mut line = remaining(keys, change, times, now);
    if let Some(begin) = successor_begins(keys, &line, change, times, now) {
        succeed(&mut line, begin, now);
    }
    begin_where_the_ended_ended(&mut line, now);
    end_after_the_next_began(&mut line, times, now);
    line
}

/// The first moment without a signer, if there is one.
pub fn first_gap(lives: impl IntoIterator<Item = KeyLife>) -> Option<UnixSeconds> {
    let mut lives: Vec<_> = lives.into_iter().collect();
    lives.sort_by_key(|life| life.not_before);
    let mut covered_until = UnixSeconds::new(0);
    for life in lives {
        if covered_until < life.not_before {
            return Some(covered_until);
        }
        match life.expires_at {
            None => return None,
            Some(end) => covered_until = covered_until.max(end),
        }
    }
    Some(covered_until)
}

fn remaining(
    keys: &[KeyState],
    change: Change,
    times: &Times,
    now: UnixSeconds,
) -> Vec<PlannedKey> {
    let is_forgotten = |life: KeyLife| {
        let end = life.expires_at.map(|end| end.plus(times.kept).plus(CLOCK_TOLERANCE));
        end.is_some_and(|end| end <= now)
    };
    let mut line: Vec<_> = keys
        .iter()
        .enumerate()
        .filter(|(position, key)| change != Change::Remove(*position) && !is_forgotten(key.life))
        .map(|(position, key)| PlannedKey {
            position: Some(position),
            life: key.life,
            is_usable: key.is_usable,
        })
        .collect();
    // Of two keys that began at the same time the later in the list signs.
    line.sort_by_key(|key| key.life.not_before);
    let ended = line.iter().filter(|key| key.life.expired(now)).count();
    let mut surplus = ended.saturating_sub(times.max_ended);
    line.retain(|key| {
        let goes = surplus > 0 && key.life.expired(now);
        surplus -= usize::from(goes);
        !goes
    });
    line
}

/// When the successor begins at the latest; `None` if none is needed.
fn successor_begins(
    keys: &[KeyState],
    line: &[PlannedKey],
    change: Change,
    times: &Times,
    now: UnixSeconds,
) -> Option<UnixSeconds> {
    // When all have a key that is published now. A key that it replaces may wait with a longer
    // lead, which others may still use. A start later than any policy allows comes from a wrong
    // clock.
    let seen = |replaced: Option<KeyLife>| {
        let latest = now.plus(LONGEST_LEAD).plus(CLOCK_TOLERANCE);
        let planned = replaced.map(|life| life.not_before).filter(|begin| *begin <= latest);
        now.plus(times.lead).max(planned.unwrap_or_default())
    };
    let begin = match change {
        Change::Mend => None,
        Change::Succeed => Some(seen(line.last().map(|newest| newest.life))),
        Change::SucceedNow => Some(now),
        Change::Remove(position) => {
            let signs = |(_, key): &(usize, &KeyState)| key.life.may_sign(now);
            let signer = keys.iter().enumerate().filter(signs);
            let signer = signer.max_by_key(|(_, key)| key.life.not_before);
            let removed = keys.get(position)?.life;
            if signer.is_some_and(|(signer, _)| signer == position) {
                // The successor starts when the removed key did: at once, on every clock.
                Some(removed.not_before)
            } else {
                let another_waits = line.last().is_some_and(|key| key.life.not_before > now);
                (removed.not_before > now && !another_waits).then(|| seen(Some(removed)))
            }
        }
    };
    if line.iter().any(|key| key.life.may_sign(now)) {
        begin
    } else {
        Some(begin.map_or(now, |begin| begin.min(now)))
    }
}

fn succeed(line: &mut Vec<PlannedKey>, begin: UnixSeconds, now: UnixSeconds) {
    let successor = match line.pop_if(|last| last.is_usable && last.life.not_before > now) {
        Some(waiting) => {
            let not_before = waiting.life.not_before.min(begin);
            PlannedKey { life: KeyLife { not_before, ..waiting.life }, ..waiting }
        }
        None => PlannedKey {
            position: None,
            life: KeyLife { issued_at: Some(now), not_before: begin, expires_at: None },
            is_usable: true,
        },
    };
    // A key that would have begun later is replaced. It stays: by another clock it may have begun.
    for key in line.iter_mut() {
        key.life.not_before = key.life.not_before.min(successor.life.not_before);
    }
    line.push(successor);
}

/// Lets a key that follows ended ones begin where they ended, and the first of all keys at zero.
fn begin_where_the_ended_ended(line: &mut [PlannedKey], now: UnixSeconds) {
    let mut covered_until = UnixSeconds::new(0);
    for key in line {
        key.life.not_before = key.life.not_before.min(covered_until);
        match key.life.expires_at.filter(|_| key.life.expired(now)) {
            Some(end) => covered_until = covered_until.max(end),
            None => break,
        }
    }
}

/// Lets every key last until the next one has begun and all that it made has expired.
fn end_after_the_next_began(line: &mut [PlannedKey], times: &Times, now: UnixSeconds) {
    let mut lasting = line.iter_mut().rev().filter(|key| !key.life.expired(now));
    let Some(last) = lasting.next() else { return };
    last.life.expires_at = None;
    let mut begin = last.life.not_before;
    // Of keys that begin at the same moment any may sign until a later one does: which of a seed's
    // first keys signs depends on the configuration.
    let mut later = None;
    for key in lasting {
        if key.life.not_before < begin {
            later = Some(begin);
            begin = key.life.not_before;
        }
        // A key without an end may have signed until now, whatever came after it.
        let used_until = match (later, key.life.expires_at) {
            (Some(later), Some(_)) => later,
            (later, _) => later.unwrap_or(now).max(now),
        };
        // Functions notice the later key up to a lead late.
        let end = used_until.plus(times.life).plus(times.lead).plus(CLOCK_TOLERANCE);
        key.life.expires_at = Some(key.life.expires_at.map_or(end, |before| before.max(end)));
    }
}

#[cfg(test)]
mod tests;
