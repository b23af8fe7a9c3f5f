//! Late recovery: tokens that come back after the retry window, in every order.
//!
//! Every request of this model comes too late for the retry window, which is the worst case. Up to
//! three parties present the tokens of one chain: the owner, a second party with the same kind of
//! client (a thief, or another process of the owner), and a third with another kind. An answer can
//! be lost, and the note of a recovery is a step of its own: other requests may come between the
//! read and the write.
//!
//! The decisions are those of [`decide`]; the item after a step is that of [`Session::rotated`] and
//! [`Session::recovered_late`]. Generations are counted backwards from the live one, so that the
//! state space is finite although the chain is not.

use std::{array, time::Duration};

use ratchet_core::{
    amr::Amr,
    ids::{SessionId, UserId},
    refresh_token::RefreshToken,
    rotation::{Decision, LATE_WINDOW, Presented, Reuse, Rotation, SessionPolicy, decide},
    secret::TokenSecret,
    session::{LateRecoveries, Origin, REGISTER_SLOTS, Session, Superseded},
    time::UnixMillis,
};
use stateright::{Model, Property};

/// How many recoveries a session has.
pub const RECOVERIES: u8 = 2;

/// The live generation of every session that is written out.
const LIVE: u32 = 20;
/// A token this many generations behind is treated like any older one.
const BEHIND: u8 = 3;
/// Rotations are counted up to here: one more than the promise about a shared chain needs.
const MANY: u8 = RECOVERIES + 2;

const WINDOW: Duration = Duration::from_secs(60);
const PRESENT: UnixMillis = UnixMillis::new(1_780_000_000_000);
const MADE: UnixMillis = UnixMillis::new(1_779_999_000_000);
const POLICY: SessionPolicy = SessionPolicy {
    idle: Duration::from_secs(1_000_000),
    absolute: Duration::from_secs(1_000_000),
    retry_window: WINDOW,
    late_recoveries: RECOVERIES,
};

/// One deliberate fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A session has any number of late recoveries.
    NoBound,
    /// The note is written without its condition.
    NoteNotConditional,
    /// A late token is recovered for any user agent.
    UserAgentIgnored,
    /// The note has the presented generation instead of the live one.
    WrongGenerationNoted,
    /// The live token is answered although the note was not written.
    AnsweredWithoutNote,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NoBound,
        Self::NoteNotConditional,
        Self::UserAgentIgnored,
        Self::WrongGenerationNoted,
        Self::AnsweredWithoutNote,
    ];
}

/// A recovery that has been decided and not been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pending {
    /// What the request read of the notes.
    notes: Notes,
    /// How many rotations there were since it read.
    rotations: u8,
}

/// How many generations ago each recovery was noted, the most recent first; none beyond the window.
type Notes = [Option<u8>; LateRecoveries::KEPT];

/// Who shares the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parties {
    /// The owner alone.
    Owner,
    /// The owner, and somebody with the same kind of client.
    Same,
    /// The owner, and somebody with another kind of client.
    Other,
}

/// The session, and what its parties hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The notes of the item.
    notes: Notes,
    /// How many generations behind the live one each party's token is.
    held: [u8; 2],
    /// A recovery under way, of each party.
    pending: [Option<Pending>; 2],
    /// The rotations of the last [`LATE_WINDOW`] generations whose answer was lost, as bits.
    lost: u8,
    /// How many rotations there have been.
    rotations: u8,
    /// The kind of client that rotated last is the owner's.
    owners_kind: bool,
    /// The session has been ended.
    ended: bool,
    /// The first promise that was not kept.
    broken: Option<&'static str>,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A party presents its token; the answer arrives or is lost.
    Present { party: usize, lost: bool },
    /// The note of a recovery is written; the answer arrives or is lost.
    Note { party: usize, lost: bool },
}

/// The model of late recovery.
pub struct Late {
    /// Who shares the chain.
    pub parties: Parties,
    /// What is wrong with the service.
    pub fault: Option<Fault>,
}

