//! Registrations that wait for one address: several registrants, one mailbox, and an administrator.
//! Registering, sending and confirming each read first and write later, and are repeated.

use std::{collections::BTreeMap, time::Duration};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use ratchet_core::{
    challenge::{Challenge, CodeHash, Hashes, Judgement, Opening, Proof},
    email::EmailAddress,
    ids::{LetterId, UserId},
    registration::{Address, Admission, Confirmation, Round, Unconfirmed, confirm, sent_for},
    secret::SecretHash,
    time::UnixMillis,
};

use super::config;

const START: u64 = 1_780_000_000;
/// How long a registration waits, and how long a message is good, in seconds.
const WAITS: u64 = 100;
const LIFE: u64 = 40;
/// Names that registrants choose from, and codes that messages have: few, so that they collide.
const NAMES: usize = 6;
const CODES: u8 = 3;
const PURPOSES: [Purpose; 2] = [Purpose::Confirm, Purpose::Reset];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Confirm,
    Reset,
}

impl Purpose {
    /// The place of its challenge.
    const fn place(self) -> usize {
        match self {
            Self::Confirm => 0,
            Self::Reset => 1,
        }
    }
}

/// How a message is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Token,
    Code,
    /// The code, with one of the names.
    CodeFor(usize),
}

#[derive(Debug, Clone, Copy)]
enum Task {
    Register { name: usize },
    Send { letter: usize },
    Use { mail: usize, by: Use },
}

/// Numbers choose among what there is.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A program reads.
    Begin(Task),
    /// It writes and answers.
    Finish(usize),
    /// Messages are requested, for all registrations that the address's item lists or for a name.
    Request(Purpose, Option<usize>),
    /// A user who has the address is deleted.
    Delete,
    /// An administrator makes a user with the address.
    Administer,
    Wait(u64),
}

/// One deliberate fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    /// A registration takes the address before it is confirmed.
    TakesTheAddress,
    /// A confirmation does not ask for the round.
    AnyRound,
    /// It relies on what it has read, without a condition on the write.
    RoundAsRead,
    /// All rounds have one name.
    OneRound,
    /// What the item does not list cannot be confirmed.
    OnlyListed,
    /// A code that two registrations have is taken for the newer one.
    FirstThatMeets,
    /// The name that comes with a code does not count.
    NameIgnored,
    /// The challenge forgets what met it.
    ProofForgotten,
    /// The address that a request at the same time got for the same user counts as another user's.
    LostToItself,
}

#[derive(Debug, Clone)]
struct User {
    name: usize,
    round: Option<UserId>,
    confirmed: bool,
    expires_at: Option<u64>,
    deleted: bool,
    challenges: [Challenge; 2],
    /// How often the address had been given to somebody when the user registered.
    takings: usize,
}

#[derive(Debug, Clone, Copy)]
struct Mail {
    user: usize,
    purpose: Purpose,
    token: SecretHash,
    code: u8,
}

/// What a program has read.
#[derive(Debug, Clone)]
enum Read {
    Names(bool, Address),
    Challenge(Challenge),
    Account(Seen),
    Nothing,
}

/// The user that a proof is for, and the challenge that it is compared with.
#[derive(Debug, Clone)]
struct Seen {
    user: usize,
    purpose: Purpose,
    proof: Proof,
    challenge: Challenge,
    address: Address,
    round: Option<UserId>,
    confirmed: bool,
    /// Whether a code could be for the registration that it was sent for. If not, it is a guess.
    is_no_guess: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Confirmed(usize),
    Done,
    Refused,
}

#[derive(Debug, Clone)]
struct World {
    mistake: Option<Mistake>,
    now: u64,
    address: Address,
    /// When a round is over.
    address_expires_at: u64,
    names: BTreeMap<usize, usize>,
    users: Vec<User>,
    letters: Vec<(usize, Purpose, u64)>,
    mails: Vec<Mail>,
    tasks: Vec<(Task, u64, Read)>,
    /// How often the address was given to somebody.
    takings: usize,
}

fn email() -> EmailAddress {
    EmailAddress::parse("ada@example.com").unwrap()
}

fn at(time: u64) -> UnixMillis {
    UnixMillis::new((START + time) * 1_000)
}

fn id(user: usize) -> UserId {
    UserId::from_bytes([u8::try_from(user + 1).unwrap(); 16])
}

fn place(id: UserId) -> usize {
    usize::from(id.as_bytes()[0]) - 1
}

