//! Second factors: requests that read, are judged, and write in any order, twice, or late, while the
//! factor is set up, replaced, reset and switched off, and while its keys rotate.

use std::{collections::BTreeSet, fmt::Debug, marker::PhantomData};

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use ratchet_core::{
    second_factor::{
        Factor, PENDING_LIFE, Pending, RECOVERY_CODES, RecoveryCode, RecoveryHash,
        SealedTotpSecret, Spend, Spent, TotpSecret,
    },
    time::{UnixMillis, UnixSeconds},
};

use super::{holds, is_found};

const START: u64 = 1_780_000_000;

fn seconds(now: u64) -> UnixSeconds {
    UnixSeconds::new(START + now)
}

fn millis(now: u64) -> UnixMillis {
    UnixMillis::new((START + now) * 1_000)
}

/// The time step of `now`, or one beside it.
fn step(now: u64, skew: i8) -> u64 {
    ((START + now) / 30).saturating_add_signed(i64::from(skew))
}

/// The sealed secret of this number. Which key sealed it makes no difference to the factor.
fn sealed(secret: usize) -> SealedTotpSecret {
    let kid = if secret.is_multiple_of(2) { "a" } else { "b" };
    SealedTotpSecret { kid: kid.to_owned(), sealed: secret.to_be_bytes().to_vec() }
}

fn recovery_hash(secret: usize, set: usize, place: usize) -> RecoveryHash {
    let [set, place] = [set, place].map(|number| u8::try_from(number % 256).unwrap());
    let key = TotpSecret::new([u8::try_from(secret % 256).unwrap(); 20]);
    RecoveryCode::new([set, set / 32, place, 0, 0, 0, 0, 0, 0, 0]).hash(&key)
}

fn recovery(secret: usize, set: usize) -> Vec<RecoveryHash> {
    (0..RECOVERY_CODES).map(|place| recovery_hash(secret, set, place)).collect()
}

/// A code that a request presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Code {
    Step(u64),
    /// Of this set, at this place.
    Recovery(usize, usize),
}

/// What a request does once its code was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Completes the sign-in of this challenge.
    SignIn(usize),
    /// Switches the factor off.
    Disable,
    /// Replaces the recovery codes by this set.
    Replace(usize),
}

/// A request that has read the factor with this secret and judged its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Judged {
    secret: usize,
    code: Code,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Step {
    /// Sets up this secret.
    Begin(usize),
    /// Confirms this secret with a code of a step beside now, and this set of recovery codes.
    Enable(usize, i8, usize),
    /// A request reads and judges. It writes later, or never.
    Judge(Judged),
    /// A judged request writes, perhaps again.
    Write(usize),
    /// Support resets the factor.
    Reset,
    Wait(u64),
}

/// A factor that is on, as the reference sees it.
#[derive(Debug, Clone)]
struct On {
    secret: usize,
    newest: u64,
    set: usize,
}

/// What has to come out: what was ever used, and nothing about how it is stored.
#[derive(Debug, Clone, Default)]
struct Expected {
    now: u64,
    next: usize,
    next_challenge: usize,
    on: Option<On>,
    waiting: Option<(usize, u64)>,
    used: BTreeSet<(usize, Code)>,
    sessions: BTreeSet<usize>,
    judged: Vec<Judged>,
    /// Whether the last step had to take effect.
    took_effect: bool,
    /// Whether its challenge had led to a session before.
    spent_before: bool,
}

impl Expected {
    fn is_good(&self, judged: &Judged) -> bool {
        let Some(on) = self.on.as_ref().filter(|on| on.secret == judged.secret) else {
            return false;
        };
        let is_new = !self.used.contains(&(judged.secret, judged.code));
        is_new
            && match judged.code {
                Code::Step(step) => step > on.newest,
                Code::Recovery(set, _) => set == on.set,
            }
    }
}

