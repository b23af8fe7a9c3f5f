//! Letters and challenges: several requests, a mailer that tries again, requests whose answers are
//! lost, and confirmations that come again, each of which reads first and writes later.

use std::{collections::BTreeMap, fmt::Debug, marker::PhantomData, time::Duration};

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use ratchet_core::{
    challenge::{Challenge, Hashes, Judgement, LetterSecrets, Opening, Proof, Purpose},
    email::EmailAddress,
    ids::{LetterId, UserId},
    key_ring::TagKey,
    time::UnixMillis,
};

use super::{holds, is_found};

const LIFE: Duration = Duration::from_secs(60);
const START: u64 = 1_780_000_000;
/// The most letters of one sequence.
const MOST: usize = 12;
/// A program that has not written after this many seconds is gone.
const DEADLINE: u64 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Token,
    Code,
}

/// What a program is about to do, at the time that it read its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// The mailer sends a letter.
    Send { letter: usize },
    /// Somebody sets a new password with half of a letter's message.
    Reset { letter: usize, half: Half, password: u8 },
}

#[derive(Debug, Clone)]
enum Step {
    Ask,
    /// A program reads the challenge.
    Begin(Task),
    /// It writes, if it may, and answers. Unless the mailer hears that a letter was sent, the
    /// letter comes again.
    Finish {
        task: usize,
        heard: bool,
    },
    NewKey,
    Wait(u64),
}

/// What a request for a new password is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Done,
    Invalid,
}

#[derive(Debug, Clone, Copy)]
struct Letter {
    written_at: u64,
    is_waiting: bool,
    was_sent: bool,
    /// When its message expires, unless it was used up.
    good_until: Option<u64>,
}

/// What has to come out.
#[derive(Debug, Clone)]
struct Expected {
    now: u64,
    keys: u8,
    letters: Vec<Letter>,
    tasks: Vec<Option<Running>>,
    password: u8,
    /// The proof that was used last, and until when it would have been good.
    used: Option<(usize, Half, u64)>,
    /// Letters written until then are used up.
    used_up_to: Option<u64>,
    /// The task that ended last, with the time that it went by, and what came of it.
    ended: Option<(Task, u64, Outcome)>,
}

/// A program between reading and writing.
#[derive(Debug, Clone, Copy)]
struct Running {
    task: Task,
    begun: u64,
    /// The answer from the items read, if it needs no write.
    outcome: Option<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Sent,
    NothingToSend,
    Answered(Answer),
}

impl Expected {
    fn is_running(&self, task: usize) -> bool {
        let task = self.tasks.get(task).copied().flatten();
        task.is_some_and(|task| self.now <= task.begun + DEADLINE)
    }

    fn begin(&self, task: Task) -> Running {
        let begun = self.now;
        let (outcome, writes) = self.clone().finish(task, begun);
        Running { task, begun, outcome: (!writes).then_some(outcome) }
    }

    /// What comes of a task, and whether that is written.
    fn finish(&mut self, task: Task, then: u64) -> (Outcome, bool) {
        match task {
            Task::Send { letter } => {
                if self.used_up_to.is_some_and(|until| self.letters[letter].written_at <= until) {
                    return (Outcome::NothingToSend, false);
                }
                // What has expired is forgotten.
                for other in &mut self.letters {
                    other.good_until = other.good_until.filter(|until| then < *until);
                }
                self.used = self.used.filter(|(_, _, until)| then < *until);
                self.letters[letter].was_sent = true;
                self.letters[letter].good_until = Some(then + LIFE.as_secs());
                (Outcome::Sent, true)
            }
            Task::Reset { letter, half, password } => {
                let good = |number: usize| {
                    self.letters[number].good_until.is_some_and(|until| then < until)
                };
                let newest = (0..self.letters.len()).rev().find(|number| good(*number));
                let meets = good(letter) && (half == Half::Token || newest == Some(letter));
                if meets {
                    let until = self.letters[letter].good_until.unwrap();
                    self.used = Some((letter, half, until));
                    self.password = password;
                    let good = self.letters.iter_mut().filter(|letter| letter.good_until.is_some());
                    for letter in good {
                        letter.good_until = None;
                        self.used_up_to = self.used_up_to.max(Some(letter.written_at));
                    }
                    self.used_up_to = self.used_up_to.max(Some(then));
                    return (Outcome::Answered(Answer::Done), true);
                }
                let again = self
                    .used
                    .is_some_and(|(used, by, until)| (used, by) == (letter, half) && then < until);
                let done = again && self.password == password;
                (Outcome::Answered(if done { Answer::Done } else { Answer::Invalid }), false)
            }
        }
    }
}

