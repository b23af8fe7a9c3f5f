//! Counters of attempts, of tried codes and of messages.

use std::time::Duration;

use ratchet_core::{
    attempts::{AttemptId, AttemptKey, REMEMBERED, Throttle, ThrottleDecision},
    challenge::{CODE_TRIES_PER_DAY, Purpose},
    email::EmailAddress,
    entropy::random,
    ids::{LetterId, SessionId, UserId},
    second_factor::TYPING_ERRORS,
};
use ratchet_store::{Attempts, Challenges};

use super::{number, proxied, text};
use crate::support::{
    World,
    mail::Newcomer,
    people::{early_in_the_hour, now},
    proxy::Fault,
    run,
};

const THROTTLE: Throttle = Throttle { free: 20, delay: Duration::from_secs(60), max: 30 };

fn attempt() -> AttemptId {
    AttemptId::new(random().unwrap())
}

fn key() -> AttemptKey {
    AttemptKey::session(SessionId::generate(now(), &random().unwrap()))
}

/// A counter for one test, and its contents.
struct Counter {
    world: &'static World,
    attempts: Attempts,
    key: AttemptKey,
}

impl Counter {
    async fn new() -> Self {
        let world = World::shared().await;
        let table = world.stack().data().users_table.as_str();
        Self { world, attempts: Attempts::new(world.stack().dynamodb(), table), key: key() }
    }

    async fn take(&self, attempt: AttemptId) -> ThrottleDecision {
        self.attempts.take(&self.key, &THROTTLE, attempt, now()).await.unwrap()
    }

    async fn count(&self) -> Option<u32> {
        self.attempts.find(&self.key).await.unwrap().map(|failures| failures.count)
    }

    async fn set(&self, name: &str, value: super::AttributeValue) {
        let mut item = self.world.users_item(self.key.as_str()).await.expect("a counter");
        item.insert(name.to_owned(), value);
        self.world.put_user_item(item).await;
    }
}

#[test]
fn an_attempt_that_arrives_again_is_counted_once_with_others_between() {
    run(async {
        let counter = Counter::new().await;
        let attempts: Vec<_> = (0..REMEMBERED).map(|_| attempt()).collect();
        for attempt in attempts.iter().chain(&attempts) {
            assert_eq!(counter.take(*attempt).await, ThrottleDecision::Allow);
        }
        assert_eq!(counter.count().await, u32::try_from(REMEMBERED).ok());
    });
}

#[test]
fn what_the_throttle_refuses_is_not_counted() {
    run(async {
        let counter = Counter::new().await;
        counter.take(attempt()).await;
        for (failures, ago, allowed) in
            [(19, 0, true), (20, 61, true), (20, 1, false), (30, 9_999, false)]
        {
            counter.set("failures", number(failures)).await;
            let last = now().minus(Duration::from_secs(ago));
            counter.set("last_at", number(last.get())).await;
            let decision = counter.take(attempt()).await;
            assert_eq!(decision == ThrottleDecision::Allow, allowed, "{failures}, {ago} s ago");
            let count = u32::try_from(failures).unwrap() + u32::from(allowed);
            assert_eq!(counter.count().await, Some(count), "{failures}, {ago} s ago");
        }
    });
}

#[test]
fn a_damaged_counter_counts_nothing_and_lets_nobody_through() {
    run(async {
        for name in ["failures", "last_at"] {
            let counter = Counter::new().await;
            counter.take(attempt()).await;
            counter.set(name, text("x")).await;
            let damaged = counter.world.users_item(counter.key.as_str()).await;
            let taken = counter.attempts.take(&counter.key, &THROTTLE, attempt(), now()).await;
            assert!(taken.is_err(), "{name}: {taken:?}");
            assert_eq!(counter.world.users_item(counter.key.as_str()).await, damaged, "{name}");
        }
    });
}

#[test]
fn a_right_code_forgives_itself_and_three_errors_once() {
    run(async {
        let counter = Counter::new().await;
        for (failures, left) in [(9_u32, 5), (4, 0), (3, 0), (1, 0)] {
            let own = attempt();
            counter.take(own).await;
            counter.set("failures", number(failures.into())).await;
            for _ in 0..2 {
                counter.attempts.forgive(&counter.key, own, TYPING_ERRORS).await.unwrap();
            }
            assert_eq!(counter.count().await, Some(left), "{failures}");
        }
        let none = Counter::new().await;
        none.attempts.forgive(&none.key, attempt(), TYPING_ERRORS).await.unwrap();
        assert_eq!(none.count().await, None);
    });
}

#[test]
fn an_attempt_is_given_back_once_and_never_below_zero() {
    run(async {
        let counter = Counter::new().await;
        let settled: Vec<_> = (0..REMEMBERED).map(|_| attempt()).collect();
        for _ in 0..6 {
            counter.take(attempt()).await;
        }
        for attempt in settled.iter().chain(&settled) {
            counter.attempts.give_back(&counter.key, *attempt).await.unwrap();
        }
        assert_eq!(counter.count().await, Some(2));
        for _ in 0..4 {
            counter.attempts.give_back(&counter.key, attempt()).await.unwrap();
        }
        assert_eq!(counter.count().await, Some(0));
        let none = Counter::new().await;
        none.attempts.give_back(&none.key, attempt()).await.unwrap();
        assert_eq!(none.count().await, None);
    });
}