impl ReferenceStateMachine for Expected {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let next = state.next;
        let wait = prop_oneof![4 => 1..40_u64, 1 => 500..700_u64];
        let mut steps = vec![
            (2, Just(Step::Begin(next)).boxed()),
            (2, wait.prop_map(Step::Wait).boxed()),
            (1, Just(Step::Reset).boxed()),
        ];
        let secrets = state.waiting.map(|(secret, _)| secret).into_iter();
        let secrets: Vec<_> = secrets.chain(state.on.as_ref().map(|on| on.secret)).collect();
        if !secrets.is_empty() {
            let enable = (prop::sample::select(secrets), -1..=1_i8)
                .prop_map(move |(secret, skew)| Step::Enable(secret, skew, next));
            steps.push((4, enable.boxed()));
        }
        if let Some(on) = &state.on {
            let (secret, set, now) = (on.secret, on.set, state.now);
            let code = prop_oneof![
                3 => (-1..=1_i8).prop_map(move |skew| Code::Step(step(now, skew))),
                1 => (0..=set, 0..RECOVERY_CODES).prop_map(|(set, place)| Code::Recovery(set, place)),
                1 => (0..RECOVERY_CODES).prop_map(move |place| Code::Recovery(set, place)),
            ];
            let kind = prop_oneof![
                8 => (0..=state.next_challenge).prop_map(Kind::SignIn),
                1 => Just(Kind::Disable),
                1 => Just(Kind::Replace(next)),
            ];
            let judge = (code, kind)
                .prop_map(move |(code, kind)| Step::Judge(Judged { secret, code, kind }));
            steps.push((6, judge.boxed()));
        }
        if !state.judged.is_empty() {
            let write = (0..state.judged.len()).prop_map(Step::Write);
            steps.push((8, write.boxed()));
        }
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn preconditions(state: &Self, step: &Step) -> bool {
        match step {
            Step::Write(place) => *place < state.judged.len(),
            Step::Begin(secret) => *secret == state.next,
            Step::Enable(.., set) => *set == state.next,
            Step::Judge(judged) => {
                state.on.as_ref().is_some_and(|on| on.secret == judged.secret)
                    && match judged.kind {
                        Kind::SignIn(challenge) => challenge <= state.next_challenge,
                        Kind::Disable => true,
                        Kind::Replace(set) => set == state.next,
                    }
            }
            Step::Reset | Step::Wait(_) => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        (state.took_effect, state.spent_before) = (false, false);
        match *step {
            Step::Wait(time) => state.now += time,
            Step::Begin(secret) => {
                state.next += 1;
                state.took_effect = state.on.is_none();
                if state.took_effect {
                    state.waiting = Some((secret, state.now + PENDING_LIFE.as_secs()));
                }
            }
            Step::Enable(secret, skew, set) => {
                state.next += 1;
                let waits = |(waiting, until)| waiting == secret && state.now < until;
                if state.on.is_none() && state.waiting.is_some_and(waits) {
                    let newest = self::step(state.now, skew);
                    state.took_effect = true;
                    state.used.insert((secret, Code::Step(newest)));
                    state.on = Some(On { secret, newest, set });
                    state.waiting = None;
                }
            }
            Step::Judge(judged) => {
                state.next += usize::from(matches!(judged.kind, Kind::Replace(_)));
                if judged.kind == Kind::SignIn(state.next_challenge) {
                    state.next_challenge += 1;
                }
                state.judged.push(judged);
            }
            Step::Write(place) => {
                let judged = state.judged[place];
                if let Kind::SignIn(challenge) = judged.kind {
                    state.spent_before = state.sessions.contains(&challenge);
                }
                state.took_effect = state.is_good(&judged) && !state.spent_before;
                if state.took_effect {
                    state.used.insert((judged.secret, judged.code));
                    if let (Code::Step(step), Some(on)) = (judged.code, &mut state.on) {
                        on.newest = step;
                    }
                    match judged.kind {
                        Kind::SignIn(challenge) => drop(state.sessions.insert(challenge)),
                        Kind::Disable => state.on = None,
                        Kind::Replace(set) => state.on.as_mut().unwrap().set = set,
                    }
                }
            }
            Step::Reset => (state.on, state.waiting) = (None, None),
        }
        state
    }
}

/// The decisions, as the store makes them.
trait Rules: Debug + 'static {
    fn begin(known: Option<&Factor>, pending: Pending) -> Option<Factor> {
        Factor::begin(known, pending)
    }

    fn enable(
        factor: &Factor,
        secret: &SealedTotpSecret,
        step: u64,
        recovery: Vec<RecoveryHash>,
        now: UnixMillis,
    ) -> Option<Factor> {
        factor.enable(secret, step, recovery, now)
    }

    fn spend(factor: &Factor, secret: &SealedTotpSecret, spend: &Spend) -> Option<Factor> {
        factor.spend(secret, spend)
    }

