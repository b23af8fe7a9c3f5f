//! What each write does to a counter.
//!
//! Pure. A write whose answer is lost may be sent again after other writes have been applied. So a
//! counter remembers the last few attempts that it counted and the last few that it settled.

use super::{AttemptId, Failures, Throttle, ThrottleDecision};
use crate::time::UnixMillis;

/// How many attempts of each kind a counter remembers. A write that arrives again after this many
/// others counts twice.
pub const REMEMBERED: usize = 4;

/// A counter of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// The failures counted so far.
    pub failures: Failures,
    /// The attempts counted most recently, newest first.
    pub taken: [Option<AttemptId>; REMEMBERED],
    /// The attempts that turned out not to be failures, newest first.
    pub settled: [Option<AttemptId>; REMEMBERED],
}

impl Counter {
    /// Counts an attempt if `throttle` allows it. Returns the counter to be written; `None` if
    /// there is nothing to write.
    #[must_use]
    pub fn take(
        counter: Option<&Self>,
        attempt: AttemptId,
        throttle: &Throttle,
        now: UnixMillis,
    ) -> (ThrottleDecision, Option<Self>) {
        if counter.is_some_and(|counter| counter.taken.contains(&Some(attempt))) {
            return (ThrottleDecision::Allow, None);
        }
        let decision = throttle.decide(counter.map(|counter| counter.failures), now);
        if decision != ThrottleDecision::Allow {
            return (decision, None);
        }
        let count = counter.map_or(0, |counter| counter.failures.count).saturating_add(1);
        let taken = counter.map_or([None; REMEMBERED], |counter| counter.taken);
        let settled = counter.map_or([None; REMEMBERED], |counter| counter.settled);
        let failures = Failures { count, last: now };
        (decision, Some(Self { failures, taken: shifted(taken, attempt), settled }))
    }

    /// Takes back one attempt that was not a failure. `None` if there is nothing to write.
    #[must_use]
    pub fn give_back(&self, attempt: AttemptId) -> Option<Self> {
        let count = self.failures.count.checked_sub(1)?;
        self.settle(attempt, count)
    }

    /// Resets the count, because the password was right. `None` if there is nothing to write.
    #[must_use]
    pub fn reset(&self, attempt: AttemptId) -> Option<Self> {
        self.settle(attempt, 0)
    }

    /// Takes back an attempt whose code was right, and up to `errors` failures before it. `None` if
    /// there is nothing to write.
    #[must_use]
    pub fn forgive(&self, attempt: AttemptId, errors: u32) -> Option<Self> {
        let count = self.failures.count.saturating_sub(errors.saturating_add(1));
        if self.failures.count == 0 { None } else { self.settle(attempt, count) }
    }

    fn settle(&self, attempt: AttemptId, count: u32) -> Option<Self> {
        if self.settled.contains(&Some(attempt)) {
            return None;
        }
        let failures = Failures { count, ..self.failures };
        Some(Self { failures, settled: shifted(self.settled, attempt), ..*self })
    }
}

fn shifted(
    [first, second, third, _]: [Option<AttemptId>; REMEMBERED],
    attempt: AttemptId,
) -> [Option<AttemptId>; REMEMBERED] {
    [Some(attempt), first, second, third]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const THROTTLE: Throttle = Throttle { free: 50, delay: Duration::from_secs(1), max: 100 };

    fn attempt(number: u8) -> AttemptId {
        AttemptId::new([number; 16])
    }

    fn take(counter: Option<&Counter>, number: u8) -> Option<Counter> {
        let (decision, counter) =
            Counter::take(counter, attempt(number), &THROTTLE, UnixMillis::new(5));
        assert_eq!(decision, ThrottleDecision::Allow);
        counter
    }

    fn counter(attempts: u8) -> Counter {
        (1..=attempts).fold(None, |counter, number| take(counter.as_ref(), number)).unwrap()
    }

    #[test]
    fn an_attempt_that_arrives_again_is_counted_once_with_three_others_between() {
        let counter = counter(4);
        assert_eq!(counter.failures.count, 4);
        for number in 1..=4 {
            assert_eq!(take(Some(&counter), number), None, "{number}");
        }
    }

    #[test]
    fn an_attempt_is_given_back_once_and_never_below_zero() {
        let counter = counter(2);
        let once = counter.give_back(attempt(1)).unwrap();
        assert_eq!((once.failures.count, once.give_back(attempt(1))), (1, None));
        let twice = once.give_back(attempt(2)).unwrap();
        assert_eq!((twice.failures.count, twice.give_back(attempt(3))), (0, None));
    }

    #[test]
    fn a_reset_that_arrives_again_leaves_what_was_counted_since() {
        let reset = counter(3).reset(attempt(3)).unwrap();
        assert_eq!(reset.failures.count, 0);
        let since = take(Some(&reset), 4).unwrap();
        assert_eq!(since.reset(attempt(3)), None);
        assert_eq!(since.reset(attempt(4)).unwrap().failures.count, 0);
    }

    #[test]
    fn what_the_throttle_refuses_is_not_written() {
        let throttle = Throttle { free: 1, ..THROTTLE };
        let counter = counter(2);
        let (decision, written) =
            Counter::take(Some(&counter), attempt(3), &throttle, UnixMillis::new(6));
        assert_eq!(
            (decision, written),
            (ThrottleDecision::Wait(Duration::from_millis(1_999)), None)
        );
    }
}
