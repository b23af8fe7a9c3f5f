//! Compares the store on the real database with the pure decisions of the core, step by step, in
//! random sequences with repeated writes.

use std::time::Duration;

use ratchet_core::{
    attempts::{AttemptId, AttemptKey, Counter, Throttle},
    challenge::{Challenge, Hashes, Judgement, LetterSecrets, Opening, Proof, Purpose},
    email::EmailAddress,
    entropy::random,
    ids::{LetterId, SessionId},
    key_ring::TagKey,
    letter::{Letter, Notice},
    time::UnixMillis,
};
use ratchet_store::{Attempts, Challenges, Opened, ResetResult};

use super::hash;
use crate::support::{World, mail::Newcomer, people::now, run};

/// Numbers that look random and follow from a seed (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

fn seed() -> u64 {
    u64::from_be_bytes(random().unwrap())
}

#[test]
fn a_counter_in_the_table_counts_as_the_decision_says() {
    run(async {
        let world = World::shared().await;
        let table = world.stack().data().users_table.as_str();
        let attempts = Attempts::new(world.stack().dynamodb(), table);
        let throttle = Throttle { free: 5, delay: Duration::from_millis(20), max: 12 };
        let key = AttemptKey::session(SessionId::generate(now(), &random().unwrap()));
        let seed = seed();
        let (mut numbers, mut at) = (Numbers(seed), now());
        let mut counter: Option<Counter> = None;
        let mut known = vec![AttemptId::new(random().unwrap())];
        for step in 0..200 {
            if numbers.below(2) == 0 {
                known.push(AttemptId::new(random().unwrap()));
            }
            // One of the last few: older ones are forgotten by both.
            let lately = known.len().saturating_sub(8);
            let attempt = numbers.one_of(&known[lately..]);
            at = at.plus(Duration::from_millis(u64::try_from(numbers.below(60)).unwrap()));
            let what = match numbers.below(10) {
                0..6 => {
                    let (decision, written) =
                        Counter::take(counter.as_ref(), attempt, &throttle, at);
                    let taken = attempts.take(&key, &throttle, attempt, at).await.unwrap();
                    assert_eq!(taken, decision, "seed {seed}, step {step}");
                    counter = written.or(counter);
                    "take"
                }
                6..9 => {
                    counter = counter.and_then(|it| it.give_back(attempt)).or(counter);
                    attempts.give_back(&key, attempt).await.unwrap();
                    "give back"
                }
                _ => {
                    counter = counter.and_then(|it| it.reset(attempt)).or(counter);
                    attempts.reset(&key, attempt).await.unwrap();
                    "reset"
                }
            };
            let found = attempts.find(&key).await.unwrap();
            assert_eq!(found, counter.map(|it| it.failures), "seed {seed}, step {step}: {what}");
        }
    });
}

#[test]
fn a_challenge_in_the_table_is_met_as_the_decision_says() {
    run(async {
        let world = World::shared().await;
        let table = world.stack().data().users_table.as_str();
        let (users, challenges) = (world.users(), Challenges::new(world.stack().dynamodb(), table));
        let person = world.person_with(|new| new.password_hash = hash(0)).await;
        let (id, purpose, tag) = (person.id, Purpose::ResetPassword, TagKey::new(&[7; 32]));
        let email = users.find_account(id, now()).await.unwrap().expect("an account").email;
        let seed = seed();
        let (mut numbers, mut at, mut password) = (Numbers(seed), now(), 0);
        let mut challenge: Option<Challenge> = None;
        let mut letters: Vec<(LetterId, Hashes)> = Vec::new();
        // No user has the address, so the letters send nothing.
        let nobody = EmailAddress::parse(&Newcomer::new().email).unwrap();
        let silent = |at: UnixMillis| {
            let notice = Notice::ResetAsked { email: nobody.clone() };
            Letter::new(notice, at, &random().unwrap())
        };
        let mut resets = 0;
        for step in 0..120 {
            let step = format!("seed {seed}, step {step}");
            at = at.plus(Duration::from_millis(1 + u64::try_from(numbers.below(400_000)).unwrap()));
            if letters.is_empty() || numbers.below(4) == 0 {
                let letter = LetterId::generate(at, &random().unwrap());
                letters
                    .push((letter, LetterSecrets::derive(&tag, letter, purpose, id).hashes(&tag)));
            }
            let lately = letters.len().saturating_sub(4);
            let (letter, hashes) = numbers.one_of(&letters[lately..]);
            match numbers.below(10) {
                0..5 => {
                    let expected = Challenge::open(
                        challenge.as_ref(),
                        &email,
                        letter,
                        &[hashes],
                        purpose.life(),
                        at,
                    );
                    let message = (letter, &[hashes][..]);
                    let opened = challenges.open(purpose, id, &email, message, at).await.unwrap();
                    match expected.unwrap() {
                        Opening::Write { challenge: written, candidate } => {
                            assert_eq!(opened, Opened::With(candidate), "{step}");
                            challenge = Some(written);
                        }
                        Opening::UsedUp => assert_eq!(opened, Opened::UsedUp, "{step}"),
                    }
                }
                5..9 => {
                    let proof = if numbers.below(2) == 0 {
                        Proof::Token(hashes.token)
                    } else {
                        Proof::Code(vec![hashes.code])
                    };
                    let expected =
                        challenge.as_ref().map_or(Judgement::Invalid, |it| it.judge(&proof, at));
                    let new = hash(password + 1);
                    let reset = users.reset_password(id, &proof, &new, at, &silent(at)).await;
                    match (reset.unwrap(), expected) {
                        (ResetResult::Reset, Judgement::Meets(met)) => {
                            (challenge, password) = (Some(met), password + 1);
                            resets += 1;
                        }
                        (ResetResult::MetBefore(_), Judgement::MetBefore)
                        | (ResetResult::Invalid, Judgement::Invalid) => {}
                        (reset, expected) => panic!("{step}: {reset:?}, not {expected:?}"),
                    }
                }
                _ => {
                    let (old, new) = (hash(password), hash(password + 1));
                    let changed = users.change_password(id, &old, &new, None, &silent(at)).await;
                    assert!(changed.unwrap(), "{step}");
                    challenge = Some(challenge.unwrap_or_default().used_up(at));
                    password += 1;
                }
            }
        }
        assert!(resets > 0, "seed {seed}");
        assert_eq!(
            world.users().find_account(id, at).await.unwrap().unwrap().password_hash,
            hash(password)
        );
    });
}