fn letter_id(letter: usize, written_at: u64) -> LetterId {
    LetterId::generate(at(written_at), &[u8::try_from(letter).unwrap(); 10])
}

/// As an HMAC over user, purpose and code.
fn code_hash(user: usize, purpose: Purpose, code: u8) -> CodeHash {
    let mut bytes = [code; 32];
    bytes[..16].copy_from_slice(id(user).as_bytes());
    bytes[16] = u8::try_from(purpose.place()).unwrap();
    CodeHash::from_bytes(bytes)
}

impl World {
    fn new(mistake: Option<Mistake>) -> Self {
        Self {
            mistake,
            now: 0,
            address: Address::Free,
            address_expires_at: 0,
            names: BTreeMap::new(),
            users: Vec::new(),
            letters: Vec::new(),
            mails: Vec::new(),
            tasks: Vec::new(),
            takings: 0,
        }
    }

    fn has(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// Who has the address or waits for it; an expired item counts for nothing.
    fn address(&self, then: u64) -> Address {
        let expired = match self.address {
            Address::Awaited(_) => self.address_expires_at <= then,
            Address::Taken(user) => {
                self.users[place(user)].expires_at.is_some_and(|end| end <= then)
            }
            Address::Free => false,
        };
        if expired { Address::Free } else { self.address }
    }

    fn lives(&self, user: usize, then: u64) -> bool {
        let user = &self.users[user];
        !user.deleted && user.expires_at.is_none_or(|end| then < end)
    }

    fn owner(&self, name: usize, then: u64) -> Option<usize> {
        self.names.get(&name).copied().filter(|user| self.lives(*user, then))
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait(time) => self.now += time,
            Step::Begin(task) => {
                if let Some(task) = self.choose(task) {
                    let read = self.read(task, self.now);
                    self.tasks.push((task, self.now, read));
                }
            }
            Step::Finish(number) => {
                if self.tasks.is_empty() {
                    return;
                }
                let (task, then, read) = self.tasks.remove(number % self.tasks.len());
                self.finish(task, then, read);
            }
            Step::Request(purpose, name) => {
                let users: Vec<usize> = match name {
                    Some(name) => self.owner(name, self.now).into_iter().collect(),
                    None => {
                        self.address(self.now).users().into_iter().flatten().map(place).collect()
                    }
                };
                for user in users {
                    self.write_letter(user, purpose);
                }
            }
            Step::Delete => {
                if let Address::Taken(user) = self.address(self.now) {
                    let user = place(user);
                    self.users[user].deleted = true;
                    self.address = Address::Free;
                    self.names.retain(|_, owner| *owner != user);
                }
            }
            Step::Administer => {
                let address = self.address(self.now);
                if address.admit(false, true) == Admission::First && self.users.len() < 60 {
                    let user = self.users.len();
                    self.users.push(self.user(NAMES + user, None, None));
                    self.names.insert(NAMES + user, user);
                    self.address = Address::Taken(id(user));
                    self.takings += 1;
                }
            }
        }
    }

    /// Makes numbers into places of what there is.
    fn choose(&self, task: Task) -> Option<Task> {
        let among = |number: usize, len: usize| (len > 0).then(|| number % len);
        Some(match task {
            Task::Register { .. } if self.users.len() >= 60 => return None,
            Task::Register { .. } => task,
            Task::Send { letter } => Task::Send { letter: among(letter, self.letters.len())? },
            Task::Use { mail, by } => Task::Use { mail: among(mail, self.mails.len())?, by },
        })
    }

    fn user(&self, name: usize, round: Option<UserId>, expires_at: Option<u64>) -> User {
        let challenges = [Challenge::default(), Challenge::default()];
        let takings = self.takings;
        User { name, round, confirmed: false, expires_at, deleted: false, challenges, takings }
    }

    fn write_letter(&mut self, user: usize, purpose: Purpose) {
        if self.letters.len() < 200 {
            self.letters.push((user, purpose, self.now));
        }
    }

