//! Events for other systems: users and sessions that change, the records that a stream makes of that,
//! batches that fail half-way and come again, and a consumer that ignores ids that it knows.

use std::collections::BTreeMap;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use ratchet_core::{
    domain_event::{Change, EndReason, Record, SessionState, UserState, of_session, of_user},
    ids::{SessionId, UserId},
    password::PhcHash,
    session::RevocationReason,
    time::{UnixMillis, UnixSeconds},
    user::UserStatus,
};

use super::config;

/// What can happen to the one user, and to one of its sessions.
#[derive(Debug, Clone, Copy)]
enum Step {
    Register {
        confirmed: bool,
    },
    Confirm,
    ChangeEmail,
    ChangePassword,
    ResetPassword,
    RenewHash,
    EndAllSessions,
    SwitchFactor,
    SwitchStatus,
    ChangeRoles,
    ChangeClaims,
    DeleteUser,
    ExpireUser,
    SignIn,
    Refresh(usize),
    End(usize, RevocationReason),
    Evict(usize),
    ExpireSession(usize),
    /// A batch arrives. After so many records, it fails, or else it succeeds.
    Deliver {
        fails_after: Option<usize>,
    },
}

/// One deliberate fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    /// A renewed hash counts as a changed password.
    AnyHash,
    /// A deletion by TTL counts as one by somebody.
    AnyDeletion,
    /// A session that has ended may end again, when it is deleted.
    EndsTwice,
    /// A session that has expired may still be ended.
    EndsExpired,
    /// A record makes one event only.
    FirstOnly,
    /// Ids depend on the delivery.
    IdOfDelivery,
    /// Ids do not depend on the record.
    IdWithoutRecord,
    /// A failed batch does not come again.
    Forgotten,
}

const ALL: [Mistake; 8] = [
    Mistake::AnyHash,
    Mistake::AnyDeletion,
    Mistake::EndsTwice,
    Mistake::EndsExpired,
    Mistake::FirstOnly,
    Mistake::IdOfDelivery,
    Mistake::IdWithoutRecord,
    Mistake::Forgotten,
];

fn step() -> impl Strategy<Value = Step> {
    let reason = prop_oneof![
        Just(RevocationReason::ReuseDetected),
        Just(RevocationReason::LoggedOut),
        Just(RevocationReason::PasswordChanged),
    ];
    let one = 0..4_usize;
    prop_oneof![
        4 => any::<bool>().prop_map(|confirmed| Step::Register { confirmed }),
        1 => Just(Step::Confirm),
        1 => Just(Step::ChangeEmail),
        2 => Just(Step::ChangePassword),
        1 => Just(Step::ResetPassword),
        1 => Just(Step::RenewHash),
        1 => Just(Step::EndAllSessions),
        2 => Just(Step::SwitchFactor),
        2 => Just(Step::SwitchStatus),
        1 => Just(Step::ChangeRoles),
        1 => Just(Step::ChangeClaims),
        1 => Just(Step::DeleteUser),
        1 => Just(Step::ExpireUser),
        4 => Just(Step::SignIn),
        1 => one.clone().prop_map(Step::Refresh),
        2 => (one.clone(), reason).prop_map(|(one, reason)| Step::End(one, reason)),
        1 => one.clone().prop_map(Step::Evict),
        1 => one.prop_map(Step::ExpireSession),
        6 => prop::option::of(0..4_usize).prop_map(|fails_after| Step::Deliver { fails_after }),
    ]
}

/// What a stream has of one change.
#[derive(Debug, Clone)]
enum Written {
    User(UserId, Change<UserState>),
    Session(UserId, SessionId, Change<SessionState>),
}

