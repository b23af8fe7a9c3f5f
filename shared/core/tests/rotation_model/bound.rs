//! Sessions that are bound to a key: two processes of the owner, who has the key, and a thief who has
//! every token that the session ever had, and another key.
//!
//! The decisions are those of [`decide`] and [`Session::accepts`], and the answers those of
//! [`live_secret`]. Generations are bounded: two more than the register remembers.

use std::time::Duration;

use ratchet_core::{
    amr::Amr,
    dpop::Thumbprint,
    ids::{SessionId, UserId},
    key_ring::TagKey,
    refresh_token::RefreshToken,
    rotation::{Decision, Presented, Rotation, SessionPolicy, bound_secret, decide, live_secret},
    secret::TokenSecret,
    session::{
        LateRecoveries, Origin, REGISTER_SLOTS, RevocationReason, Revoked, Session, Superseded,
    },
    time::UnixMillis,
};
use stateright::{Model, Property};

const MOST: u32 = 6;
const TICK: Duration = Duration::from_secs(100);
const TICKS: u8 = 3;
const MADE: UnixMillis = UnixMillis::new(1_780_000_000_000);
const OWN: Thumbprint = Thumbprint::from_bytes([1; 32]);
const OTHER: Thumbprint = Thumbprint::from_bytes([2; 32]);
const POLICY: SessionPolicy = SessionPolicy {
    idle: Duration::from_secs(1_000_000),
    absolute: Duration::from_secs(1_000_000),
    // Shorter than a tick, so tokens superseded before the last tick are not recent.
    retry_window: Duration::from_secs(60),
    late_recoveries: 2,
};

/// One deliberate fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The key is not checked.
    KeyIgnored,
    /// Any key is accepted.
    AnyKey,
    /// The age of a superseded token decides, as in a session that is not bound.
    AgeDecides,
    /// Without the key, an old token ends the session.
    TheftEndsSession,
    /// A token without the key is enough to log out.
    LogOutWithoutKey,
    /// The next secret is random, as in a session that is not bound.
    SecretDrawn,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::KeyIgnored,
        Self::AnyKey,
        Self::AgeDecides,
        Self::TheftEndsSession,
        Self::LogOutWithoutKey,
        Self::SecretDrawn,
    ];
}

/// The session, and what its owner holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    session: Session,
    /// The secret of each generation that there has been.
    secrets: Vec<[u8; 32]>,
    /// The generation that each process of the owner holds.
    held: [u32; 2],
    ticks: u8,
    /// The first promise that was not kept.
    broken: Option<&'static str>,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Time passes.
    Tick,
    /// A process of the owner refreshes; the answer arrives or is lost.
    Refresh { process: usize, lost: bool },
    /// The thief presents a token of this generation, with a key or without.
    Steal { generation: u32, key: Option<Thumbprint> },
    /// The thief logs out with a token of the session.
    LogOut { key: Option<Thumbprint> },
}

/// The model of sessions that are bound to a key.
pub struct Bound {
    /// What is wrong with the service.
    pub fault: Option<Fault>,
}

/// What became of a presented token.
enum Outcome {
    Answered(u32, TokenSecret),
    Refused,
}

impl Bound {
    fn present(&self, state: &mut State, generation: u32, key: Option<Thumbprint>) -> Outcome {
        let now = MADE.plus(TICK * u32::from(state.ticks));
        let token = token(generation, &state.secrets);
        let key = match self.fault {
            Some(Fault::KeyIgnored) => Some(OWN),
            Some(Fault::AnyKey) => key.map(|_| OWN),
            _ => key,
        };
        let mut judged = state.session.clone();
        let is_old = generation < judged.generation;
        if self.fault == Some(Fault::AgeDecides) && key == Some(OWN) && is_old {
            judged.jkt = None;
        }
        let presented = Presented::from(&token).with_key(key);
        let decision = decide(&presented, "", Some(&judged), now, &POLICY);
        match decision {
            Decision::Rotate if generation == MOST => Outcome::Refused,
            Decision::Rotate => {
                let next = if self.fault == Some(Fault::SecretDrawn) {
                    TokenSecret::new([u8::try_from(generation).unwrap(); 32])
                } else {
                    secret(generation + 1)
                };
                let origin = Origin { network: String::new(), user_agent: String::new() };
                let rotation =
                    Rotation::prepare(&token, &next, [7; 12], now, &POLICY, origin).unwrap();
                state.session = state.session.rotated(&rotation);
                state.secrets.push(*next.expose());
                Outcome::Answered(generation + 1, next)
            }
            Decision::AnswerLive | Decision::AnswerSuccessor | Decision::AnswerOwner => {
                match live_secret(&state.session, [&tag_key()]) {
                    Some(live) => Outcome::Answered(state.session.generation, live),
                    None => Outcome::Refused,
                }
            }
            Decision::Theft(_) => {
                state.session.revoked = Some(revoked(now));
                Outcome::Refused
            }
            Decision::Refuse(_) if is_old && self.fault == Some(Fault::TheftEndsSession) => {
                state.session.revoked = Some(revoked(now));
                Outcome::Refused
            }
            Decision::RecoverLate | Decision::AnswerRecovered | Decision::Refuse(_) => {
                Outcome::Refused
            }
        }
    }
}