impl ReferenceStateMachine for Expected {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let state = Self {
            now: 0,
            keys: 1,
            letters: Vec::new(),
            tasks: Vec::new(),
            password: 0,
            used: None,
            used_up_to: None,
            ended: None,
        };
        Just(state).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let mut steps = vec![(2, (0..25_u64).prop_map(Step::Wait).boxed())];
        if state.letters.len() < MOST {
            steps.push((2, Just(Step::Ask).boxed()));
        }
        if state.keys < 4 {
            steps.push((1, Just(Step::NewKey).boxed()));
        }
        let numbers = |is: fn(&Letter) -> bool| -> Vec<usize> {
            (0..state.letters.len()).filter(|number| is(&state.letters[*number])).collect()
        };
        let waiting = numbers(|letter| letter.is_waiting);
        if !waiting.is_empty() {
            let send = prop::sample::select(waiting);
            steps.push((4, send.prop_map(|letter| Step::Begin(Task::Send { letter })).boxed()));
        }
        let sent = numbers(|letter| letter.was_sent);
        if !sent.is_empty() {
            let half = prop_oneof![Just(Half::Token), Just(Half::Code)];
            let reset = (prop::sample::select(sent), half, 1..4_u8);
            let reset = reset.prop_map(|(letter, half, password)| {
                Step::Begin(Task::Reset { letter, half, password })
            });
            steps.push((4, reset.boxed()));
        }
        let open: Vec<usize> =
            (0..state.tasks.len()).filter(|task| state.is_running(*task)).collect();
        if !open.is_empty() {
            let finish = (prop::sample::select(open), any::<bool>());
            let finish = finish.prop_map(|(task, heard)| Step::Finish { task, heard });
            steps.push((8, finish.boxed()));
        }
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn preconditions(state: &Self, step: &Step) -> bool {
        match step {
            Step::Begin(Task::Send { letter }) => {
                state.letters.get(*letter).is_some_and(|letter| letter.is_waiting)
            }
            Step::Begin(Task::Reset { letter, .. }) => {
                state.letters.get(*letter).is_some_and(|letter| letter.was_sent)
            }
            Step::Finish { task, .. } => state.is_running(*task),
            Step::Ask | Step::NewKey | Step::Wait(_) => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.ended = None;
        match step {
            Step::Ask => state.letters.push(Letter {
                written_at: state.now,
                is_waiting: true,
                was_sent: false,
                good_until: None,
            }),
            Step::Begin(task) => {
                let running = state.begin(*task);
                state.tasks.push(Some(running));
            }
            Step::Finish { task, heard } => {
                let Running { task, begun: then, outcome } = state.tasks[*task].take().unwrap();
                let outcome = outcome.unwrap_or_else(|| state.finish(task, then).0);
                if let (Task::Send { letter }, true) = (task, *heard) {
                    state.letters[letter].is_waiting = false;
                }
                state.ended = Some((task, then, outcome));
            }
            Step::NewKey => state.keys += 1,
            Step::Wait(time) => state.now += time,
        }
        state
    }
}

fn at(then: u64) -> UnixMillis {
    UnixMillis::new((START + then) * 1_000)
}

/// The id of a letter; of two that were written at the same time the later one has the greater id.
fn id(number: usize, written_at: u64) -> LetterId {
    LetterId::generate(at(written_at), &[u8::try_from(number).unwrap(); 10])
}

fn email() -> EmailAddress {
    EmailAddress::parse("ada@example.com").unwrap()
}

/// A letter's secrets under every key of the ring, the key that is used now first.
fn candidates(letter: LetterId, keys: u8) -> Vec<Hashes> {
    let derive = |number| {
        let (key, user) = (TagKey::new(&[number; 32]), UserId::from_bytes([3; 16]));
        LetterSecrets::derive(&key, letter, Purpose::ResetPassword, user).hashes(&key)
    };
    (1..=keys).rev().map(derive).collect()
}

/// The decisions, as the store makes them.
trait Rules: Debug + 'static {
    fn open(
        known: Option<&Challenge>,
        letter: LetterId,
        candidates: &[Hashes],
        then: u64,
    ) -> Option<Opening> {
        Challenge::open(known, &email(), letter, candidates, LIFE, at(then))
    }

