//! Sequences of writes and requests, drawn at random, against the decisions that the store makes its
//! conditions of. A second, simpler model says what has to come out. Each of several mistakes has to
//! be found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure ends the test"
)]

mod attempts;
mod challenges;
mod clients;
mod domain_events;
mod email_sign_ins;
mod networks;
mod passkeys;
mod registrations;
mod second_factors;
mod session_cap;
mod step_ups;

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine as _, StateMachineTest};

/// How long the sequences are.
const STEPS: std::ops::Range<usize> = 1..80;

fn config() -> Config {
    Config { cases: 2_000, failure_persistence: None, ..Config::default() }
}

fn run<T: StateMachineTest>(mut runner: TestRunner) -> Result<(), String> {
    let sequences = T::Reference::sequential_strategy(STEPS);
    let outcome = runner.run(&sequences, |(state, transitions, seen)| {
        T::test_sequential(config(), state, transitions, seen);
        Ok(())
    });
    outcome.map_err(|error| error.to_string())
}

/// Fails with the shortest sequence that goes wrong.
fn holds<T: StateMachineTest>() {
    if let Err(error) = run::<T>(TestRunner::new(config())) {
        panic!("{error}");
    }
}

/// Fails unless the mistake in `T` is found. The sequences are the same every time.
fn is_found<T: StateMachineTest>() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let found = run::<T>(TestRunner::new_with_rng(config(), rng)).is_err();
    assert!(found, "{} was not found", std::any::type_name::<T>());
}