    fn read(&self, task: Task, then: u64) -> Read {
        match task {
            Task::Register { name } => {
                Read::Names(self.owner(name, then).is_none(), self.address(then))
            }
            Task::Send { letter } => {
                let (user, purpose, _) = self.letters[letter];
                Read::Challenge(self.users[user].challenges[purpose.place()].clone())
            }
            Task::Use { mail, by } => {
                let mail = self.mails[mail];
                let purpose = mail.purpose;
                let proof = |user| match by {
                    Use::Token => Proof::Token(mail.token),
                    Use::Code | Use::CodeFor(_) => {
                        Proof::Code(vec![code_hash(user, purpose, mail.code)])
                    }
                };
                let user = match by {
                    Use::Token => Some(mail.user),
                    Use::CodeFor(name) if !self.has(Mistake::NameIgnored) => self.owner(name, then),
                    Use::CodeFor(_) | Use::Code => self.sent_for(&proof, purpose, then),
                };
                let Some(user) = user else { return Read::Nothing };
                let mut read = self.see(user, purpose, proof(user), then);
                if let Read::Account(seen) = &mut read {
                    let sent = &self.users[mail.user].challenges[purpose.place()];
                    let is_good =
                        matches!(sent.judge(&proof(mail.user), at(then)), Judgement::Meets(_));
                    let is_listed = seen.address.users().contains(&Some(id(mail.user)));
                    seen.is_no_guess = is_good && is_listed;
                }
                read
            }
        }
    }

    fn see(&self, user: usize, purpose: Purpose, proof: Proof, then: u64) -> Read {
        let challenge = self.users[user].challenges[purpose.place()].clone();
        let User { round, confirmed, .. } = self.users[user];
        Read::Account(Seen {
            user,
            purpose,
            proof,
            challenge,
            address: self.address(then),
            round,
            confirmed,
            is_no_guess: true,
        })
    }

    fn sent_for(
        &self,
        proof: &impl Fn(usize) -> Proof,
        purpose: Purpose,
        then: u64,
    ) -> Option<usize> {
        let users: Vec<usize> =
            self.address(then).users().into_iter().flatten().map(place).collect();
        let judged: Vec<Judgement> = users
            .iter()
            .map(|user| {
                self.users[*user].challenges[purpose.place()].judge(&proof(*user), at(then))
            })
            .collect();
        let chosen = if self.has(Mistake::FirstThatMeets) {
            judged.iter().position(|judgement| matches!(judgement, Judgement::Meets(_)))
        } else {
            sent_for(&judged)
        };
        chosen.map(|chosen| users[chosen])
    }

    /// Writes if what was read still holds; otherwise reads again, as often as the store does.
    fn finish(&mut self, task: Task, then: u64, mut read: Read) {
        for _ in 0..3 {
            let written = match task {
                Task::Register { name } => self.register(name, then, &read),
                Task::Send { letter } => self.send(letter, then, &read),
                Task::Use { mail, by } => match self.meet(then, &read) {
                    None => false,
                    Some(answer) => {
                        match (answer, &read) {
                            (Answer::Confirmed(user), Read::Account(seen)) => {
                                self.check_confirmed(user, self.mails[mail], by, seen, then);
                            }
                            (Answer::Refused, Read::Account(seen)) => {
                                self.check_refused(seen, then);
                            }
                            _ => {}
                        }
                        true
                    }
                },
            };
            if written {
                return;
            }
            read = self.read(task, then);
        }
        panic!("nobody else writes");
    }

    fn register(&mut self, name: usize, then: u64, read: &Read) -> bool {
        let Read::Names(is_name_free, address) = read else { return true };
        let admission = address.admit(true, *is_name_free);
        let user = self.users.len();
        if self.owner(name, then).is_some() && *is_name_free {
            return false;
        }
        let round = match admission {
            Admission::AddressTaken | Admission::NameTaken => return true,
            Admission::First if self.address(then) != Address::Free => return false,
            Admission::First => {
                let mut round = Round::open(id(user));
                if self.has(Mistake::OneRound) {
                    round.id = UserId::from_bytes([255; 16]);
                }
                self.address = Address::Awaited(round);
                round.id
            }
            Admission::Joins(round) => {
                let Address::Awaited(awaited) = self.address else { return false };
                if awaited.id != round {
                    return false;
                }
                self.address = Address::Awaited(awaited.join(id(user)));
                round
            }
        };
        let expires_at = then + WAITS;
        // A request that began earlier may write last. Here it may be late by days, so the later end
        // stays. In the table it is late by seconds, and `ADDRESS_OUTLIVES` is longer.
        self.address_expires_at = self.address_expires_at.max(expires_at);
        let round = if self.has(Mistake::TakesTheAddress) {
            self.address = Address::Taken(id(user));
            None
        } else {
            Some(round)
        };
        self.users.push(self.user(name, round, Some(expires_at)));
        self.names.insert(name, user);
        self.write_letter(user, Purpose::Confirm);
        true
    }