    fn judge(challenge: &Challenge, proof: &Proof, then: u64) -> Judgement {
        challenge.judge(proof, at(then))
    }

    /// What is kept of a challenge that was met.
    fn met(_before: &Challenge, after: Challenge) -> Option<Challenge> {
        Some(after)
    }

    /// Whether a write is made although the challenge is not as it was read.
    const WRITES_OVER_OTHERS: bool = false;
    /// Whether a proof that was used before needs its password.
    const ASKS_FOR_THE_PASSWORD: bool = true;
}

#[derive(Debug, Default)]
struct System {
    challenge: Option<Challenge>,
    password: u8,
    /// What each program read: the challenge, and the password.
    read: Vec<(Option<Challenge>, u8)>,
    /// What the last message of each letter carried, and until when that is good.
    inbox: BTreeMap<usize, (Hashes, u64)>,
}

impl System {
    /// Runs a task from what it read at `then`. `None` if the challenge has changed since.
    fn try_finish<R: Rules>(
        &mut self,
        (read, current): (Option<&Challenge>, u8),
        task: Task,
        expected: &Expected,
        then: u64,
    ) -> Option<Outcome> {
        match task {
            Task::Send { letter } => {
                let id = id(letter, expected.letters[letter].written_at);
                let candidates = candidates(id, expected.keys);
                match R::open(read, id, &candidates, then).unwrap() {
                    Opening::UsedUp => Some(Outcome::NothingToSend),
                    Opening::Write { challenge, candidate } => {
                        self.write::<R>(read, Some(challenge))?;
                        let carried = candidates[candidate];
                        let message = (carried, then + LIFE.as_secs());
                        if let Some((before, until)) = self.inbox.insert(letter, message)
                            && then < until
                        {
                            assert_eq!(before, carried, "a delivered message lost its secrets");
                        }
                        Some(Outcome::Sent)
                    }
                }
            }
            Task::Reset { letter, half, password } => {
                let (hashes, _) = self.inbox[&letter];
                let proof = match half {
                    Half::Token => Proof::Token(hashes.token),
                    Half::Code => Proof::Code(vec![hashes.code]),
                };
                let judgement =
                    read.map_or(Judgement::Invalid, |read| R::judge(read, &proof, then));
                let answer = match judgement {
                    Judgement::Meets(after) => {
                        self.write::<R>(read, R::met(read.unwrap(), after))?;
                        self.password = password;
                        Answer::Done
                    }
                    Judgement::MetBefore if !R::ASKS_FOR_THE_PASSWORD || current == password => {
                        Answer::Done
                    }
                    Judgement::MetBefore | Judgement::Invalid => Answer::Invalid,
                };
                Some(Outcome::Answered(answer))
            }
        }
    }

    fn write<R: Rules>(
        &mut self,
        read: Option<&Challenge>,
        challenge: Option<Challenge>,
    ) -> Option<()> {
        if self.challenge.as_ref() != read && !R::WRITES_OVER_OTHERS {
            return None;
        }
        self.challenge = challenge;
        Some(())
    }
}

struct Machine<R>(PhantomData<R>);

impl<R: Rules> StateMachineTest for Machine<R> {
    type SystemUnderTest = System;
    type Reference = Expected;

    fn init_test(_: &Expected) -> System {
        System::default()
    }

    fn apply(mut system: System, expected: &Expected, step: Step) -> System {
        match step {
            Step::Begin(_) => system.read.push((system.challenge.clone(), system.password)),
            Step::Finish { task: number, .. } => {
                let (task, then, outcome) = expected.ended.unwrap();
                let (read, current) = system.read[number].clone();
                let first = system.try_finish::<R>((read.as_ref(), current), task, expected, then);
                let ended = first.unwrap_or_else(|| {
                    let (read, current) = (system.challenge.clone(), system.password);
                    let read = (read.as_ref(), current);
                    let again = system.try_finish::<R>(read, task, expected, then);
                    again.expect("nobody else writes")
                });
                assert_eq!(ended, outcome, "{task:?}");
            }
            Step::Ask | Step::NewKey | Step::Wait(_) => {}
        }
        system
    }