#[test]
fn a_reset_that_arrives_again_leaves_what_was_counted_since_and_makes_no_counter() {
    run(async {
        let counter = Counter::new().await;
        let right: Vec<_> = (0..REMEMBERED).map(|_| attempt()).collect();
        for attempt in &right {
            counter.take(*attempt).await;
            counter.attempts.reset(&counter.key, *attempt).await.unwrap();
        }
        counter.take(attempt()).await;
        for attempt in &right {
            counter.attempts.reset(&counter.key, *attempt).await.unwrap();
        }
        assert_eq!(counter.count().await, Some(1));
        let none = Counter::new().await;
        none.attempts.reset(&none.key, attempt()).await.unwrap();
        assert_eq!(none.world.users_item(none.key.as_str()).await, None);
    });
}

/// The first two tries of each write are applied, but their answers are lost.
#[test]
fn writes_that_the_sdk_sends_again_count_once() {
    run(async {
        let world = World::shared().await;
        let (client, proxy) = proxied(world).await;
        let table = world.stack().data().users_table.as_str();
        let (attempts, challenges) =
            (Attempts::new(client.clone(), table), Challenges::new(client, table));
        let (key, email) = (key(), EmailAddress::parse(&Newcomer::new().email).unwrap());
        let lose = || proxy.break_next("UpdateItem", 2, Fault::ApplyAndDrop);
        let count = async || attempts.find(&key).await.unwrap().unwrap().count;
        for expected in 1..=3 {
            lose();
            attempts.take(&key, &THROTTLE, attempt(), now()).await.unwrap();
            assert_eq!(count().await, expected);
        }
        lose();
        attempts.give_back(&key, attempt()).await.unwrap();
        assert_eq!(count().await, 2);
        lose();
        attempts.reset(&key, attempt()).await.unwrap();
        assert_eq!(count().await, 0);
        for number in 1..=CODE_TRIES_PER_DAY + 1 {
            lose();
            let counted =
                challenges.count_tries(Purpose::ResetPassword, &email, &[attempt()], now()).await;
            assert_eq!(counted.unwrap(), number <= CODE_TRIES_PER_DAY, "{number}");
        }
        early_in_the_hour().await;
        for number in 1..=4 {
            lose();
            let letter = LetterId::generate(now(), &random().unwrap());
            let counted = challenges.count_mail(&email, ("test", 3), (letter, None), now()).await;
            assert_eq!(counted.unwrap(), number <= 3, "{number}");
        }
    });
}

#[test]
fn of_the_same_message_or_code_none_is_refused_when_the_counter_is_full() {
    run(async {
        let world = World::shared().await;
        let table = world.stack().data().users_table.as_str();
        let challenges = Challenges::new(world.stack().dynamodb(), table);
        let email = EmailAddress::parse(&Newcomer::new().email).unwrap();
        early_in_the_hour().await;
        let letters: Vec<_> =
            (0..3).map(|_| LetterId::generate(now(), &random().unwrap())).collect();
        let count = async |kind, of| challenges.count_mail(&email, kind, of, now()).await.unwrap();
        for letter in letters.iter().chain(&letters) {
            assert!(count(("test", 3), (*letter, None)).await);
        }
        let further = LetterId::generate(now(), &random().unwrap());
        assert!(!count(("test", 3), (further, None)).await);
        assert!(count(("other", 3), (further, None)).await);
        // Of a letter with several messages each is counted.
        let users = [1, 2, 3, 4].map(|number| UserId::from_bytes([number; 16]));
        let counted = async |user| count(("several", 3), (further, Some(user))).await;
        for user in users[..3].iter().chain(&users[..3]) {
            assert!(counted(*user).await);
        }
        assert!(!counted(users[3]).await);
        let tries: Vec<_> = (0..CODE_TRIES_PER_DAY).map(|_| attempt()).collect();
        for attempt in tries.iter().chain(&tries) {
            let counted =
                challenges.count_tries(Purpose::ConfirmEmail, &email, &[*attempt], now()).await;
            assert!(counted.unwrap());
        }
    });
}

/// A code without a name is compared with several challenges.
#[test]
fn a_code_counts_as_often_as_it_is_compared_and_not_at_all_if_that_is_too_often() {
    run(async {
        let world = World::shared().await;
        let table = world.stack().data().users_table.as_str();
        let challenges = Challenges::new(world.stack().dynamodb(), table);
        let email = EmailAddress::parse(&Newcomer::new().email).unwrap();
        let count = async |attempts: &[AttemptId]| {
            let counted =
                challenges.count_tries(Purpose::ConfirmEmail, &email, attempts, now()).await;
            counted.unwrap()
        };
        let tries: Vec<_> = (0..CODE_TRIES_PER_DAY + 2).map(|_| attempt()).collect();
        assert!(count(&tries[..4]).await && count(&tries[4..8]).await);
        assert!(!count(&tries[8..12]).await, "there is room for two");
        assert!(count(&tries[8..10]).await);
        assert!(count(&tries[4..8]).await, "it was counted before");
        assert!(!count(&tries[11..]).await);
    });
}
