//! Passkeys: requests that read, decide, and write later, twice or never, while passkeys are added,
//! renamed, used and removed, copies of their keys sign too, and all sessions are ended.

use std::{collections::BTreeMap, fmt::Debug, marker::PhantomData};

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use ratchet_core::{
    passkey::{Added, Passkey, PasskeyId, PasskeyName, Passkeys},
    time::UnixMillis,
};

use super::{holds, is_found};

const CREDENTIALS: u8 = 3;

fn id(credential: u8) -> PasskeyId {
    PasskeyId::of(&[credential])
}

fn name(number: usize) -> PasskeyName {
    PasskeyName::parse(&format!("name {number}")).unwrap()
}

/// What a request does once it has read the passkeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Adds this credential, in this ceremony.
    Add(u8, usize),
    /// Gives this credential a name with this number.
    Rename(u8, usize),
    /// Removes this credential, and ends all other sessions and with them all ceremonies.
    Remove(u8),
    /// Signs in with this credential, whose authenticator has counted so far, to this session.
    SignIn(u8, u32, usize),
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A request reads and decides. It writes later, perhaps twice, or never.
    Read(Change),
    /// A request that has read writes.
    Write(usize),
    /// Something ends all sessions, for example a new password.
    Cut,
    /// An operator removes all passkeys, and with them their item.
    RemoveAll,
}

/// What has to come out.
#[derive(Debug, Clone, Default)]
struct Expected {
    next: usize,
    /// The cut that a ceremony has seen, by its number.
    ceremonies: BTreeMap<usize, usize>,
    cut: usize,
    /// Name and counter of each credential that is there.
    keys: BTreeMap<u8, (usize, u32)>,
    /// The credential that a ceremony has added.
    added: BTreeMap<usize, u8>,
    sessions: Vec<usize>,
    /// Requests that have read, with what everything was like.
    read: Vec<(Change, usize, Snapshot)>,
    changes: usize,
    took_effect: bool,
}

/// What a request has read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Snapshot {
    changes: usize,
    cut: usize,
}