impl Late {
    fn user_agent(&self, party: usize) -> &'static str {
        match (self.parties, party) {
            (Parties::Other, 1) => "Other/7.0",
            _ => "Owner/1.0",
        }
    }

    fn actors(&self) -> usize {
        if self.parties == Parties::Owner { 1 } else { 2 }
    }

    fn decide(&self, state: &State, party: usize) -> Decision {
        let session = session(state);
        let generation = LIVE - u32::from(state.held[party]);
        let presented = Presented::from(&token(generation));
        let (recoveries, user_agent) = match self.fault {
            Some(Fault::UserAgentIgnored) => (RECOVERIES, session.origin.user_agent.as_str()),
            _ => (RECOVERIES, self.user_agent(party)),
        };
        let policy = SessionPolicy { late_recoveries: recoveries, ..POLICY };
        let decision = decide(&presented, user_agent, Some(&session), PRESENT, &policy);
        match decision {
            Decision::Theft(Reuse::Late) if self.fault == Some(Fault::NoBound) => {
                Decision::RecoverLate
            }
            decision => decision,
        }
    }

    fn present(&self, state: &State, party: usize, lost: bool) -> State {
        let mut next = state.clone();
        match self.decide(state, party) {
            Decision::Rotate => {
                let after = session(state).rotated(&rotation(self.user_agent(party)));
                next.notes = notes(&after);
                next.held = next.held.map(|behind| BEHIND.min(behind + 1));
                next.pending = next.pending.map(|pending| {
                    let pending = pending?;
                    let rotations = BEHIND.min(pending.rotations + 1);
                    Some(Pending { rotations, notes: aged(pending.notes) })
                });
                next.lost = (next.lost << 1) | u8::from(lost);
                next.rotations = MANY.min(next.rotations + 1);
                next.owners_kind = self.user_agent(party) == self.user_agent(0);
                if !lost {
                    next.held[party] = 0;
                }
            }
            Decision::RecoverLate => {
                let pending = Pending { notes: state.notes, rotations: 0 };
                next.pending[party] = Some(pending);
                if self.fault == Some(Fault::AnsweredWithoutNote) {
                    next.pending[party] = None;
                    self.answer(&mut next, party, lost);
                }
            }
            Decision::AnswerRecovered => self.answer(&mut next, party, lost),
            Decision::Theft(_) => {
                next.ended = true;
                if self.parties == Parties::Owner
                    && state.lost.count_ones() <= u32::from(RECOVERIES)
                {
                    next.broken = Some("alone, nobody is refused before K answers were lost");
                }
            }
            Decision::AnswerLive
            | Decision::AnswerSuccessor
            | Decision::AnswerOwner
            | Decision::Refuse(_) => {
                next.broken = Some("nothing else is ever decided here");
            }
        }
        next
    }

    /// The conditional write of the note. If the item has changed, decides again.
    fn note(&self, state: &State, party: usize, lost: bool) -> State {
        let mut next = state.clone();
        let Some(pending) = next.pending[party].take() else { return next };
        let holds = pending.rotations == 0 && pending.notes == state.notes;
        if holds || self.fault == Some(Fault::NoteNotConditional) {
            let after = session(state).recovered_late(PRESENT);
            next.notes = notes(&after);
            if self.fault == Some(Fault::WrongGenerationNoted) {
                next.notes[0] = Some(1);
            }
            self.answer(&mut next, party, lost);
        } else {
            next = self.present(&next, party, lost);
        }
        next
    }

    /// A late answer: it carries the live token.
    fn answer(&self, next: &mut State, party: usize, lost: bool) {
        if self.user_agent(party) != last_user_agent(next) {
            next.broken = Some("another kind of client is never recovered");
        }
        if !next.notes.contains(&Some(0)) {
            next.broken = Some("nothing is answered without a note of the live generation");
        }
        if next.notes.iter().filter(|note| **note == Some(0)).count() > 1 {
            next.broken = Some("parallel late presentations are one note");
        }
        if !lost {
            next.held[party] = 0;
        }
    }
}

