use proptest::prelude::*;

use super::*;

const ACCOUNT: Throttle = Throttle { free: 5, delay: Duration::from_secs(1), max: 100 };

fn at(seconds: u64) -> UnixMillis {
    UnixMillis::new(1_780_000_000_000 + seconds * 1_000)
}

/// Makes a wrong attempt every second and returns the seconds in which one was allowed.
fn guess(throttle: Throttle, seconds: u64) -> Vec<u64> {
    let mut failures = None;
    let mut allowed = Vec::new();
    for second in 0..seconds {
        if throttle.decide(failures, at(second)) == ThrottleDecision::Allow {
            let count = failures.map_or(0, |failures: Failures| failures.count) + 1;
            failures = Some(Failures { count, last: at(second) });
            allowed.push(second);
        }
    }
    allowed
}

#[test]
fn from_the_fifth_failure_on_the_delay_doubles_up_to_an_hour() {
    let allowed = guess(ACCOUNT, 40_000);
    assert_eq!(allowed[..10], [0, 1, 2, 3, 4, 5, 7, 11, 19, 35]);
    let last: Vec<_> = allowed.windows(2).map(|pair| pair[1] - pair[0]).rev().take(3).collect();
    assert_eq!(last, [3_600; 3]);
}

#[test]
fn nobody_guesses_more_than_a_hundred_times_in_succession() {
    assert_eq!(guess(ACCOUNT, 100 * 3_600).len(), 100);
    let full = Some(Failures { count: 100, last: at(0) });
    assert_eq!(ACCOUNT.decide(full, at(1_000_000_000)), ThrottleDecision::Locked);
}

#[test]
fn the_wait_is_told_and_never_longer_than_the_delay() {
    let failures = |last| Some(Failures { count: 7, last });
    assert_eq!(
        ACCOUNT.decide(failures(at(10)), at(11)),
        ThrottleDecision::Wait(Duration::from_secs(3))
    );
    assert_eq!(ACCOUNT.decide(failures(at(10)), at(14)), ThrottleDecision::Allow);
    assert_eq!(
        ACCOUNT.decide(failures(at(900)), at(0)),
        ThrottleDecision::Wait(Duration::from_secs(4))
    );
}

#[test]
fn spellings_of_one_name_are_counted_together_and_the_name_is_not_in_the_key() {
    let key = AttemptKey::account("Ada");
    assert_eq!(key, AttemptKey::account("\u{ff21}DA"));
    assert_ne!(key, AttemptKey::account("Eda"));
    assert_ne!(AttemptKey::account("a b"), AttemptKey::account("a  b"));
    assert!(!key.as_str().to_lowercase().contains("ada"), "{key}");
}

#[test]
fn networks_are_addresses_of_ipv4_and_64_bits_of_ipv6_for_an_hour() {
    let key = |ip: &str, second| AttemptKey::network(Some(ip.parse().unwrap()), at(second));
    assert_eq!(key("192.0.2.1", 0), key("::ffff:192.0.2.1", 0));
    assert_ne!(key("192.0.2.1", 0), key("192.0.2.2", 0));
    assert_eq!(key("2001:db8:1:2:3::4", 0), key("2001:db8:1:2:5::6", 0));
    assert_ne!(key("2001:db8:1:2::4", 0), key("2001:db8:1:3::4", 0));
    assert_ne!(key("192.0.2.1", 0), key("192.0.2.1", 3_600));
    assert_ne!(key("192.0.2.1", 0), AttemptKey::network(None, at(0)));
}

#[test]
fn an_ipv6_network_is_part_of_a_site_with_a_larger_budget() {
    let site = |ip: &str, second| AttemptKey::network_site(Some(ip.parse().unwrap()), at(second));
    assert_eq!(site("2001:db8:1:2::3", 0), site("2001:db8:1:ffff::4", 0));
    assert_ne!(site("2001:db8:1:2::3", 0), site("2001:db8:2:2::3", 0));
    assert_ne!(site("2001:db8:1:2::3", 0), site("2001:db8:1:2::3", 3_600));
    assert_eq!(site("192.0.2.1", 0), None);
    assert_eq!(site("::ffff:192.0.2.1", 0), None);
    assert_eq!(AttemptKey::network_site(None, at(0)), None);
    let ip = Some("2001:db8:1::".parse().unwrap());
    assert_ne!(site("2001:db8:1::", 0), Some(AttemptKey::network(ip, at(0))));
    assert_ne!(site("2001:db8:1::", 0), AttemptKey::accounts_site(ip, at(0)));
    let policy = AttemptPolicy { account: ACCOUNT, network: Throttle { free: 100, ..ACCOUNT } };
    assert_eq!(policy.site(), Throttle { free: 1_600, ..ACCOUNT });
}

#[test]
fn the_condition_is_short_whatever_the_settings() {
    for free in [1, 5, 20, 1_000] {
        for seconds in [1, 60, 3_600] {
            for max in [10, 100, u32::MAX] {
                let throttle = Throttle { free, delay: Duration::from_secs(seconds), max };
                assert!(throttle.steps(at(0)).len() <= 14);
            }
        }
    }
}

proptest! {
    #[test]
    fn the_condition_of_the_write_says_what_the_decision_says(
        free in 1_u32..30, seconds in 1_u64..4_000, max in 1_u32..130,
        count in 0_u32..140, age in 0_u64..8_000,
    ) {
        let throttle = Throttle { free, delay: Duration::from_secs(seconds), max };
        let failures = Failures { count, last: at(10_000 - age) };
        let now = at(10_000);
        let holds = throttle.steps(now).iter().any(|step| {
            failures.count < step.below && step.last_until.is_none_or(|until| failures.last <= until)
        });
        prop_assert_eq!(holds, throttle.decide(Some(failures), now) == ThrottleDecision::Allow);
    }
}
