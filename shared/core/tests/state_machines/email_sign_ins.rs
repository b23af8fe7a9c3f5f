//! Messages that sign in: a mailer that tries again and requests that come several times, each of which
//! reads first and writes later or never, while all sessions are ended in between.

use std::{collections::BTreeMap, fmt::Debug, marker::PhantomData, time::Duration};

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use ratchet_core::{
    challenge::{Addressee, Challenge, Hashes, Judgement, LetterSecrets, Opening, Proof, Purpose},
    custom_claims::CustomClaims,
    email::EmailAddress,
    ids::{LetterId, UserId},
    key_ring::TagKey,
    time::UnixMillis,
    user::{SessionsCut, User, UserStatus},
};

use super::{holds, is_found};

const LIFE: Duration = Duration::from_secs(60);
const START: u64 = 1_780_000_000;
/// The most letters of one sequence.
const MOST: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Token,
    Code,
}

#[derive(Debug, Clone, Copy)]
enum Task {
    /// The mailer sends a letter.
    Send { letter: usize },
    /// Somebody signs in with half of a letter's message.
    SignIn { letter: usize, half: Half },
}

#[derive(Debug, Clone)]
enum Step {
    Ask,
    /// A program reads the user and the challenge.
    Begin(Task),
    /// It writes and answers.
    Finish(usize),
    /// Both, with nothing in between.
    AtOnce(Task),
    /// All sessions of the user are ended.
    Cut,
    Wait(u64),
}

/// What has happened so far, for the choice of the next step.
#[derive(Debug, Clone, Default)]
struct Drawn {
    letters: usize,
    open: Vec<bool>,
}

impl ReferenceStateMachine for Drawn {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let mut steps =
            vec![(2, (0..25_u64).prop_map(Step::Wait).boxed()), (1, Just(Step::Cut).boxed())];
        if state.letters < MOST {
            steps.push((2, Just(Step::Ask).boxed()));
        }
        if state.letters > 0 {
            let half = prop_oneof![Just(Half::Token), Just(Half::Code)];
            let send = (0..state.letters).prop_map(|letter| Task::Send { letter });
            let sign_in =
                (0..state.letters, half).prop_map(|(letter, half)| Task::SignIn { letter, half });
            let task = prop_oneof![send, sign_in];
            steps.push((4, task.clone().prop_map(Step::Begin).boxed()));
            steps.push((8, task.prop_map(Step::AtOnce).boxed()));
        }
        let open: Vec<usize> = (0..state.open.len()).filter(|task| state.open[*task]).collect();
        if !open.is_empty() {
            steps.push((6, prop::sample::select(open).prop_map(Step::Finish).boxed()));
        }
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn preconditions(state: &Self, step: &Step) -> bool {
        match step {
            Step::Begin(task) | Step::AtOnce(task) => {
                let (Task::Send { letter } | Task::SignIn { letter, .. }) = task;
                *letter < state.letters
            }
            Step::Finish(task) => state.open.get(*task).copied().unwrap_or_default(),
            Step::Ask | Step::Cut | Step::Wait(_) => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        match step {
            Step::Ask => state.letters += 1,
            Step::Begin(_) => state.open.push(true),
            Step::Finish(task) => state.open[*task] = false,
            Step::AtOnce(_) | Step::Cut | Step::Wait(_) => {}
        }
        state
    }
}

fn at(now: u64) -> UnixMillis {
    UnixMillis::new((START + now) * 1_000)
}

fn email() -> EmailAddress {
    EmailAddress::parse("ada@example.com").unwrap()
}

fn ada(cut: u64) -> User {
    User {
        id: UserId::from_bytes([3; 16]),
        name: "Ada".to_owned(),
        status: UserStatus::Active,
        email_confirmed: true,
        second_factor: false,
        has_passkeys: false,
        roles: Vec::new(),
        claims: CustomClaims::default(),
        cut: Some(SessionsCut { valid_after: UnixMillis::new(cut), spared: None }),
    }
}

/// The decisions, as the store makes them.
trait Rules: Debug + 'static {
    fn open(
        known: Option<&Challenge>,
        cut: u64,
        letter: LetterId,
        hashes: Hashes,
        now: u64,
    ) -> Opening {
        let address = email();
        let to = Addressee { email: &address, cut_seen: Some(ada(cut).cut_seen()) };
        Challenge::open(known, to, letter, &[hashes], LIFE, at(now)).unwrap()
    }

    fn judge(challenge: &Challenge, cut: u64, proof: &Proof, now: u64) -> Judgement {
        challenge.judge_sign_in(&ada(cut), &email(), proof, at(now))
    }

    /// Whether a write is made although the challenge is not as it was read.
    const WRITES_OVER_OTHERS: bool = false;
}

/// What a request to sign in is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Session,
    Spent,
    Invalid,
}

