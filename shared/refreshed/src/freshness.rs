//! Decides when a value is loaded. Pure, so that it is easy to understand and to test.

use std::time::Duration;

use ratchet_core::time::UnixMillis;

/// How often a value is loaded, and how long it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The least time between two loads while a value is in use. A value that is fresh for less
    /// than this is loaded as often as necessary.
    pub cool_down: Duration,
    /// The least time between two loads while there is no value.
    pub first_cool_down: Duration,
    /// The least time between a successful load and the next one that is made because something is
    /// missing from the value.
    pub look_again_after: Duration,
    /// How long a stale value is used while it cannot be reloaded; `None` for no limit.
    pub stale_for: Option<Duration>,
    /// How long a load may take while a usable value is there; `None` leaves that to the load.
    pub patience: Option<Duration>,
}

/// When a value was loaded, and how long it is fresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freshness {
    loaded_at: Option<UnixMillis>,
    tried_at: Option<UnixMillis>,
    last_failed: bool,
    good_for: Duration,
}

impl Freshness {
    /// Notes that a load begins.
    pub const fn tried(&mut self, now: UnixMillis) {
        self.tried_at = Some(now);
    }

    /// Notes that the load failed.
    pub const fn failed(&mut self) {
        self.last_failed = true;
    }

    /// Notes that the load which began at `now` brought a value.
    pub const fn loaded(&mut self, now: UnixMillis, good_for: Duration) {
        self.loaded_at = Some(now);
        self.good_for = good_for;
        self.last_failed = false;
    }

    /// When the value was loaded.
    #[must_use]
    pub const fn loaded_at(&self) -> Option<UnixMillis> {
        self.loaded_at
    }

    /// Whether the value is stale.
    #[must_use]
    pub fn is_stale(&self, now: UnixMillis) -> bool {
        !self.loaded_at.is_some_and(|at| is_near(at, now, self.good_for))
    }

    /// Whether a request should wait for a load that is under way: there is no value, or it is stale
    /// by more than a tenth of its time. During an outage no request waits for further tries.
    #[must_use]
    pub fn is_late(&self, now: UnixMillis, timing: &Timing) -> bool {
        let Some(loaded_at) = self.loaded_at else { return true };
        let outage = timing.cool_down.saturating_mul(2);
        let is_outage =
            self.last_failed && self.tried_at.is_some_and(|at| is_near(at, now, outage));
        !is_outage && !is_near(loaded_at, now, self.good_for.saturating_add(self.good_for / 10))
    }

    /// Whether the value may be used, stale or not.
    #[must_use]
    pub fn is_usable(&self, now: UnixMillis, timing: &Timing) -> bool {
        let Some(loaded_at) = self.loaded_at else { return false };
        let within = |stale_for| is_near(loaded_at, now, self.good_for.saturating_add(stale_for));
        timing.stale_for.is_none_or(within)
    }

    /// Whether a load should begin because the value is stale or missing.
    #[must_use]
    pub fn is_due(&self, now: UnixMillis, timing: &Timing) -> bool {
        self.is_stale(now) && !self.was_tried_within(self.cool_down(timing), now)
    }

    /// Whether a load may begin because something is missing from the value.
    #[must_use]
    pub fn may_look_again(&self, now: UnixMillis, timing: &Timing) -> bool {
        let pause = if self.last_failed { self.cool_down(timing) } else { timing.look_again_after };
        !self.was_tried_within(pause, now)
    }

    /// Whether the last load failed.
    #[must_use]
    pub const fn last_failed(&self) -> bool {
        self.last_failed
    }

    fn cool_down(&self, timing: &Timing) -> Duration {
        match self.loaded_at {
            Some(_) => timing.cool_down.min(self.good_for),
            None => timing.first_cool_down,
        }
    }

    fn was_tried_within(&self, pause: Duration, now: UnixMillis) -> bool {
        self.tried_at.is_some_and(|at| is_near(at, now, pause))
    }
}