impl Model for Bound {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let first = token(0, &[*secret(0).expose()]);
        let session = Session {
            user_id: first.user_id,
            session_id: first.session_id,
            generation: 0,
            token_hash: first.secret.hash(),
            superseded: [None::<Superseded>; REGISTER_SLOTS],
            recovered: LateRecoveries::default(),
            jkt: Some(OWN),
            amr: Amr::PASSWORD,
            stepped_up: None,
            auth_time: MADE,
            cut_seen: UnixMillis::new(0),
            absolute_expires_at: POLICY.absolute_expires_at(first.session_id),
            expires_at: POLICY.expires_at(first.session_id, MADE),
            origin: Origin { network: String::new(), user_agent: String::new() },
            source_ip: String::new(),
            device: None,
            revoked: None,
        };
        let secrets = vec![*first.secret.expose()];
        vec![State { session, secrets, held: [0; 2], ticks: 0, broken: None }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        if state.ticks < TICKS {
            actions.push(Action::Tick);
        }
        for process in 0..2 {
            // Beyond the bound, everything happens as at the bound.
            if state.held[process] < MOST {
                actions.extend([false, true].map(|lost| Action::Refresh { process, lost }));
            }
        }
        for key in [None, Some(OTHER)] {
            for generation in 0..=state.session.generation {
                actions.push(Action::Steal { generation, key });
            }
            actions.push(Action::LogOut { key });
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Tick => next.ticks += 1,
            Action::Refresh { process, lost } => {
                let held = state.held[process];
                match self.present(&mut next, held, Some(OWN)) {
                    Outcome::Answered(generation, live) => {
                        if generation != next.session.generation
                            || live.hash() != next.session.token_hash
                        {
                            next.broken = Some("every answer is the live token");
                        }
                        if !lost {
                            next.held[process] = generation;
                        }
                    }
                    Outcome::Refused => next.broken = Some("the owner of the key is answered"),
                }
            }
            Action::Steal { generation, key } => {
                if matches!(self.present(&mut next, generation, key), Outcome::Answered(..)) {
                    next.broken = Some("nobody is answered without the key");
                } else if next.session != state.session {
                    next.broken = Some("nothing changes without the key");
                }
            }
            Action::LogOut { key } => {
                if state.session.accepts(key) || self.fault == Some(Fault::LogOutWithoutKey) {
                    next.session.revoked = Some(revoked(MADE));
                }
                if next.session != state.session {
                    next.broken = Some("nothing changes without the key");
                }
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every promise about one request", |_, state: &State| {
                state.broken.is_none()
            }),
            Property::sometimes("a token that the register has forgotten", |_, state: &State| {
                state.held.iter().any(|held| state.session.generation - held == MOST)
            }),
        ]
    }
}

fn revoked(now: UnixMillis) -> Revoked {
    Revoked { at: now, reason: RevocationReason::ReuseDetected }
}

fn tag_key() -> TagKey {
    TagKey::new(&[7; 32])
}

fn ids() -> (UserId, SessionId) {
    (UserId::from_bytes([1; 16]), SessionId::generate(MADE, &[2; 10]))
}

fn secret(generation: u32) -> TokenSecret {
    let (user_id, session_id) = ids();
    bound_secret(&tag_key(), user_id, session_id, generation)
}

fn token(generation: u32, secrets: &[[u8; 32]]) -> RefreshToken {
    let (user_id, session_id) = ids();
    let secret = TokenSecret::new(secrets[usize::try_from(generation).unwrap()]);
    RefreshToken { user_id, session_id, generation, secret }
}