    fn check_invariants(system: &System, expected: &Expected) {
        assert_eq!(system.password, expected.password);
    }
}

#[derive(Debug)]
struct Production;
impl Rules for Production {}

#[test]
fn a_message_works_once_until_its_own_end_and_the_same_request_again_is_done() {
    holds::<Machine<Production>>();
}

#[derive(Debug)]
struct ExtendsTheOthers;
impl Rules for ExtendsTheOthers {
    fn open(
        known: Option<&Challenge>,
        letter: LetterId,
        candidates: &[Hashes],
        then: u64,
    ) -> Option<Opening> {
        let mut opening = Production::open(known, letter, candidates, then);
        if let Some(Opening::Write { challenge, .. }) = &mut opening {
            for message in &mut challenge.messages {
                message.expires_at = at(then).plus(LIFE).seconds();
            }
        }
        opening
    }
}

#[derive(Debug)]
struct DrawsNewSecrets;
impl Rules for DrawsNewSecrets {
    fn open(
        known: Option<&Challenge>,
        letter: LetterId,
        candidates: &[Hashes],
        then: u64,
    ) -> Option<Opening> {
        Production::open(known, letter, &candidates[..1], then)
    }
}

#[derive(Debug)]
struct SendsWhatIsUsedUp;
impl Rules for SendsWhatIsUsedUp {
    fn open(
        known: Option<&Challenge>,
        letter: LetterId,
        candidates: &[Hashes],
        then: u64,
    ) -> Option<Opening> {
        let known = known.map(|known| Challenge { used_up_to: None, ..known.clone() });
        Production::open(known.as_ref(), letter, candidates, then)
    }
}

#[derive(Debug)]
struct TakesTheCodeThatWasOpenedLast;
impl Rules for TakesTheCodeThatWasOpenedLast {
    fn judge(challenge: &Challenge, proof: &Proof, then: u64) -> Judgement {
        if !matches!(proof, Proof::Code(_)) {
            return Production::judge(challenge, proof, then);
        }
        let last = challenge.messages.last().copied();
        let last = Challenge { messages: last.into_iter().collect(), ..challenge.clone() };
        Production::judge(&last, proof, then)
    }
}

#[derive(Debug)]
struct TakesEveryCode;
impl Rules for TakesEveryCode {
    fn judge(challenge: &Challenge, proof: &Proof, then: u64) -> Judgement {
        let alone = challenge.messages.iter().map(|message| {
            let alone = Challenge { messages: vec![*message], ..challenge.clone() };
            Production::judge(&alone, proof, then)
        });
        let meets = alone.into_iter().find(|judgement| matches!(judgement, Judgement::Meets(_)));
        meets.unwrap_or_else(|| Production::judge(challenge, proof, then))
    }
}

#[derive(Debug)]
struct ForgetsWhatMetIt;
impl Rules for ForgetsWhatMetIt {
    fn met(_: &Challenge, after: Challenge) -> Option<Challenge> {
        Some(Challenge { met: None, ..after })
    }
}

#[derive(Debug)]
struct KeepsTheOtherMessages;
impl Rules for KeepsTheOtherMessages {
    fn met(before: &Challenge, after: Challenge) -> Option<Challenge> {
        let others = before.messages.iter().skip(1).copied();
        Some(Challenge { messages: others.collect(), ..after })
    }
}

#[derive(Debug)]
struct WritesOverOthers;
impl Rules for WritesOverOthers {
    const WRITES_OVER_OTHERS: bool = true;
}

#[derive(Debug)]
struct TakesAnyPassword;
impl Rules for TakesAnyPassword {
    const ASKS_FOR_THE_PASSWORD: bool = false;
}

#[test]
fn mistakes_in_challenges_are_found() {
    is_found::<Machine<ExtendsTheOthers>>();
    is_found::<Machine<DrawsNewSecrets>>();
    is_found::<Machine<SendsWhatIsUsedUp>>();
    is_found::<Machine<TakesTheCodeThatWasOpenedLast>>();
    is_found::<Machine<TakesEveryCode>>();
    is_found::<Machine<ForgetsWhatMetIt>>();
    is_found::<Machine<KeepsTheOtherMessages>>();
    is_found::<Machine<WritesOverOthers>>();
    is_found::<Machine<TakesAnyPassword>>();
}