/// The tables, their stream, and what the consumer has learnt.
#[derive(Debug, Default)]
struct World {
    now: u64,
    users: u8,
    user: Option<(UserId, UserState)>,
    sessions: Vec<(SessionId, SessionState)>,
    stream: Vec<(String, u64, Written)>,
    /// How many records have been delivered for good.
    done: usize,
    deliveries: usize,
    /// What an observer of the steps expects, and how often.
    expected: BTreeMap<String, usize>,
    /// By id, so that a repeated event counts once.
    received: BTreeMap<String, String>,
}

impl World {
    fn write(&mut self, written: Written) {
        let id = format!("record-{}", self.stream.len());
        self.stream.push((id, self.now, written));
    }

    fn expect(&mut self, name: &str, about: impl std::fmt::Display) {
        *self.expected.entry(format!("{name} {about}")).or_default() += 1;
    }

    /// Changes the user, and says what that means.
    fn change(&mut self, names: &[&str], change: impl FnOnce(&mut UserState, u64)) {
        let now = self.now;
        let Some((id, user)) = &mut self.user else { return };
        let (id, before) = (*id, user.clone());
        change(user, now);
        let after = user.clone();
        self.write(Written::User(id, Change::Updated { before, after }));
        for name in names {
            self.expect(name, id);
        }
    }

    fn is(&self, rule: impl Fn(&UserState) -> bool) -> bool {
        self.user.as_ref().is_some_and(|(_, user)| rule(user))
    }

    fn register(&mut self, confirmed: bool) {
        if self.user.is_some() {
            return;
        }
        self.users += 1;
        let id = UserId::from_bytes([self.users; 16]);
        let user = UserState {
            email: "ada@example.com".to_owned(),
            email_confirmed: confirmed,
            password_hash: PhcHash::new(format!("hash of {}", self.now)),
            cut: None,
            status: UserStatus::Active,
            second_factor: false,
            roles: Vec::new(),
            claims: None,
            expires_at: (!confirmed).then_some(UnixSeconds::new(self.now + 1_000)),
        };
        self.write(Written::User(id, Change::Created(user.clone())));
        self.user = Some((id, user));
        self.expect("user_registered", id);
        if confirmed {
            self.expect("email_confirmed", id);
        }
    }

    fn remove_user(&mut self, by_ttl: bool) {
        if by_ttl && !self.is(|user| user.expires_at.is_some()) {
            return;
        }
        let Some((id, before)) = self.user.take() else { return };
        if by_ttl {
            self.now += 2_000;
        } else if before.expires_at.is_none_or(|at| at.get() > self.now) {
            self.expect("user_deleted", id);
        }
        self.write(Written::User(id, Change::Deleted { before, by_ttl }));
        self.sessions.clear();
    }

    /// Changes one session, or deletes it.
    fn session(
        &mut self,
        which: usize,
        change: impl FnOnce(&mut SessionState, u64),
        deleted: Option<bool>,
    ) {
        let Some((user, _)) = self.user else { return };
        if self.sessions.is_empty() {
            return;
        }
        let which = which % self.sessions.len();
        let now = self.now;
        let (id, session) = &mut self.sessions[which];
        let (id, before) = (*id, session.clone());
        let written = if let Some(by_ttl) = deleted {
            self.sessions.remove(which);
            Change::Deleted { before, by_ttl }
        } else {
            change(session, now);
            Change::Updated { before, after: session.clone() }
        };
        self.write(Written::Session(user, id, written));
    }

    fn live(&self, which: usize) -> Option<SessionId> {
        let (id, session) = self.sessions.get(which % self.sessions.len().max(1))?;
        let live = session.ended.is_none() && session.expires_at.get() > self.now;
        live.then_some(*id)
    }