/// What is known of a message that was sent.
#[derive(Debug, Clone, Copy)]
struct Sent {
    /// The user's last cut when it was sent first.
    cut: u64,
    good_until: u64,
    is_used_up: bool,
}

/// A program between reading and writing.
#[derive(Debug, Clone)]
struct Running {
    task: Task,
    then: u64,
    cut: u64,
    challenge: Option<Challenge>,
}

#[derive(Debug, Default)]
struct System {
    now: u64,
    cut: u64,
    challenge: Option<Challenge>,
    written_at: Vec<u64>,
    sent: BTreeMap<usize, Sent>,
    /// The letters that have led to a session.
    led: Vec<usize>,
    /// The proof that was used last, and until when that is remembered.
    used: Option<(usize, Half, u64)>,
    tasks: Vec<Running>,
}

impl System {
    fn id(&self, letter: usize) -> LetterId {
        LetterId::generate(at(self.written_at[letter]), &[u8::try_from(letter).unwrap(); 10])
    }

    fn hashes(&self, letter: usize) -> Hashes {
        let (key, user) = (TagKey::new(&[7; 32]), UserId::from_bytes([3; 16]));
        LetterSecrets::derive(&key, self.id(letter), Purpose::EmailSignIn, user).hashes(&key)
    }

    fn read(&self, task: Task) -> Running {
        Running { task, then: self.now, cut: self.cut, challenge: self.challenge.clone() }
    }

    fn write<R: Rules>(&mut self, read: Option<&Challenge>, next: Challenge) -> bool {
        if self.challenge.as_ref() != read && !R::WRITES_OVER_OTHERS {
            return false;
        }
        self.challenge = Some(next);
        true
    }

    /// Does what a program does after it has read, and what it does again if it may not write.
    fn finish<R: Rules>(&mut self, running: Running) -> Option<Answer> {
        let Running { task, then, cut, challenge } = running;
        match task {
            Task::Send { letter } => {
                let done = self.send::<R>(letter, cut, challenge.as_ref(), then);
                if !done {
                    // The mailer does not read the user again.
                    let challenge = self.challenge.clone();
                    assert!(self.send::<R>(letter, cut, challenge.as_ref(), then));
                }
                None
            }
            Task::SignIn { letter, half } => {
                let answer = self.sign_in::<R>((letter, half), cut, challenge.as_ref(), then);
                Some(answer.unwrap_or_else(|| {
                    let (cut, challenge) = (self.cut, self.challenge.clone());
                    let again = self.sign_in::<R>((letter, half), cut, challenge.as_ref(), then);
                    again.expect("nobody else writes")
                }))
            }
        }
    }

    fn send<R: Rules>(
        &mut self,
        letter: usize,
        cut: u64,
        read: Option<&Challenge>,
        then: u64,
    ) -> bool {
        let opened = R::open(read, cut, self.id(letter), self.hashes(letter), then);
        let Opening::Write { challenge, .. } = opened else { return true };
        let same_cut = read.is_none_or(|read| read.cut_seen == challenge.cut_seen);
        if !self.write::<R>(read, challenge) {
            return false;
        }
        if !same_cut {
            self.used = None;
        }
        let good_until = then + LIFE.as_secs();
        let first = Sent { cut, good_until, is_used_up: false };
        let sent = self.sent.entry(letter).or_insert(first);
        assert!(!sent.is_used_up, "a used message became good again");
        sent.good_until = good_until;
        true
    }

    fn sign_in<R: Rules>(
        &mut self,
        (letter, half): (usize, Half),
        cut: u64,
        read: Option<&Challenge>,
        then: u64,
    ) -> Option<Answer> {
        let hashes = self.hashes(letter);
        let proof = match half {
            Half::Token => Proof::Token(hashes.token),
            Half::Code => Proof::Code(vec![hashes.code]),
        };
        let judgement =
            read.map_or(Judgement::Invalid, |challenge| R::judge(challenge, cut, &proof, then));
        match judgement {
            Judgement::Meets(met) => {
                if !self.write::<R>(read, met) {
                    return None;
                }
                assert!(!self.led.contains(&letter), "a second session of letter {letter}");
                self.led.push(letter);
                let sent = self.sent[&letter];
                assert_eq!(sent.cut, cut, "a session that has seen a later cut than its message");
                self.used = Some((letter, half, sent.good_until));
                for other in self.sent.values_mut() {
                    other.is_used_up |= self.now < other.good_until;
                }
                Some(Answer::Session)
            }
            Judgement::MetBefore => Some(Answer::Spent),
            Judgement::Invalid => Some(Answer::Invalid),
        }
    }

