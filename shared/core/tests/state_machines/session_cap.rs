//! The cap on a user's sessions: sign-ins at the same time, each with its write, its read and its
//! deletions as steps of their own, between refreshes and log-outs of other sessions.

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use ratchet_core::{
    amr::Amr,
    ids::{SessionId, UserId},
    seal::SealedSecret,
    secret::SecretHash,
    session::{
        LateRecoveries, Origin, REGISTER_SLOTS, RevocationReason, Revoked, Session, Superseded,
        to_evict,
    },
    time::{UnixMillis, UnixSeconds},
};

use super::config;

const MAX: usize = 2;

/// What can happen. Numbers choose among the sign-ins under way, or the sessions in the table.
#[derive(Debug, Clone, Copy)]
enum Step {
    SignIn,
    Proceed(usize),
    Refresh(usize),
    LogOut(usize),
}

/// One deliberate fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    /// The list is read before the new session is written.
    ReadBeforeWrite,
    /// The new session is not counted.
    NewNotCounted,
    /// Any session may make room, not the one that was used longest ago.
    AnyMakesRoom,
    /// A session counts as used since the first of two steps.
    UsedSinceFirstStep,
}

/// A sign-in under way.
#[derive(Debug)]
enum SignIn {
    /// The first of two steps was right, at that time.
    Begun(u64),
    /// About to be written.
    Drawn(New),
    /// With the sessions that it read before its write: a mistake.
    ReadEarly(New, Vec<Session>),
    /// With the sessions that it read before its write, if it does that.
    Written(New, Option<Vec<Session>>),
    Chosen(Vec<SessionId>),
}

/// A new session, and when it was drawn.
#[derive(Debug)]
struct New {
    session: Session,
    drawn_at: UnixMillis,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::SignIn),
        6 => (0..8_usize).prop_map(Step::Proceed),
        1 => (0..8_usize).prop_map(Step::Refresh),
        1 => (0..8_usize).prop_map(Step::LogOut),
    ]
}

fn session(at: u64) -> Session {
    let at = UnixMillis::new(at);
    Session {
        user_id: UserId::from_bytes([1; 16]),
        session_id: SessionId::generate(at, &[0; 10]),
        generation: 0,
        token_hash: SecretHash::from_bytes([0; 32]),
        superseded: [None; REGISTER_SLOTS],
        recovered: LateRecoveries::default(),
        jkt: None,
        amr: Amr::PASSWORD,
        stepped_up: None,
        auth_time: at,
        cut_seen: UnixMillis::new(0),
        absolute_expires_at: UnixSeconds::new(u64::from(u32::MAX)),
        expires_at: UnixSeconds::new(u64::from(u32::MAX)),
        origin: Origin { network: String::new(), user_agent: String::new() },
        source_ip: String::new(),
        device: None,
        revoked: None,
    }
}

/// Runs the steps, then finishes pending ones. Returns what went wrong.
fn run(steps: &[Step], mistake: Option<Mistake>) -> Result<(), TestCaseError> {
    let mut table: Vec<Session> = Vec::new();
    let mut under_way: Vec<SignIn> = Vec::new();
    let mut now = 0;
    let finish = std::iter::repeat_n(Step::Proceed(0), 5 * steps.len());
    for step in steps.iter().copied().chain(finish) {
        now += 1;
        match step {
            Step::SignIn => under_way.push(SignIn::Begun(now)),
            Step::Proceed(which) if !under_way.is_empty() => {
                let which = which % under_way.len();
                let sign_in = under_way.remove(which);
                if let Some(sign_in) = proceed(sign_in, &mut table, now, mistake)? {
                    under_way.insert(which, sign_in);
                }
            }
            Step::Refresh(which) if !table.is_empty() => {
                let which = which % table.len();
                table[which].superseded[0] = Some(Superseded {
                    hash: SecretHash::from_bytes([1; 32]),
                    sealed_successor: SealedSecret::from_bytes([0; 60]),
                    superseded_at: UnixMillis::new(now),
                });
            }
            Step::LogOut(which) if !table.is_empty() => {
                let which = which % table.len();
                let reason = RevocationReason::LoggedOut;
                table[which].revoked = Some(Revoked { at: UnixMillis::new(now), reason });
            }
            Step::Proceed(_) | Step::Refresh(_) | Step::LogOut(_) => {}
        }
        if under_way.is_empty() {
            let live = table.iter().filter(|session| session.revoked.is_none()).count();
            prop_assert!(live <= MAX, "{live} sessions are live");
        }
    }
    Ok(())
}