    fn deliver(&mut self, fails_after: Option<usize>, mistake: Option<Mistake>) {
        let waiting = self.stream[self.done..].to_vec();
        let published = fails_after.unwrap_or(waiting.len()).min(waiting.len());
        for (id, at, written) in &waiting[..published] {
            self.deliveries += 1;
            let id = match mistake {
                Some(Mistake::IdOfDelivery) => format!("{id} {}", self.deliveries),
                Some(Mistake::IdWithoutRecord) => String::new(),
                _ => id.clone(),
            };
            let mut happened = published_for(written, &id, *at, mistake);
            if mistake == Some(Mistake::FirstOnly) {
                happened.truncate(1);
            }
            self.received.extend(happened);
        }
        // The record that failed is named, but everything before it may come again as well.
        let failed = published < waiting.len();
        self.done = match mistake {
            Some(Mistake::Forgotten) => self.stream.len(),
            _ if failed => self.done + published / 2,
            _ => self.stream.len(),
        };
    }
}

/// Id, and name and subject, of each event of a record.
fn published_for(
    written: &Written,
    id: &str,
    at: u64,
    mistake: Option<Mistake>,
) -> Vec<(String, String)> {
    let record = Record { id, at: UnixSeconds::new(at) };
    let mut written = written.clone();
    match (&mut written, mistake) {
        (Written::User(_, Change::Updated { before, after }), Some(Mistake::AnyHash))
            if before.password_hash != after.password_hash =>
        {
            before.cut = None;
            after.cut = Some(UnixMillis::new(1));
        }
        (Written::User(_, Change::Deleted { before, by_ttl }), Some(Mistake::AnyDeletion)) => {
            before.expires_at = None;
            *by_ttl = false;
        }
        (Written::Session(_, _, Change::Deleted { before, by_ttl }), Some(Mistake::EndsTwice)) => {
            before.ended = None;
            before.expires_at = UnixSeconds::new(u64::MAX);
            *by_ttl = false;
        }
        (Written::Session(_, _, Change::Updated { before, .. }), Some(Mistake::EndsExpired)) => {
            before.expires_at = UnixSeconds::new(u64::MAX);
        }
        _ => {}
    }
    match written {
        Written::User(user, change) => of_user(user, &change, record)
            .iter()
            .map(|event| (event.id().to_owned(), format!("{} {user}", event.name())))
            .collect(),
        Written::Session(user, session, change) => of_session(user, session, &change, record)
            .iter()
            .map(|event| (event.id().to_owned(), format!("{} {session}", event.name())))
            .collect(),
    }
}