    fn send(&mut self, letter: usize, then: u64, read: &Read) -> bool {
        let Read::Challenge(read) = read else { return true };
        let (user, purpose, written_at) = self.letters[letter];
        let account = &self.users[user];
        let may = self.address(then).may_be_confirmed_by(id(user), account.round);
        if !self.lives(user, then) || !may || (purpose == Purpose::Confirm && account.confirmed) {
            return true;
        }
        let number = u8::try_from(letter).unwrap();
        let code = number % CODES;
        let token = SecretHash::from_bytes([number; 32]);
        let hashes = Hashes { token, code: code_hash(user, purpose, code) };
        let (letter, life) = (letter_id(letter, written_at), Duration::from_secs(LIFE));
        let opening = Challenge::open(Some(read), &email(), letter, &[hashes], life, at(then));
        let Some(Opening::Write { challenge, .. }) = opening else { return true };
        let kept = &mut self.users[user].challenges[purpose.place()];
        if kept != read {
            return false;
        }
        *kept = challenge;
        self.mails.push(Mail { user, purpose, token, code });
        true
    }

    /// Confirms or resets. `None` if a condition of the write does not hold and may hold again.
    fn meet(&mut self, then: u64, read: &Read) -> Option<Answer> {
        let Read::Account(seen) = read else { return Some(Answer::Refused) };
        let Seen { user, purpose, proof, challenge, address, round, confirmed, .. } = seen;
        let (user, purpose, round, confirmed) = (*user, *purpose, *round, *confirmed);
        if !self.lives(user, then) {
            return Some(Answer::Refused);
        }
        let name = self.users[user].name;
        let account = Unconfirmed { email: &email(), confirmed };
        let met = match confirm(Some(account), Some(challenge), proof, at(then)) {
            Confirmation::Confirm(met) => met,
            Confirmation::Done => return Some(Answer::Done),
            Confirmation::Refused => return Some(Answer::Refused),
        };
        let met =
            if self.has(Mistake::ProofForgotten) { Challenge { met: None, ..met } } else { met };
        let address = if self.has(Mistake::RoundAsRead) { *address } else { self.address };
        let may = round.is_none() || address.may_be_confirmed_by(id(user), round);
        let is_listed = !self.has(Mistake::OnlyListed) || address.users().contains(&Some(id(user)));
        let may = may && is_listed || self.has(Mistake::AnyRound);
        let is_unchanged = self.users[user].challenges[purpose.place()] == *challenge;
        if !may || !is_unchanged || self.names.get(&name) != Some(&user) {
            let is_lost = round.is_some_and(|round| match self.address {
                Address::Taken(_) if self.has(Mistake::LostToItself) => true,
                address => address.is_lost_for(id(user), round),
            });
            let is_lost = is_lost || !is_listed || self.names.get(&name) != Some(&user);
            return is_lost.then_some(Answer::Refused);
        }
        if !confirmed {
            if round.is_some() {
                let before = self.users[user].takings;
                assert_eq!(before, self.takings, "{user} is confirmed after its round was over");
            }
            if self.address != Address::Taken(id(user)) {
                self.address = Address::Taken(id(user));
                self.takings += 1;
            }
        }
        let account = &mut self.users[user];
        account.challenges[purpose.place()] = met;
        if purpose == Purpose::Reset {
            account.challenges[Purpose::Confirm.place()] =
                account.challenges[Purpose::Confirm.place()].used_up(at(then));
        }
        (account.confirmed, account.expires_at, account.round) = (true, None, None);
        Some(Answer::Confirmed(user))
    }

    /// Who was confirmed, against the message that was used.
    fn check_confirmed(&mut self, user: usize, mail: Mail, by: Use, seen: &Seen, then: u64) {
        match by {
            // Two registrations may have the same code: with its name each is its own.
            Use::CodeFor(name) => assert_eq!(self.users[user].name, name, "by {by:?}"),
            Use::Token => assert_eq!(user, mail.user, "{mail:?}"),
            Use::Code => assert!(user == mail.user || !seen.is_no_guess, "{mail:?}"),
        }
        // The same request again.
        let again = self.see(user, mail.purpose, seen.proof.clone(), then);
        assert_eq!(self.meet(then, &again), Some(Answer::Done), "{mail:?} {by:?}");
    }

