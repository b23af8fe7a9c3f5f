//! Counters of attempts: writes that arrive in parallel, twice, late, and in another order.

use std::{fmt::Debug, marker::PhantomData, time::Duration};

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use ratchet_core::{
    attempts::{AttemptId, Counter, Failures, REMEMBERED, Throttle, ThrottleDecision},
    second_factor::TYPING_ERRORS,
    time::UnixMillis,
};

use super::{holds, is_found};

const THROTTLE: Throttle = Throttle { free: 6, delay: Duration::from_millis(8), max: 40 };

fn attempt(number: usize) -> AttemptId {
    AttemptId::new(u128::try_from(number).unwrap().to_be_bytes())
}

fn at(now: u64) -> UnixMillis {
    UnixMillis::new(1_780_000_000_000 + now)
}

/// A write that one request makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Take(usize),
    GiveBack(usize),
    Reset(usize),
    Forgive(usize),
}

impl Write {
    const fn is_take(self) -> bool {
        matches!(self, Self::Take(_))
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A write arrives for the first time.
    First(Write),
    /// The SDK sent it again because its answer was lost.
    Again(Write),
    Wait(u64),
}

/// What the counter has to come to: a number, and nothing remembered.
#[derive(Debug, Clone, Default)]
struct Expected {
    now: u64,
    next: usize,
    count: u32,
    last: u64,
    /// Attempts that were allowed and not settled yet.
    open: Vec<usize>,
    /// Writes that were applied, in order.
    applied: Vec<Write>,
    allowed: bool,
}

impl Expected {
    fn decide(&self) -> ThrottleDecision {
        let failures = Failures { count: self.count, last: at(self.last) };
        THROTTLE.decide((self.next > 0).then_some(failures), at(self.now))
    }

    /// Writes that may still arrive again: fewer than are remembered have come after them.
    fn repeatable(&self) -> Vec<Write> {
        let mut since = [0, 0];
        let mut repeatable = Vec::new();
        for write in self.applied.iter().rev() {
            let since = &mut since[usize::from(write.is_take())];
            if *since < REMEMBERED {
                repeatable.push(*write);
            }
            *since += 1;
        }
        repeatable
    }
}

impl ReferenceStateMachine for Expected {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let take = Just(Step::First(Write::Take(state.next)));
        let mut steps = vec![(3, take.boxed()), (2, (0..40_u64).prop_map(Step::Wait).boxed())];
        if !state.open.is_empty() {
            let open = prop::sample::select(state.open.clone());
            let settle = (open, 0..10_u8).prop_map(|(number, kind)| {
                Step::First(match kind {
                    0 | 1 => Write::Reset(number),
                    2 | 3 => Write::Forgive(number),
                    _ => Write::GiveBack(number),
                })
            });
            steps.push((2, settle.boxed()));
        }
        let repeatable = state.repeatable();
        if !repeatable.is_empty() {
            steps.push((3, prop::sample::select(repeatable).prop_map(Step::Again).boxed()));
        }
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn preconditions(state: &Self, step: &Step) -> bool {
        match step {
            Step::First(Write::Take(number)) => *number == state.next,
            Step::First(
                Write::GiveBack(number) | Write::Reset(number) | Write::Forgive(number),
            ) => state.open.contains(number),
            Step::Again(write) => state.repeatable().contains(write),
            Step::Wait(_) => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        match step {
            Step::First(Write::Take(number)) => {
                state.allowed = state.decide() == ThrottleDecision::Allow;
                if state.allowed {
                    state.count += 1;
                    state.last = state.now;
                    state.open.push(*number);
                    state.applied.push(Write::Take(*number));
                }
                state.next += 1;
            }
            Step::First(
                write @ (Write::GiveBack(number) | Write::Reset(number) | Write::Forgive(number)),
            ) => {
                state.open.retain(|open| open != number);
                let is_reset = matches!(write, Write::Reset(_));
                if is_reset || state.count > 0 {
                    state.count = match write {
                        Write::Reset(_) => 0,
                        // Itself, and three errors.
                        Write::Forgive(_) => state.count.max(4) - 4,
                        _ => state.count - 1,
                    };
                    state.applied.push(*write);
                }
            }
            Step::Again(_) => {}
            Step::Wait(time) => state.now += time,
        }
        state
    }
}

/// The decisions, as the store makes them.
trait Rules: Debug + 'static {
    fn take(
        counter: Option<&Counter>,
        id: AttemptId,
        now: u64,
    ) -> (ThrottleDecision, Option<Counter>) {
        Counter::take(counter, id, &THROTTLE, at(now))
    }

    fn give_back(counter: &Counter, id: AttemptId) -> Option<Counter> {
        counter.give_back(id)
    }

    fn reset(counter: &Counter, id: AttemptId) -> Option<Counter> {
        counter.reset(id)
    }

