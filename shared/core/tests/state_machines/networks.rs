//! Attempts that two counters have to allow: that of the network and that of its site. Requests run in
//! parallel, and their writes arrive in any order, some of them twice.

use std::{fmt::Debug, marker::PhantomData, time::Duration};

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use ratchet_core::{
    attempts::{AttemptId, Counter, Throttle, ThrottleDecision, to_undo},
    time::UnixMillis,
};

use super::{holds, is_found};

const NETWORKS: usize = 4;
const SITE: usize = NETWORKS;
/// No delay passes while a sequence runs.
const DELAY: Duration = Duration::from_secs(3_600);
const NETWORK_FREE: u32 = 2;
const SITE_FREE: u32 = 5;
const NOW: UnixMillis = UnixMillis::new(1_780_000_000_000);

fn throttle(counter: usize) -> Throttle {
    let free = if counter == SITE { SITE_FREE } else { NETWORK_FREE };
    Throttle { free, delay: DELAY, max: 1_000 }
}

/// What happens next. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    /// A request begins, and sends one write to each of its two counters.
    Begin { network: usize },
    /// A write of a request arrives, perhaps twice.
    Arrive { request: usize, first: bool, twice: bool },
    /// An attempt that was allowed was no failure.
    TakeBack { attempt: usize },
}

/// Draws steps. What is expected is checked as properties.
struct Steps;

impl ReferenceStateMachine for Steps {
    type State = ();
    type Transition = Step;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Step> {
        prop_oneof![
            3 => (0..NETWORKS).prop_map(|network| Step::Begin { network }),
            6 => (any::<usize>(), any::<bool>(), prop::bool::weighted(0.2))
                .prop_map(|(request, first, twice)| Step::Arrive { request, first, twice }),
            1 => any::<usize>().prop_map(|attempt| Step::TakeBack { attempt }),
        ]
        .boxed()
    }

    fn apply((): (), _: &Step) {}
}

/// Whether a counter counted the attempt. `None` while its write is on its way.
type Counted = [Option<bool>; 2];

#[derive(Debug)]
struct Request {
    id: AttemptId,
    network: usize,
    counted: Counted,
}

/// What the service does with the answers of the two counters.
trait Rules: Debug + 'static {
    fn is_allowed(counted: [bool; 2]) -> bool {
        counted == [true, true]
    }

    fn to_undo(counted: [bool; 2]) -> [bool; 2] {
        to_undo(counted)
    }

    fn take_back() -> [bool; 2] {
        [true, true]
    }

    fn give_back(counter: &Counter, id: AttemptId) -> Option<Counter> {
        counter.give_back(id)
    }
}

#[derive(Debug)]
struct World {
    counters: [Option<Counter>; NETWORKS + 1],
    pending: Vec<Request>,
    /// Attempts that were allowed and not taken back, with their networks.
    allowed: Vec<(AttemptId, usize)>,
    next: u128,
}

struct Machine<R>(PhantomData<R>);

impl<R: Rules> Machine<R> {
    fn take(world: &mut World, counter: usize, id: AttemptId) -> bool {
        let slot = &mut world.counters[counter];
        let (decision, written) = Counter::take(slot.as_ref(), id, &throttle(counter), NOW);
        *slot = written.or(*slot);
        decision == ThrottleDecision::Allow
    }

    fn give_back(world: &mut World, counter: usize, id: AttemptId, twice: bool) {
        let slot = &mut world.counters[counter];
        for _ in 0..=usize::from(twice) {
            *slot = slot.and_then(|counter| R::give_back(&counter, id)).or(*slot);
        }
    }

    fn arrive(world: &mut World, position: usize, first: bool, twice: bool) {
        let Request { id, network, counted } = world.pending[position];
        let which = match counted {
            [None, None] => usize::from(!first),
            [None, Some(_)] => 0,
            _ => 1,
        };
        let counters = [network, SITE];
        let mut is_counted = false;
        for _ in 0..=usize::from(twice) {
            is_counted = Self::take(world, counters[which], id);
        }
        let counted = &mut world.pending[position].counted;
        counted[which] = Some(is_counted);
        let [Some(of_network), Some(of_site)] = *counted else { return };
        world.pending.swap_remove(position);
        let counted = [of_network, of_site];
        if R::is_allowed(counted) {
            world.allowed.push((id, network));
        } else {
            Self::undo(world, R::to_undo(counted), counters, id, twice);
        }
    }

