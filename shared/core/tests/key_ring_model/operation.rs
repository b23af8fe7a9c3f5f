//! What can happen to a ring.

use proptest::{prelude::*, strategy::BoxedStrategy};
use proptest_state_machine::ReferenceStateMachine;

use super::policies::POLICIES;

/// How far a clock is off, in seconds.
pub type Offset = i64;

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Seconds pass. The schedule rotates if a month has passed since the last rotation.
    Wait(u64),
    /// Somebody signs in and gets tokens, from an instance whose copy of the ring may be old, and
    /// which may be configured as before the deployment that is under way.
    SignIn { old_copy: bool, old_instance: bool },
    /// A deployment begins: from now on instances of either policy run.
    Deploy(usize),
    /// It is done, and the keys are rotated.
    Settle,
    /// The first step of a scheduled rotation.
    Create { old_instance: bool, clock: Offset },
    /// Its last step. If the answer is lost, the step is repeated.
    Finish { clock: Offset, lost_answer: bool },
    /// `ratchet keys rotate --now`; if the answer is lost, twice.
    RotateNow { clock: Offset, lost_answer: bool },
    /// `ratchet keys revoke`.
    Revoke { key: Which, clock: Offset },
}

/// Which key an operator revokes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The newest one for access tokens, which may not sign yet.
    Newest,
    /// The newest one for refresh tokens.
    NewestTag,
    /// The one that signs.
    Signer,
    /// The one at this place, counted round.
    At(usize),
}

/// Sequences of operations. Which of them do something depends on the ring alone, so there is no
/// reference beside it.
pub struct Operations;

impl ReferenceStateMachine for Operations {
    type State = ();
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Operation> {
        let wait = prop_oneof![
            Just(1),
            1..1_500_u64,
            3_600..90_000_u64,
            Just(86_400 * 12),
            Just(86_400 * 40),
        ];
        let which = prop_oneof![
            Just(Which::Newest),
            Just(Which::NewestTag),
            Just(Which::Signer),
            (0..64_usize).prop_map(Which::At),
        ];
        // Mostly right, then as wrong as AWS accepts, and seldom absurd.
        let clock = || {
            prop_oneof![
                12 => Just(0),
                3 => -300..=300_i64,
                1 => prop_oneof![Just(86_400_i64), Just(86_400 * 400), Just(-86_400 * 3)],
            ]
        };
        prop_oneof![
            4 => wait.prop_map(Operation::Wait),
            5 => (any::<bool>(), any::<bool>())
                .prop_map(|(old_copy, old_instance)| Operation::SignIn { old_copy, old_instance }),
            2 => (0..POLICIES.len()).prop_map(Operation::Deploy),
            2 => Just(Operation::Settle),
            3 => (any::<bool>(), clock())
                .prop_map(|(old_instance, clock)| Operation::Create { old_instance, clock }),
            3 => (clock(), any::<bool>())
                .prop_map(|(clock, lost_answer)| Operation::Finish { clock, lost_answer }),
            1 => (clock(), any::<bool>())
                .prop_map(|(clock, lost_answer)| Operation::RotateNow { clock, lost_answer }),
            2 => (which, clock()).prop_map(|(key, clock)| Operation::Revoke { key, clock }),
        ]
        .boxed()
    }

    fn apply((): (), _: &Operation) {}
}
