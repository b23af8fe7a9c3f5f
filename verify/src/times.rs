//! When keys are fetched: pure, so that a reader and the tests can hold it in their heads.

use std::time::Duration;

use ratchet::time::UnixSeconds;

/// However many tokens with unknown key ids come in, and however often fetching fails, one try in
/// this time is all that it costs.
pub const COOL_DOWN: Duration = Duration::from_secs(30);

/// Keys that can not be fetched anew are used for so long after the last time that they could. Then
/// it is better to answer nothing than to accept what a revoked key signs.
pub const STALE_FOR: Duration = Duration::from_secs(86_400);

/// Bounds for what the issuer says about keeping its keys.
const MAX_AGES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));

/// When keys were fetched, and for how long they are good.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    fetched_at: Option<UnixSeconds>,
    tried_at: Option<UnixSeconds>,
    max_age: Duration,
}

impl Times {
    pub(crate) const fn tried(&mut self, now: UnixSeconds) {
        self.tried_at = Some(now);
    }

    pub(crate) fn fetched(&mut self, now: UnixSeconds, max_age: Duration) {
        let (least, most) = MAX_AGES;
        self.fetched_at = Some(now);
        self.max_age = max_age.clamp(least, most);
    }

    /// Whether the keys are older than the issuer wants.
    pub(crate) fn old(&self, now: UnixSeconds) -> bool {
        self.fetched_at.is_none_or(|at| at.plus(self.max_age) <= now)
    }

    /// Whether the keys may be used, old or not.
    pub(crate) fn usable(&self, now: UnixSeconds) -> bool {
        self.fetched_at.is_some_and(|at| now < at.plus(self.max_age).plus(STALE_FOR))
    }

    /// Whether it is too early to try again.
    pub(crate) fn cooling_down(&self, now: UnixSeconds) -> bool {
        let cool_down = match self.fetched_at {
            // An issuer whose keys are to be kept shorter than that is asked as often as it says.
            Some(_) => COOL_DOWN.min(self.max_age),
            None => Duration::from_secs(1),
        };
        self.tried_at.is_some_and(|at| now < at.plus(cool_down))
    }
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
        assert!(times.usable(at(600 + 86_399)) && !times.usable(at(600 + 86_400)));
        assert!(!Times::default().usable(at(0)) && Times::default().old(at(0)));
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
    fn an_issuer_can_not_make_keys_stay_for_ever_or_be_fetched_all_the_time() {
        assert!(fetched(u64::MAX).old(at(86_400)));
        assert!(!fetched(0).old(at(0)));
    }
}