    fn undo(world: &mut World, undo: [bool; 2], counters: [usize; 2], id: AttemptId, twice: bool) {
        for (counter, _) in counters.into_iter().zip(undo).filter(|(_, undo)| *undo) {
            Self::give_back(world, counter, id, twice);
        }
    }
}

impl<R: Rules> StateMachineTest for Machine<R> {
    type SystemUnderTest = World;
    type Reference = Steps;

    fn init_test((): &()) -> World {
        World { counters: [None; NETWORKS + 1], pending: vec![], allowed: vec![], next: 0 }
    }

    fn apply(mut world: World, (): &(), step: Step) -> World {
        match step {
            Step::Begin { network } => {
                world.next += 1;
                let id = AttemptId::new(world.next.to_be_bytes());
                world.pending.push(Request { id, network, counted: [None, None] });
            }
            Step::Arrive { request, first, twice } => {
                if !world.pending.is_empty() {
                    let position = request % world.pending.len();
                    Self::arrive(&mut world, position, first, twice);
                }
            }
            Step::TakeBack { attempt } => {
                if !world.allowed.is_empty() {
                    let (id, network) = world.allowed.swap_remove(attempt % world.allowed.len());
                    Self::undo(&mut world, R::take_back(), [network, SITE], id, true);
                }
            }
        }
        world
    }

    fn check_invariants(world: &World, (): &()) {
        for counter in 0..=SITE {
            let is_of = |network: usize| counter == SITE || counter == network;
            let allowed = world.allowed.iter().filter(|(_, network)| is_of(*network)).count();
            let under_way = world.pending.iter().filter(|request| {
                let counted = request.counted[usize::from(counter == SITE)];
                is_of(request.network) && counted == Some(true)
            });
            let expected = u32::try_from(allowed + under_way.count()).unwrap();
            let count = world.counters[counter].map_or(0, |counter| counter.failures.count);
            assert_eq!(count, expected, "counter {counter} of {world:?}");
            assert!(count <= throttle(counter).free, "counter {counter} of {world:?}");
        }
    }
}

#[derive(Debug)]
struct Production;
impl Rules for Production {}

#[test]
fn an_attempt_is_counted_by_the_network_and_its_site_or_by_neither() {
    holds::<Machine<Production>>();
}

#[derive(Debug)]
struct UndoesNothing;
impl Rules for UndoesNothing {
    fn to_undo(_: [bool; 2]) -> [bool; 2] {
        [false, false]
    }
}

#[derive(Debug)]
struct UndoesBoth;
impl Rules for UndoesBoth {
    fn to_undo(_: [bool; 2]) -> [bool; 2] {
        [true, true]
    }
}

#[derive(Debug)]
struct UndoesTheOther;
impl Rules for UndoesTheOther {
    fn to_undo([network, site]: [bool; 2]) -> [bool; 2] {
        [site, network]
    }
}

#[derive(Debug)]
struct OneIsEnough;
impl Rules for OneIsEnough {
    fn is_allowed([network, site]: [bool; 2]) -> bool {
        network || site
    }
}

#[derive(Debug)]
struct SiteDoesNotRefuse;
impl Rules for SiteDoesNotRefuse {
    fn is_allowed([network, _]: [bool; 2]) -> bool {
        network
    }
}

#[derive(Debug)]
struct SiteKeepsWhatIsTakenBack;
impl Rules for SiteKeepsWhatIsTakenBack {
    fn take_back() -> [bool; 2] {
        [true, false]
    }
}

#[derive(Debug)]
struct GivesBackTwice;
impl Rules for GivesBackTwice {
    fn give_back(counter: &Counter, id: AttemptId) -> Option<Counter> {
        counter.give_back(id).map(|settled| Counter { settled: counter.settled, ..settled })
    }
}

#[test]
fn mistakes_with_two_counters_are_found() {
    is_found::<Machine<UndoesNothing>>();
    is_found::<Machine<UndoesBoth>>();
    is_found::<Machine<UndoesTheOther>>();
    is_found::<Machine<OneIsEnough>>();
    is_found::<Machine<SiteDoesNotRefuse>>();
    is_found::<Machine<SiteKeepsWhatIsTakenBack>>();
    is_found::<Machine<GivesBackTwice>>();
}