    fn replace(
        factor: &Factor,
        secret: &SealedTotpSecret,
        spend: &Spend,
        recovery: Vec<RecoveryHash>,
    ) -> Option<Factor> {
        factor.replace_recovery(secret, spend, recovery)
    }

    /// Whether the write of a session requires that there is none of its id.
    fn session_is_new(sessions: &BTreeSet<usize>, challenge: usize) -> bool {
        !sessions.contains(&challenge)
    }
}

/// Both tables.
#[derive(Debug, Default)]
struct Tables {
    factor: Option<Factor>,
    sessions: BTreeSet<usize>,
    /// How many sessions were started, counting one of the same id again.
    started: usize,
    judged: Vec<Judged>,
}

impl Tables {
    fn write<R: Rules>(&mut self, judged: &Judged) -> Spent {
        let secret = sealed(judged.secret);
        let spend = match judged.code {
            Code::Step(step) => Spend::Step(step),
            Code::Recovery(set, place) => Spend::Recovery(recovery_hash(judged.secret, set, place)),
        };
        let factor = self.factor.as_ref();
        let (written, session) = match judged.kind {
            Kind::SignIn(challenge) => {
                (factor.and_then(|it| R::spend(it, &secret, &spend)), Some(challenge))
            }
            Kind::Disable => {
                let spent = factor.and_then(|it| R::spend(it, &secret, &spend));
                (spent.map(|_| Factor::default()), None)
            }
            Kind::Replace(set) => {
                let codes = recovery(judged.secret, set);
                (factor.and_then(|it| R::replace(it, &secret, &spend, codes)), None)
            }
        };
        let exists = session.is_some_and(|it| !R::session_is_new(&self.sessions, it));
        let unmet = [written.is_none(), exists];
        if unmet != [false, false] {
            return Spent::of(Some(unmet));
        }
        self.factor = written.filter(|factor| *factor != Factor::default());
        self.started += usize::from(session.is_some());
        self.sessions.extend(session);
        Spent::of(None)
    }
}

struct Machine<R>(PhantomData<R>);

impl<R: Rules> StateMachineTest for Machine<R> {
    type SystemUnderTest = Tables;
    type Reference = Expected;

    fn init_test(_: &Expected) -> Tables {
        Tables::default()
    }

    fn apply(mut tables: Tables, expected: &Expected, step: Step) -> Tables {
        let took_effect = match step {
            Step::Wait(_) => false,
            Step::Reset => {
                tables.factor = None;
                false
            }
            Step::Begin(secret) => {
                let expires_at = seconds(expected.now).plus(PENDING_LIFE);
                let pending = Pending { secret: sealed(secret), expires_at };
                let begun = R::begin(tables.factor.as_ref(), pending);
                let took_effect = begun.is_some();
                tables.factor = begun.or(tables.factor);
                took_effect
            }
            Step::Enable(secret, skew, set) => {
                let (code, now) = (self::step(expected.now, skew), millis(expected.now));
                let codes = recovery(secret, set);
                let factor = tables.factor.as_ref();
                let enabled =
                    factor.and_then(|it| R::enable(it, &sealed(secret), code, codes, now));
                let took_effect = enabled.is_some();
                tables.factor = enabled.or(tables.factor);
                took_effect
            }
            Step::Judge(judged) => {
                tables.judged.push(judged);
                false
            }
            Step::Write(place) => {
                let judged = tables.judged[place];
                let spent = tables.write::<R>(&judged);
                assert_eq!(spent == Spent::ChallengeBefore, expected.spent_before, "{judged:?}");
                spent == Spent::Written
            }
        };
        assert_eq!(took_effect, expected.took_effect, "{step:?}");
        tables
    }

    fn check_invariants(tables: &Tables, expected: &Expected) {
        assert_eq!(tables.sessions, expected.sessions);
        assert_eq!(tables.started, expected.sessions.len(), "a challenge led to two sessions");
        let on = tables.factor.as_ref().and_then(|factor| factor.enabled.as_ref());
        assert_eq!(
            on.map(|on| on.secret.clone()),
            expected.on.as_ref().map(|on| sealed(on.secret))
        );
        let left = expected.on.as_ref().map(|on| {
            let used = |place: &usize| {
                expected.used.contains(&(on.secret, Code::Recovery(on.set, *place)))
            };
            (0..RECOVERY_CODES).filter(|place| !used(place)).count()
        });
        assert_eq!(on.map(|on| on.recovery.len()), left);
    }
}