/// Whether `at` is less than `distance` before or after. `at` can be in the future: a request that
/// waited for another one's load read its clock earlier, and a clock may be set back.
fn is_near(at: UnixMillis, now: UnixMillis, distance: Duration) -> bool {
    now < at.plus(distance) && at < now.plus(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        cool_down: Duration::from_secs(30),
        first_cool_down: Duration::from_secs(1),
        look_again_after: Duration::from_secs(1),
        stale_for: Some(Duration::from_secs(86_400)),
        patience: None,
    };

    fn at(seconds: u64) -> UnixMillis {
        UnixMillis::new(1_780_000_000_000 + seconds * 1_000)
    }

    fn loaded(good_for: u64) -> Freshness {
        let mut freshness = Freshness::default();
        freshness.tried(at(0));
        freshness.loaded(at(0), Duration::from_secs(good_for));
        freshness
    }

    #[test]
    fn a_value_is_kept_as_long_as_it_is_good_and_used_a_day_longer() {
        let value = loaded(600);
        assert!(!value.is_stale(at(599)) && value.is_stale(at(600)));
        assert!(value.is_usable(at(600 + 86_399), &TIMING));
        assert!(!value.is_usable(at(600 + 86_400), &TIMING));
        let forever = Timing { stale_for: None, ..TIMING };
        assert!(value.is_usable(at(1_000_000_000), &forever));
        for timing in [TIMING, forever] {
            assert!(!Freshness::default().is_usable(at(0), &timing));
        }
        assert!(Freshness::default().is_stale(at(0)));
    }

    #[test]
    fn a_stale_value_is_loaded_once_in_a_cool_down() {
        let mut value = loaded(600);
        assert!(!value.is_due(at(599), &TIMING) && value.is_due(at(600), &TIMING));
        value.tried(at(1_000));
        value.failed();
        assert!(!value.is_due(at(1_029), &TIMING) && value.is_due(at(1_030), &TIMING));
        let mut never = Freshness::default();
        never.tried(at(0));
        never.failed();
        assert!(!never.is_due(at(0), &TIMING) && never.is_due(at(1), &TIMING));
    }

    #[test]
    fn a_value_that_is_good_for_less_than_a_cool_down_is_loaded_as_often_as_it_has_to_be() {
        let mut value = loaded(15);
        assert!(!value.is_due(at(14), &TIMING) && value.is_due(at(15), &TIMING));
        value.tried(at(15));
        value.failed();
        assert!(!value.is_due(at(29), &TIMING) && value.is_due(at(30), &TIMING));
    }

    #[test]
    fn what_is_missing_is_looked_for_again_soon_after_a_success_and_later_after_a_failure() {
        let mut value = loaded(600);
        assert!(!value.may_look_again(at(0), &TIMING) && value.may_look_again(at(1), &TIMING));
        value.tried(at(10));
        value.failed();
        assert!(!value.may_look_again(at(39), &TIMING) && value.may_look_again(at(40), &TIMING));
    }

    #[test]
    fn nobody_waits_while_a_value_is_a_little_stale_or_there_is_an_outage() {
        let mut value = loaded(600);
        let never = Freshness::default();
        assert!(!value.is_late(at(659), &TIMING) && value.is_late(at(660), &TIMING));
        assert!(never.is_late(at(0), &TIMING));
        value.tried(at(1_000));
        value.failed();
        assert!(!value.is_late(at(1_059), &TIMING) && value.is_late(at(1_060), &TIMING));
        value.tried(at(1_060));
        value.loaded(at(1_060), Duration::from_secs(600));
        assert!(!value.is_late(at(1_060), &TIMING));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nothing_for_longer() {
        let mut value = Freshness::default();
        value.tried(at(10_000));
        value.loaded(at(10_000), Duration::from_secs(600));
        assert!(!value.is_stale(at(9_401)) && value.is_stale(at(9_400)));
        assert!(value.is_due(at(9_400), &TIMING));
    }
}