impl Expected {
    /// Whether a request that reads now and writes at once takes effect.
    fn may(&self, change: Change) -> bool {
        match change {
            Change::Add(credential, ceremony) => {
                self.ceremonies.get(&ceremony) == Some(&self.cut)
                    && !self.keys.contains_key(&credential)
                    && !self.added.contains_key(&ceremony)
            }
            Change::Rename(credential, _) | Change::Remove(credential) => {
                self.keys.contains_key(&credential)
            }
            Change::SignIn(credential, counter, session) => {
                self.keys.get(&credential).is_some_and(|(_, last)| counter > *last)
                    && !self.sessions.contains(&session)
            }
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
        let credential = 0..CREDENTIALS;
        let change = prop_oneof![
            4 => (credential.clone(), 0..=next).prop_map(|(it, ceremony)| Change::Add(it, ceremony)),
            1 => credential.clone().prop_map(move |it| Change::Rename(it, next)),
            1 => credential.clone().prop_map(Change::Remove),
            4 => (credential, 1..6_u32, 0..=next)
                .prop_map(|(it, counter, session)| Change::SignIn(it, counter, session)),
        ];
        let mut steps = vec![
            (6, change.prop_map(Step::Read).boxed()),
            (1, prop_oneof![Just(Step::Cut), Just(Step::RemoveAll)].boxed()),
        ];
        if !state.read.is_empty() {
            steps.push((8, (0..state.read.len()).prop_map(Step::Write).boxed()));
        }
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn preconditions(state: &Self, step: &Step) -> bool {
        match step {
            Step::Write(place) => *place < state.read.len(),
            Step::Read(Change::Add(_, number) | Change::SignIn(_, _, number)) => {
                *number <= state.next
            }
            Step::Read(Change::Rename(_, number)) => *number == state.next,
            Step::Read(Change::Remove(_)) | Step::Cut | Step::RemoveAll => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.took_effect = false;
        match *step {
            Step::Cut => state.cut += 1,
            Step::RemoveAll => {
                state.keys.clear();
                state.changes += 1;
                state.cut += 1;
            }
            Step::Read(change) => {
                if let Change::Add(_, ceremony) = change {
                    state.ceremonies.entry(ceremony).or_insert(state.cut);
                }
                let snapshot = Snapshot { changes: state.changes, cut: state.cut };
                let may = usize::from(state.may(change));
                state.read.push((change, may, snapshot));
                state.next += 1;
            }
            Step::Write(place) => {
                let (change, may, snapshot) = state.read[place].clone();
                let is_current = snapshot.changes == state.changes;
                let sees_cut = match change {
                    Change::Add(..) | Change::Remove(_) => snapshot.cut == state.cut,
                    Change::Rename(..) | Change::SignIn(..) => true,
                };
                let is_new = match change {
                    Change::SignIn(_, _, session) => !state.sessions.contains(&session),
                    _ => true,
                };
                state.took_effect = may == 1 && is_current && sees_cut && is_new;
                if state.took_effect {
                    state.changes += 1;
                    match change {
                        Change::Add(credential, ceremony) => {
                            state.keys.insert(credential, (usize::MAX, 0));
                            state.added.insert(ceremony, credential);
                        }
                        Change::Rename(credential, number) => {
                            state.keys.get_mut(&credential).unwrap().0 = number;
                        }
                        Change::Remove(credential) => {
                            state.keys.remove(&credential);
                            state.cut += 1;
                        }
                        Change::SignIn(credential, counter, session) => {
                            state.keys.get_mut(&credential).unwrap().1 = counter;
                            state.sessions.push(session);
                        }
                    }
                }
            }
        }
        state
    }
}

/// The decisions, as the service and the store make them.
trait Rules: Debug + 'static {
    /// Whether the write requires the revision that was read.
    fn are_as_read(stored: &Passkeys, read: u64) -> bool {
        stored.revision == read
    }

    /// Whether a ceremony that saw this cut still counts.
    fn counts(seen: usize, cut: usize) -> bool {
        seen == cut
    }

    fn add(passkeys: &Passkeys, new: Passkey) -> Added {
        passkeys.add(new)
    }

    fn accepts_counter(last: u32, counter: u32) -> bool {
        counter > last
    }

    fn session_is_new(sessions: &[usize], session: usize) -> bool {
        !sessions.contains(&session)
    }
}

/// A request that has read.
#[derive(Debug, Clone)]
struct Request {
    change: Change,
    /// The revision that it has read.
    read: u64,
    /// What it will write, if anything.
    after: Option<Passkeys>,
    cut: usize,
}

/// The tables.
#[derive(Debug, Default)]
struct Tables {
    /// Grows with every step.
    now: u64,
    passkeys: Passkeys,
    cut: usize,
    ceremonies: BTreeMap<usize, usize>,
    sessions: Vec<usize>,
    requests: Vec<Request>,
}

fn counter(passkey: &Passkey) -> u32 {
    passkey.credential.parse().unwrap()
}

impl Tables {
    fn read<R: Rules>(&mut self, change: Change) {
        let passkeys = &self.passkeys;
        let after = match change {
            Change::Add(credential, ceremony) => {
                let seen = *self.ceremonies.entry(ceremony).or_insert(self.cut);
                let new = Passkey {
                    id: id(credential),
                    name: PasskeyName::parse("new").unwrap(),
                    credential: "0".to_owned(),
                    backed_up: false,
                    created_at: UnixMillis::new(self.now),
                    last_used_at: None,
                    ceremony: [u8::try_from(ceremony % 256).unwrap(); 16],
                };
                match R::add(passkeys, new) {
                    Added::Write(after) if R::counts(seen, self.cut) => Some(after),
                    _ => None,
                }
            }
            Change::Rename(credential, number) => passkeys.rename(id(credential), &name(number)),
            Change::Remove(credential) => passkeys.remove(id(credential)),
            Change::SignIn(credential, count, _) => {
                let found = passkeys.find(id(credential));
                let found = found.filter(|it| R::accepts_counter(counter(it), count));
                let counted = count.to_string();
                found.and_then(|it| passkeys.used(it.id, Some(&counted), false, UnixMillis::new(1)))
            }
        };
        self.requests.push(Request { change, read: self.passkeys.revision, after, cut: self.cut });
    }

    fn write<R: Rules>(&mut self, place: usize) -> bool {
        let Request { change, read, after, cut } = self.requests[place].clone();
        let Some(after) = after else { return false };
        let met = R::are_as_read(&self.passkeys, read)
            && match change {
                Change::Add(..) | Change::Remove(_) => cut == self.cut,
                Change::Rename(..) => true,
                Change::SignIn(_, _, session) => R::session_is_new(&self.sessions, session),
            };
        if met {
            self.passkeys = after;
            match change {
                Change::Remove(_) => self.cut += 1,
                Change::SignIn(_, _, session) => self.sessions.push(session),
                Change::Add(..) | Change::Rename(..) => {}
            }
        }
        met
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
        // Milliseconds pass faster than passkeys change.
        tables.now += 100;
        match step {
            Step::Cut => tables.cut += 1,
            Step::RemoveAll => {
                tables.passkeys = Passkeys::default();
                tables.cut += 1;
            }
            Step::Read(change) => tables.read::<R>(change),
            Step::Write(place) => {
                let written = tables.write::<R>(place);
                assert_eq!(written, expected.took_effect, "{:?}", tables.requests[place]);
            }
        }
        let keys = tables.passkeys.all.iter().map(|it| (it.id, counter(it))).collect::<Vec<_>>();
        assert_eq!(keys.len(), expected.keys.len());
        for (credential, (number, count)) in &expected.keys {
            assert!(keys.contains(&(id(*credential), *count)), "{credential} is {count}");
            let named = tables.passkeys.find(id(*credential)).unwrap();
            assert!(*number == usize::MAX || named.name == name(*number));
        }
        assert_eq!(tables.sessions, expected.sessions);
        tables
    }
}

#[derive(Debug)]
struct AsBuilt;
impl Rules for AsBuilt {}

#[test]
fn each_ceremony_adds_one_passkey_and_each_answer_starts_one_session() {
    holds::<Machine<AsBuilt>>();
}

/// The last write wins.
#[derive(Debug)]
struct WithoutRevision;
impl Rules for WithoutRevision {
    fn are_as_read(_: &Passkeys, _: u64) -> bool {
        true
    }
}

/// After all passkeys were removed, revisions come again.
#[derive(Debug)]
struct RevisionsStartAgain;
impl Rules for RevisionsStartAgain {
    fn add(passkeys: &Passkeys, new: Passkey) -> Added {
        passkeys.add(Passkey { created_at: UnixMillis::new(0), ..new })
    }
}

/// A ceremony outlives the end of all sessions.
#[derive(Debug)]
struct CeremonyOutlivesCut;
impl Rules for CeremonyOutlivesCut {
    fn counts(_: usize, _: usize) -> bool {
        true
    }
}

/// A ceremony adds as many passkeys as its client likes.
#[derive(Debug)]
struct CeremonyForMany;
impl Rules for CeremonyForMany {
    fn add(passkeys: &Passkeys, new: Passkey) -> Added {
        let fresh = [u8::try_from(passkeys.revision % 251).unwrap() ^ 0x80; 16];
        passkeys.add(Passkey { ceremony: fresh, ..new })
    }
}

/// A copy of a key may sign.
#[derive(Debug)]
struct CounterMayGoBack;
impl Rules for CounterMayGoBack {
    fn accepts_counter(_: u32, _: u32) -> bool {
        true
    }
}

/// A ceremony leads to several sessions.
#[derive(Debug)]
struct SessionIsPutAgain;
impl Rules for SessionIsPutAgain {
    fn session_is_new(_: &[usize], _: usize) -> bool {
        true
    }
}

#[test]
fn each_mistake_is_found() {
    is_found::<Machine<WithoutRevision>>();
    is_found::<Machine<RevisionsStartAgain>>();
    is_found::<Machine<CeremonyOutlivesCut>>();
    is_found::<Machine<CeremonyForMany>>();
    is_found::<Machine<CounterMayGoBack>>();
    is_found::<Machine<SessionIsPutAgain>>();
}