#[derive(Debug)]
struct Production;
impl Rules for Production {}

#[test]
fn each_code_counts_once_and_each_challenge_leads_to_one_session() {
    holds::<Machine<Production>>();
}

#[derive(Debug)]
struct CountsAStepTwice;
impl Rules for CountsAStepTwice {
    fn spend(factor: &Factor, secret: &SealedTotpSecret, spend: &Spend) -> Option<Factor> {
        match spend {
            Spend::Step(step) => factor.spend(secret, spend).or_else(|| {
                let on = factor.enabled.as_ref()?;
                (on.secret == *secret && on.last_step == *step).then(|| factor.clone())
            }),
            Spend::Recovery(_) => factor.spend(secret, spend),
        }
    }
}

#[derive(Debug)]
struct KeepsRecoveryCodes;
impl Rules for KeepsRecoveryCodes {
    fn spend(factor: &Factor, secret: &SealedTotpSecret, spend: &Spend) -> Option<Factor> {
        let spent = factor.spend(secret, spend)?;
        Some(if matches!(spend, Spend::Recovery(_)) { factor.clone() } else { spent })
    }
}

#[derive(Debug)]
struct TakesCodesOfAnotherSecret;
impl Rules for TakesCodesOfAnotherSecret {
    fn spend(factor: &Factor, _: &SealedTotpSecret, spend: &Spend) -> Option<Factor> {
        let own = factor.enabled.as_ref()?.secret.clone();
        factor.spend(&own, spend)
    }
}

#[derive(Debug)]
struct ForgetsTheEndOfAPendingSecret;
impl Rules for ForgetsTheEndOfAPendingSecret {
    fn enable(
        factor: &Factor,
        secret: &SealedTotpSecret,
        step: u64,
        recovery: Vec<RecoveryHash>,
        _: UnixMillis,
    ) -> Option<Factor> {
        factor.enable(secret, step, recovery, millis(0))
    }
}

#[derive(Debug)]
struct SetsUpAnotherOverOneThatIsOn;
impl Rules for SetsUpAnotherOverOneThatIsOn {
    fn begin(_: Option<&Factor>, pending: Pending) -> Option<Factor> {
        Factor::begin(None, pending)
    }
}

#[derive(Debug)]
struct EnablesWhateverSecretWaits;
impl Rules for EnablesWhateverSecretWaits {
    fn enable(
        factor: &Factor,
        secret: &SealedTotpSecret,
        step: u64,
        recovery: Vec<RecoveryHash>,
        now: UnixMillis,
    ) -> Option<Factor> {
        let waiting = factor.pending.as_ref().map(|pending| pending.secret.clone());
        factor.enable(waiting.as_ref().unwrap_or(secret), step, recovery, now).or_else(|| {
            // One that is on is confirmed again.
            factor.enabled.is_some().then(|| factor.clone())
        })
    }
}

#[derive(Debug)]
struct ForgetsTheUsedStepWithNewRecoveryCodes;
impl Rules for ForgetsTheUsedStepWithNewRecoveryCodes {
    fn replace(
        factor: &Factor,
        secret: &SealedTotpSecret,
        spend: &Spend,
        recovery: Vec<RecoveryHash>,
    ) -> Option<Factor> {
        let before = factor.enabled.as_ref()?.last_step;
        let mut replaced = factor.replace_recovery(secret, spend, recovery)?;
        replaced.enabled.as_mut()?.last_step = before;
        Some(replaced)
    }
}

#[derive(Debug)]
struct StartsTheSameSessionAgain;
impl Rules for StartsTheSameSessionAgain {
    fn session_is_new(_: &BTreeSet<usize>, _: usize) -> bool {
        true
    }
}

#[test]
fn mistakes_with_second_factors_are_found() {
    is_found::<Machine<CountsAStepTwice>>();
    is_found::<Machine<KeepsRecoveryCodes>>();
    is_found::<Machine<TakesCodesOfAnotherSecret>>();
    is_found::<Machine<ForgetsTheEndOfAPendingSecret>>();
    is_found::<Machine<SetsUpAnotherOverOneThatIsOn>>();
    is_found::<Machine<EnablesWhateverSecretWaits>>();
    is_found::<Machine<ForgetsTheUsedStepWithNewRecoveryCodes>>();
    is_found::<Machine<StartsTheSameSessionAgain>>();
}