    /// What a request has to be answered if nothing happens meanwhile.
    fn expected(&self, letter: usize, half: Half) -> Answer {
        let is_good = |number: &usize| {
            self.sent.get(number).is_some_and(|sent| {
                !sent.is_used_up && sent.cut == self.cut && self.now < sent.good_until
            })
        };
        let newest = (0..self.written_at.len()).rev().find(is_good);
        if is_good(&letter) && (half == Half::Token || newest == Some(letter)) {
            return Answer::Session;
        }
        let again = self
            .used
            .is_some_and(|(used, by, until)| (used, by) == (letter, half) && self.now < until);
        if again { Answer::Spent } else { Answer::Invalid }
    }
}

struct Machine<R>(PhantomData<R>);

impl<R: Rules> StateMachineTest for Machine<R> {
    type SystemUnderTest = System;
    type Reference = Drawn;

    fn init_test(_: &Drawn) -> System {
        System::default()
    }

    fn apply(mut system: System, _: &Drawn, step: Step) -> System {
        match step {
            Step::Ask => system.written_at.push(system.now),
            Step::Begin(task) => {
                let running = system.read(task);
                system.tasks.push(running);
            }
            Step::Finish(task) => {
                let running = system.tasks[task].clone();
                system.finish::<R>(running);
            }
            Step::AtOnce(task) => {
                let expected = match task {
                    Task::Send { .. } => None,
                    Task::SignIn { letter, half } => Some(system.expected(letter, half)),
                };
                let running = system.read(task);
                assert_eq!(system.finish::<R>(running), expected, "{task:?}");
            }
            Step::Cut => system.cut += 1,
            Step::Wait(time) => system.now += time,
        }
        system
    }
}

#[derive(Debug)]
struct Production;
impl Rules for Production {}

#[test]
fn a_message_leads_to_one_session_and_a_cut_ends_the_messages_from_before_it() {
    holds::<Machine<Production>>();
}

#[derive(Debug)]
struct JudgesWithoutTheCut;
impl Rules for JudgesWithoutTheCut {
    fn judge(challenge: &Challenge, _: u64, proof: &Proof, now: u64) -> Judgement {
        challenge.judge(proof, at(now))
    }
}

#[derive(Debug)]
struct KeepsMessagesFromBeforeACut;
impl Rules for KeepsMessagesFromBeforeACut {
    fn open(
        known: Option<&Challenge>,
        cut: u64,
        letter: LetterId,
        hashes: Hashes,
        now: u64,
    ) -> Opening {
        let cut_seen = Some(ada(cut).cut_seen());
        let known = known.map(|known| Challenge { cut_seen, ..known.clone() });
        Production::open(known.as_ref(), cut, letter, hashes, now)
    }
}

#[derive(Debug)]
struct SendsLettersFromBeforeACutAgain;
impl Rules for SendsLettersFromBeforeACutAgain {
    fn open(
        known: Option<&Challenge>,
        cut: u64,
        letter: LetterId,
        hashes: Hashes,
        now: u64,
    ) -> Opening {
        let known = known.filter(|known| known.cut_seen >= Some(ada(cut).cut_seen()));
        Production::open(known, cut, letter, hashes, now)
    }
}

#[derive(Debug)]
struct ForgetsALaterCut;
impl Rules for ForgetsALaterCut {
    fn open(
        known: Option<&Challenge>,
        cut: u64,
        letter: LetterId,
        hashes: Hashes,
        now: u64,
    ) -> Opening {
        let known = known.filter(|known| known.cut_seen <= Some(ada(cut).cut_seen()));
        Production::open(known, cut, letter, hashes, now)
    }
}

#[derive(Debug)]
struct ForgetsWhatMetIt;
impl Rules for ForgetsWhatMetIt {
    fn judge(challenge: &Challenge, cut: u64, proof: &Proof, now: u64) -> Judgement {
        match Production::judge(challenge, cut, proof, now) {
            Judgement::Meets(met) => Judgement::Meets(Challenge { met: None, ..met }),
            judgement => judgement,
        }
    }
}

#[derive(Debug)]
struct UsesNothingUp;
impl Rules for UsesNothingUp {
    fn judge(challenge: &Challenge, cut: u64, proof: &Proof, now: u64) -> Judgement {
        match Production::judge(challenge, cut, proof, now) {
            Judgement::Meets(_) => Judgement::Meets(challenge.clone()),
            judgement => judgement,
        }
    }
}

#[derive(Debug)]
struct WritesOverOthers;
impl Rules for WritesOverOthers {
    const WRITES_OVER_OTHERS: bool = true;
}

#[test]
fn mistakes_in_signing_in_by_e_mail_are_found() {
    is_found::<Machine<JudgesWithoutTheCut>>();
    is_found::<Machine<KeepsMessagesFromBeforeACut>>();
    is_found::<Machine<SendsLettersFromBeforeACutAgain>>();
    is_found::<Machine<ForgetsALaterCut>>();
    is_found::<Machine<ForgetsWhatMetIt>>();
    is_found::<Machine<UsesNothingUp>>();
    is_found::<Machine<WritesOverOthers>>();
}