    /// What has confirmed a user already is not refused, unless its time was over before.
    fn check_refused(&self, seen: &Seen, then: u64) {
        if seen.challenge.judge(&seen.proof, at(then)) == Judgement::Invalid {
            return;
        }
        let user = &self.users[seen.user];
        let challenge = &user.challenges[seen.purpose.place()];
        let is_done = challenge.judge(&seen.proof, at(then)) == Judgement::MetBefore;
        assert!(!is_done || !user.confirmed || user.deleted, "{seen:?}");
    }

    /// The reader of the mailbox can always be confirmed.
    fn check_owner(&self) {
        let mut world = Self { tasks: Vec::new(), now: self.now + 1, ..self.clone() };
        let now = world.now;
        let waiting: Vec<usize> = (0..world.users.len())
            .filter(|user| {
                let waits =
                    !world.users[*user].confirmed && world.users[*user].expires_at.is_some();
                let is_on = world.users[*user].takings == world.takings;
                waits && is_on && world.lives(*user, now)
            })
            .collect();
        // Waiting registrations, even if others registered after them.
        for user in waiting {
            world.clone().expect_confirmed(user);
        }
        // And a new registration, unless somebody has the address who reads its mail, or for whom
        // an administrator answers.
        if let Address::Taken(owner) = world.address(now)
            && world.users[place(owner)].expires_at.is_none()
        {
            return;
        }
        let user = world.users.len();
        let name = NAMES + 100;
        let read = world.read(Task::Register { name }, now);
        assert!(world.register(name, now, &read), "{world:?}");
        assert_eq!(world.users.len(), user + 1, "the owner of the address cannot register");
        world.expect_confirmed(user);
    }

    fn expect_confirmed(mut self, user: usize) {
        let (now, name) = (self.now, self.users[user].name);
        self.letters.push((user, Purpose::Confirm, now));
        let letter = self.letters.len() - 1;
        let read = self.read(Task::Send { letter }, now);
        assert!(self.send(letter, now, &read));
        let mail = self.mails.len() - 1;
        assert_eq!(self.mails[mail].user, user, "no message is sent");
        let by = Use::CodeFor(name);
        let read = self.read(Task::Use { mail, by }, now);
        assert_eq!(self.meet(now, &read), Some(Answer::Confirmed(user)));
    }
}

fn task() -> impl Strategy<Value = Task> {
    let by = prop_oneof![
        2 => Just(Use::Token),
        2 => Just(Use::Code),
        2 => (0..NAMES).prop_map(Use::CodeFor),
    ];
    prop_oneof![
        3 => (0..NAMES).prop_map(|name| Task::Register { name }),
        3 => (0..16_usize).prop_map(|letter| Task::Send { letter }),
        4 => (0..16_usize, by).prop_map(|(mail, by)| Task::Use { mail, by }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let purpose = prop::sample::select(&PURPOSES[..]);
    prop_oneof![
        8 => task().prop_map(Step::Begin),
        10 => (0..8_usize).prop_map(Step::Finish),
        1 => (purpose, prop::option::of(0..NAMES)).prop_map(|(of, name)| Step::Request(of, name)),
        1 => Just(Step::Delete),
        1 => Just(Step::Administer),
        1 => (0..30_u64).prop_map(Step::Wait),
    ]
}

fn run(mistake: Option<Mistake>, mut runner: TestRunner) -> Result<(), String> {
    let outcome = runner.run(&vec(step(), 1..80), |steps| {
        let mut world = World::new(mistake);
        for step in steps {
            world.step(step);
            world.check_owner();
        }
        Ok(())
    });
    outcome.map_err(|error| error.to_string())
}

#[test]
fn what_confirms_an_address_is_what_its_owner_was_sent_and_only_the_first_counts() {
    if let Err(error) = run(None, TestRunner::new(config())) {
        panic!("{error}");
    }
}

#[test]
fn mistakes_in_registrations_are_found() {
    for mistake in [
        Mistake::TakesTheAddress,
        Mistake::AnyRound,
        Mistake::RoundAsRead,
        Mistake::OneRound,
        Mistake::OnlyListed,
        Mistake::FirstThatMeets,
        Mistake::NameIgnored,
        Mistake::ProofForgotten,
        Mistake::LostToItself,
    ] {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let found = run(Some(mistake), TestRunner::new_with_rng(config(), rng)).is_err();
        assert!(found, "{mistake:?} was not found");
    }
}
