//! When keys and lists are fetched: pure, so that a reader and the tests can hold it in their heads.

use std::time::Duration;

use ratchet_core::time::UnixSeconds;

/// However many tokens with unknown key ids come in, and however often fetching fails, one try in
/// this time is all that it costs.
pub const COOL_DOWN: Duration = Duration::from_secs(30);

/// Keys that can not be fetched anew are used for so long after the last time that they could. Then
/// it is better to answer nothing than to accept what a revoked key signs.
pub const STALE_FOR: Duration = Duration::from_secs(86_400);

/// Bounds for what the issuer says about keeping what it has.
const MAX_AGES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));

/// When something was fetched, and for how long it is good.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    fetched_at: Option<UnixSeconds>,
    tried_at: Option<UnixSeconds>,
    failed_at: Option<UnixSeconds>,
    max_age: Duration,
}

impl Times {
    pub(crate) const fn tried(&mut self, now: UnixSeconds) {
        self.tried_at = Some(now);
    }

    pub(crate) const fn failed(&mut self, now: UnixSeconds) {
        self.failed_at = Some(now);
    }

    pub(crate) fn fetched(&mut self, now: UnixSeconds, max_age: Duration) {
        let (least, most) = MAX_AGES;
        self.fetched_at = Some(now);
        self.max_age = max_age.clamp(least, most);
    }

    /// Whether it is older than the issuer wants.
    pub(crate) fn old(&self, now: UnixSeconds) -> bool {
        !self.fetched_at.is_some_and(|at| is_near(at, now, self.max_age))
    }

    /// Whether it is better to wait for who fetches: if there is nothing, or it is older than the
    /// issuer wants by more than the tenth for which new keys do not sign yet. While the issuer can
    /// not be reached, nobody waits for every further try.
    pub(crate) fn late(&self, now: UnixSeconds) -> bool {
        let Some(fetched_at) = self.fetched_at else { return true };
        let outage = self.failed_at.is_some_and(|at| is_near(at, now, COOL_DOWN.saturating_mul(2)));
        !outage && !is_near(fetched_at, now, self.max_age + self.max_age / 10)
    }

    /// Whether it may be used, old or not, if that goes for `stale_for`.
    pub(crate) fn usable(&self, now: UnixSeconds, stale_for: Duration) -> bool {
        let longest = self.max_age.saturating_add(stale_for);
        self.fetched_at.is_some_and(|at| is_near(at, now, longest))
    }

    /// Whether it is too early to try again.
    pub(crate) fn cooling_down(&self, now: UnixSeconds) -> bool {
        let cool_down = match self.fetched_at {
            // An issuer that is to be asked sooner than that is asked as often as it says.
            Some(_) => COOL_DOWN.min(self.max_age),
            None => Duration::from_secs(1),
        };
        self.tried_at.is_some_and(|at| is_near(at, now, cool_down))
    }
}

/// Whether `at` is less than `distance` away, on either side: a request may have waited for another
/// one's fetch, and after a clock has been set back all that is known would be in the future for as
/// long.
fn is_near(at: UnixSeconds, now: UnixSeconds, distance: Duration) -> bool {
    now < at.plus(distance) && at < now.plus(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_780_000_000;

    fn at(seconds: u64) -> UnixSeconds {
        UnixSeconds::new(START + seconds)
    }

    fn fetched(max_age: u64) -> Times {
        let mut times = Times::default();
        times.tried(at(0));
        times.fetched(at(0), Duration::from_secs(max_age));
        times
    }

    #[test]
    fn keys_are_kept_as_long_as_the_issuer_says_and_used_a_day_longer() {
        let times = fetched(600);
        assert!(!times.old(at(599)) && times.old(at(600)));
        assert!(
            times.usable(at(600 + 86_399), STALE_FOR) && !times.usable(at(600 + 86_400), STALE_FOR)
        );
        assert!(!Times::default().usable(at(0), STALE_FOR) && Times::default().old(at(0)));
    }

    #[test]
    fn the_issuer_is_asked_once_in_a_cool_down() {
        let mut times = fetched(600);
        assert!(times.cooling_down(at(29)) && !times.cooling_down(at(30)));
        times.tried(at(1_000));
        assert!(times.cooling_down(at(1_029)) && !times.cooling_down(at(1_030)));
        let mut never = Times::default();
        never.tried(at(0));
        assert!(never.cooling_down(at(0)) && !never.cooling_down(at(1)), "nothing to fall back on");
    }

    #[test]
    fn what_is_a_little_late_is_not_waited_for_nor_is_it_in_an_outage() {
        let mut times = fetched(600);
        assert!(!times.late(at(659)) && times.late(at(660)) && Times::default().late(at(0)));
        times.failed(at(1_000));
        assert!(!times.late(at(1_059)) && times.late(at(1_060)));
        times.fetched(at(1_060), Duration::from_secs(600));
        assert!(!times.late(at(1_060)));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nothing_for_longer() {
        let mut times = Times::default();
        times.tried(at(10_000));
        times.fetched(at(10_000), Duration::from_secs(600));
        assert!(!times.old(at(9_401)) && times.old(at(9_400)));
        assert!(!times.cooling_down(at(9_400)));
    }

    #[test]
    fn an_issuer_can_not_make_keys_stay_for_ever_or_be_fetched_all_the_time() {
        assert!(fetched(u64::MAX).old(at(86_400)));
        assert!(!fetched(0).old(at(0)));
    }
}