impl Model for Late {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            notes: [None; LateRecoveries::KEPT],
            held: [0; 2],
            pending: [None; 2],
            lost: 0,
            rotations: 0,
            owners_kind: true,
            ended: false,
            broken: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.ended || state.broken.is_some() {
            return;
        }
        for party in 0..self.actors() {
            for lost in [false, true] {
                actions.push(if state.pending[party].is_some() {
                    Action::Note { party, lost }
                } else {
                    Action::Present { party, lost }
                });
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(match action {
            Action::Present { party, lost } => self.present(state, party, lost),
            Action::Note { party, lost } => self.note(state, party, lost),
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every promise about one request", |_, state: &State| {
                state.broken.is_none()
            }),
            // After one rotation more than there are recoveries, one of the two parties is detected
            // at its next request, regardless of who moves and which answers are lost.
            Property::always("a shared chain is found", |model: &Self, state: &State| {
                let shared = model.parties != Parties::Owner && !state.ended;
                let found = |party| matches!(model.decide(state, party), Decision::Theft(_));
                !shared || state.rotations <= RECOVERIES || found(0) || found(1)
            }),
            Property::sometimes("a late token is recovered", |_, state: &State| {
                state.notes.contains(&Some(0)) && state.held[0] == 0
            }),
            Property::sometimes("a session ends", |_, state: &State| state.ended),
        ]
    }
}

fn last_user_agent(state: &State) -> &'static str {
    if state.owners_kind { "Owner/1.0" } else { "Other/7.0" }
}

/// The notes one rotation later.
fn aged(notes: Notes) -> Notes {
    let older = |note: u8| Some(note + 1).filter(|age| u32::from(*age) < LATE_WINDOW);
    let mut kept = notes.map(|note| note.and_then(older)).into_iter().flatten();
    array::from_fn(|_| kept.next())
}

/// The notes of a session, relative to its live generation.
fn notes(session: &Session) -> Notes {
    let live = session.generation;
    let ages = session.recovered.iter().map(|noted| u8::try_from(live - noted).unwrap());
    let mut kept = ages.filter(|age| u32::from(*age) < LATE_WINDOW);
    array::from_fn(|_| kept.next())
}

/// The session written out. Every superseded generation is older than the retry window.
fn session(state: &State) -> Session {
    let owner = token(LIVE);
    let sealed = rotation("").sealed_successor;
    let superseded = |slot: usize| Superseded {
        hash: token(LIVE - 1 - u32::try_from(slot).unwrap()).secret.hash(),
        sealed_successor: sealed,
        superseded_at: PRESENT.minus(WINDOW),
    };
    Session {
        user_id: owner.user_id,
        session_id: owner.session_id,
        generation: LIVE,
        token_hash: owner.secret.hash(),
        superseded: array::from_fn::<_, REGISTER_SLOTS, _>(|slot| Some(superseded(slot))),
        recovered: LateRecoveries::from_kept(
            state.notes.iter().flatten().map(|age| LIVE - u32::from(*age)),
        ),
        jkt: None,
        amr: Amr::PASSWORD,
        stepped_up: None,
        auth_time: MADE,
        cut_seen: UnixMillis::new(0),
        absolute_expires_at: POLICY.absolute_expires_at(owner.session_id),
        expires_at: POLICY.expires_at(owner.session_id, PRESENT),
        origin: Origin { network: String::new(), user_agent: last_user_agent(state).to_owned() },
        source_ip: String::new(),
        device: None,
        revoked: None,
    }
}

fn token(generation: u32) -> RefreshToken {
    RefreshToken {
        user_id: UserId::from_bytes([1; 16]),
        session_id: SessionId::generate(MADE, &[2; 10]),
        generation,
        secret: TokenSecret::new([u8::try_from(generation).unwrap(); 32]),
    }
}

fn rotation(user_agent: &str) -> Rotation {
    let origin = Origin { network: String::new(), user_agent: user_agent.to_owned() };
    let next = TokenSecret::new([u8::MAX; 32]);
    Rotation::prepare(&token(LIVE), &next, [7; 12], PRESENT, &POLICY, origin).unwrap()
}
