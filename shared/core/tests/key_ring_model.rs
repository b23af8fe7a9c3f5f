//! The key ring under any sequence of scheduled rotations, changes by hand and deployments, by clocks
//! that may be wrong, with what it promises checked after every step.
//!
//! Every decision is the production code's: the plan and its check, the policy that travels with the
//! ring, whether a pending version may replace the current one, and which key signs and verifies. Only
//! Secrets Manager is a model: versions, one of which is current and replaced by compare-and-swap.
//! The deliberately broken variants show that the same test would notice.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure ends the test"
)]

mod key_ring_model {
    pub mod mistake;
    pub mod operation;
    pub mod policies;
    pub mod promises;
    pub mod tokens;
    pub mod world;
}

use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use key_ring_model::{
    mistake::Mistake,
    operation::{Operation, Operations},
    world::World,
};

/// How many operations a sequence has.
const LENGTH: std::ops::Range<usize> = 1..40;

struct Rings;

impl StateMachineTest for Rings {
    type SystemUnderTest = World;
    type Reference = Operations;

    fn init_test((): &()) -> World {
        World::new(None)
    }

    fn apply(mut world: World, (): &(), operation: Operation) -> World {
        world.step(&operation);
        world
    }

    fn check_invariants(world: &World, (): &()) {
        assert_eq!(world.broken(), None);
    }
}

prop_state_machine! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn whatever_is_done_to_the_ring_every_promise_is_kept(sequential LENGTH => Rings);
}

#[test]
fn every_broken_variant_is_noticed() {
    for mistake in Mistake::ALL {
        println!("{mistake:?}: {}", noticed(mistake));
    }
}

/// The promise that a broken variant was caught at.
fn noticed(mistake: Mistake) -> String {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let sequences = Operations::sequential_strategy(LENGTH);
    for sequence in 1..=600 {
        let ((), operations, _) = sequences.new_tree(&mut runner).unwrap().current();
        let mut world = World::new(Some(mistake));
        for operation in &operations {
            world.step(operation);
            if let Some(broken) = world.broken() {
                return format!("{broken} (sequence {sequence})");
            }
        }
    }
    panic!("{mistake:?} is not noticed");
}