fn proceed(
    sign_in: SignIn,
    table: &mut Vec<Session>,
    now: u64,
    mistake: Option<Mistake>,
) -> Result<Option<SignIn>, TestCaseError> {
    match sign_in {
        SignIn::Begun(then) => {
            let used = if mistake == Some(Mistake::UsedSinceFirstStep) { then } else { now };
            let session_id = SessionId::generate(UnixMillis::new(then), &[0; 10]);
            let session = Session { session_id, ..session(used) };
            Ok(Some(SignIn::Drawn(New { session, drawn_at: UnixMillis::new(now) })))
        }
        SignIn::Drawn(new) if mistake == Some(Mistake::ReadBeforeWrite) => {
            Ok(Some(SignIn::ReadEarly(new, table.clone())))
        }
        SignIn::Drawn(new) => {
            table.push(new.session.clone());
            Ok(Some(SignIn::Written(new, None)))
        }
        SignIn::ReadEarly(new, read) => {
            table.push(new.session.clone());
            Ok(Some(SignIn::Written(new, Some(read))))
        }
        SignIn::Written(new, early) => {
            let read = early.unwrap_or_else(|| table.clone());
            let max = if mistake == Some(Mistake::NewNotCounted) { MAX + 1 } else { MAX };
            let New { session: new, drawn_at } = new;
            let mut evicted = to_evict(&read, &new, UnixMillis::new(now), max);
            if mistake == Some(Mistake::AnyMakesRoom) && !evicted.is_empty() {
                evicted = read.iter().rev().take(evicted.len()).map(|s| s.session_id).collect();
            }
            let last_used =
                |id: SessionId| read.iter().find(|s| s.session_id == id).map(Session::refreshed_at);
            let stays =
                read.iter().filter(|s| s.revoked.is_none() && !evicted.contains(&s.session_id));
            for stays in stays {
                for id in &evicted {
                    let is_live = read.iter().any(|s| s.session_id == *id && s.revoked.is_none());
                    prop_assert!(
                        !is_live || last_used(*id) <= Some(stays.refreshed_at()),
                        "a session that was used later made room"
                    );
                }
            }
            let is_new = |s: &&Session| s.session_id == new.session_id;
            let is_live = read.iter().find(is_new).is_none_or(|s| s.revoked.is_none());
            if is_live && evicted.contains(&new.session_id) {
                let used_since = |s: &&Session| s.revoked.is_none() && s.refreshed_at() >= drawn_at;
                let others = read.iter().filter(|s| !is_new(s)).filter(used_since).count();
                prop_assert!(others >= MAX, "a new session made room for one that was used before");
            }
            Ok(Some(SignIn::Chosen(evicted)))
        }
        SignIn::Chosen(mut evicted) => {
            if let Some(id) = evicted.pop() {
                table.retain(|session| session.session_id != id);
            }
            Ok((!evicted.is_empty()).then_some(SignIn::Chosen(evicted)))
        }
    }
}

#[test]
fn no_more_sessions_than_the_cap_are_live_once_every_sign_in_has_answered() {
    let steps = vec(step(), 1..40);
    let outcome = TestRunner::new(config()).run(&steps, |steps| run(&steps, None));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn mistakes_about_the_cap_are_found() {
    for mistake in [
        Mistake::ReadBeforeWrite,
        Mistake::NewNotCounted,
        Mistake::AnyMakesRoom,
        Mistake::UsedSinceFirstStep,
    ] {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config(), rng);
        let outcome = runner.run(&vec(step(), 1..40), |steps| run(&steps, Some(mistake)));
        assert!(outcome.is_err(), "{mistake:?} is not found");
    }
}