    fn forgive(counter: &Counter, id: AttemptId) -> Option<Counter> {
        counter.forgive(id, TYPING_ERRORS)
    }
}

struct Machine<R>(PhantomData<R>);

impl<R: Rules> StateMachineTest for Machine<R> {
    type SystemUnderTest = Option<Counter>;
    type Reference = Expected;

    fn init_test(_: &Expected) -> Option<Counter> {
        None
    }

    fn apply(counter: Option<Counter>, expected: &Expected, step: Step) -> Option<Counter> {
        let (Step::First(write) | Step::Again(write)) = step else { return counter };
        let written = match write {
            Write::Take(number) => {
                let (decision, written) = R::take(counter.as_ref(), attempt(number), expected.now);
                let allowed = matches!(step, Step::Again(_)) || expected.allowed;
                assert_eq!(decision == ThrottleDecision::Allow, allowed, "{step:?}: {decision:?}");
                written
            }
            Write::GiveBack(number) => R::give_back(&counter.unwrap(), attempt(number)),
            Write::Reset(number) => R::reset(&counter.unwrap(), attempt(number)),
            Write::Forgive(number) => R::forgive(&counter.unwrap(), attempt(number)),
        };
        written.or(counter)
    }

    fn check_invariants(counter: &Option<Counter>, expected: &Expected) {
        assert_eq!(counter.map_or(0, |counter| counter.failures.count), expected.count);
    }
}

#[derive(Debug)]
struct Production;
impl Rules for Production {}

#[test]
fn each_attempt_is_counted_once_and_settled_once_however_its_writes_arrive() {
    holds::<Machine<Production>>();
}

#[derive(Debug)]
struct ForgetsWhatItCounted;
impl Rules for ForgetsWhatItCounted {
    fn take(
        counter: Option<&Counter>,
        id: AttemptId,
        now: u64,
    ) -> (ThrottleDecision, Option<Counter>) {
        let counter = counter.map(|counter| Counter { taken: [None; REMEMBERED], ..*counter });
        Production::take(counter.as_ref(), id, now)
    }
}

#[derive(Debug)]
struct RemembersTheLastOnly;
impl Rules for RemembersTheLastOnly {
    fn take(
        counter: Option<&Counter>,
        id: AttemptId,
        now: u64,
    ) -> (ThrottleDecision, Option<Counter>) {
        let counter = counter
            .map(|counter| Counter { taken: [counter.taken[0], None, None, None], ..*counter });
        Production::take(counter.as_ref(), id, now)
    }
}

#[derive(Debug)]
struct ForgetsWhatItGaveBack;
impl Rules for ForgetsWhatItGaveBack {
    fn give_back(counter: &Counter, id: AttemptId) -> Option<Counter> {
        Production::give_back(&Counter { settled: [None; REMEMBERED], ..*counter }, id)
    }
}

#[derive(Debug)]
struct ForgetsWhatItReset;
impl Rules for ForgetsWhatItReset {
    fn reset(counter: &Counter, id: AttemptId) -> Option<Counter> {
        Production::reset(&Counter { settled: [None; REMEMBERED], ..*counter }, id)
    }
}

#[derive(Debug)]
struct GoesBelowZero;
impl Rules for GoesBelowZero {
    fn give_back(counter: &Counter, id: AttemptId) -> Option<Counter> {
        let failures =
            Failures { count: counter.failures.count.wrapping_sub(1), ..counter.failures };
        counter.reset(id).map(|settled| Counter { failures, ..settled })
    }
}

#[derive(Debug)]
struct ResetsToOne;
impl Rules for ResetsToOne {
    fn reset(counter: &Counter, id: AttemptId) -> Option<Counter> {
        let failures = Failures { count: 1, ..counter.failures };
        counter.reset(id).map(|settled| Counter { failures, ..settled })
    }
}

#[derive(Debug)]
struct ForgivesEverything;
impl Rules for ForgivesEverything {
    fn forgive(counter: &Counter, id: AttemptId) -> Option<Counter> {
        counter.forgive(id, u32::MAX)
    }
}

#[derive(Debug)]
struct ForgivesTwice;
impl Rules for ForgivesTwice {
    fn forgive(counter: &Counter, id: AttemptId) -> Option<Counter> {
        let forgetful = Counter { settled: [None; REMEMBERED], ..*counter };
        Production::forgive(&forgetful, id)
    }
}

#[test]
fn mistakes_in_counters_are_found() {
    is_found::<Machine<ForgivesEverything>>();
    is_found::<Machine<ForgivesTwice>>();
    is_found::<Machine<ForgetsWhatItCounted>>();
    is_found::<Machine<RemembersTheLastOnly>>();
    is_found::<Machine<ForgetsWhatItGaveBack>>();
    is_found::<Machine<ForgetsWhatItReset>>();
    is_found::<Machine<GoesBelowZero>>();
    is_found::<Machine<ResetsToOne>>();
}