fn apply(world: &mut World, step: Step, mistake: Option<Mistake>) {
    let hash = |now: u64| PhcHash::new(format!("hash of {now}"));
    match step {
        Step::Register { confirmed } => world.register(confirmed),
        Step::Confirm if world.is(|user| !user.email_confirmed) => {
            world.change(&["email_confirmed"], |user, _| {
                user.email_confirmed = true;
                user.expires_at = None;
            });
        }
        Step::ChangeEmail => world.change(&["email_changed"], |user, now| {
            user.email = format!("{now}@example.com");
        }),
        Step::ChangePassword => world.change(&["password_changed"], |user, now| {
            user.password_hash = hash(now);
            user.cut = Some(UnixMillis::new(now));
        }),
        // By somebody who reads the mail of an unconfirmed address: a stranger's factor goes.
        Step::ResetPassword if world.is(|user| !user.email_confirmed) => {
            let factor = world.is(|user| user.second_factor);
            let names = ["email_confirmed", "password_changed", "second_factor_disabled"];
            world.change(&names[..if factor { 3 } else { 2 }], |user, now| {
                user.email_confirmed = true;
                user.expires_at = None;
                user.password_hash = hash(now);
                user.cut = Some(UnixMillis::new(now));
                user.second_factor = false;
            });
        }
        Step::RenewHash => world.change(&[], |user, now| user.password_hash = hash(now)),
        Step::EndAllSessions => {
            world.change(&[], |user, now| user.cut = Some(UnixMillis::new(now)));
        }
        Step::SwitchFactor => {
            let on = world.is(|user| user.second_factor);
            let name = if on { "second_factor_disabled" } else { "second_factor_enabled" };
            world.change(&[name], |user, now| {
                user.second_factor = !on;
                user.cut = Some(UnixMillis::new(now));
            });
        }
        Step::SwitchStatus => {
            let active = world.is(|user| user.status == UserStatus::Active);
            let name = if active { "user_disabled" } else { "user_enabled" };
            let status = if active { UserStatus::Disabled } else { UserStatus::Active };
            world.change(&[name], |user, _| user.status = status);
        }
        Step::ChangeRoles => {
            world.change(&["roles_changed"], |user, now| user.roles = vec![now.to_string()]);
        }
        Step::ChangeClaims => {
            world.change(&["claims_changed"], |user, now| user.claims = Some(now.to_string()));
        }
        Step::DeleteUser => world.remove_user(false),
        Step::ExpireUser => world.remove_user(true),
        Step::SignIn if world.user.is_some() => {
            let (user, _) = world.user.as_ref().map(|(id, user)| (*id, user.clone())).unwrap();
            let id = SessionId::generate(UnixMillis::new(world.now * 1_000), &[1; 10]);
            let session = SessionState {
                began_at: UnixMillis::new(world.now * 1_000),
                expires_at: UnixSeconds::new(world.now + 20),
                absolute_expires_at: UnixSeconds::new(world.now + 90),
                ended: None,
            };
            world.write(Written::Session(user, id, Change::Created(session.clone())));
            world.sessions.push((id, session));
            world.expect("session_created", id);
        }
        Step::Refresh(which) if world.live(which).is_some() => {
            let later = |session: &mut SessionState, now| {
                session.expires_at = UnixSeconds::new(now + 20);
            };
            world.session(which, later, None);
        }
        Step::End(which, reason) if world.is_ended(which) == Some(false) => {
            // One that has expired is ended too, with all others of its user, and nobody is told.
            if let Some(id) = world.live(which) {
                if reason == RevocationReason::ReuseDetected {
                    world.expect("reuse_detected", id);
                }
                world.expect("session_ended", id);
            }
            let end = |session: &mut SessionState, now: u64| {
                session.ended = Some((UnixMillis::new(now * 1_000), EndReason::Revoked(reason)));
            };
            world.session(which, end, None);
        }
        Step::Evict(which) => {
            if let Some(id) = world.live(which) {
                world.expect("session_ended", id);
            }
            world.session(which, |_, _| (), Some(false));
        }
        Step::ExpireSession(which) => {
            world.now += 100;
            world.session(which, |_, _| (), Some(true));
        }
        Step::Deliver { fails_after } => world.deliver(fails_after, mistake),
        _ => {}
    }
}

impl World {
    fn is_ended(&self, which: usize) -> Option<bool> {
        let (_, session) = self.sessions.get(which % self.sessions.len().max(1))?;
        Some(session.ended.is_some())
    }
}

/// Runs the steps, then delivers what is left. Each event that was expected has arrived, and no
/// other.
fn run(steps: &[Step], mistake: Option<Mistake>) -> Result<(), TestCaseError> {
    let mut world = World { now: 1_000, ..World::default() };
    for step in steps {
        world.now += 1;
        apply(&mut world, *step, mistake);
    }
    world.deliver(None, mistake);
    let mut received = BTreeMap::new();
    for event in world.received.values() {
        *received.entry(event.clone()).or_default() += 1;
    }
    prop_assert_eq!(received, world.expected);
    Ok(())
}

#[test]
fn no_event_is_lost_and_none_is_invented_whatever_is_delivered_again() {
    let outcome = TestRunner::new(config()).run(&vec(step(), 1..60), |steps| run(&steps, None));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn mistakes_about_events_are_found() {
    for mistake in ALL {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config(), rng);
        let outcome = runner.run(&vec(step(), 1..60), |steps| run(&steps, Some(mistake)));
        assert!(outcome.is_err(), "{mistake:?} is not found");
    }
}
