//! Clients that share sessions.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ratchet_core::time::UnixMillis;
use tokio::sync::Semaphore;

use super::service::{Service, WINDOW_SECONDS};
use crate::support::{Tokens, World, items::ids, people::now};

/// The size of a run: clients, rounds, and sessions at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) clients: usize,
    pub(crate) rounds: usize,
    pub(crate) sessions: usize,
    pub(crate) seed: u64,
    /// Whether a client sometimes pauses for longer than the window, so that its old token is the
    /// last one that was superseded.
    pub(crate) pauses: bool,
}

/// What a client did to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Presented a token that should be valid.
    Refresh,
    /// Presented the token before the newest known one, which was received longer ago than the
    /// window: as after a lost answer.
    Late,
    /// Presented a token two or more rotations behind, superseded longer ago than the window.
    Steal,
    /// Logged the session out.
    LogOut,
    /// Ended all sessions of the user.
    EndAll,
}

/// One operation. `began` and `ended` are readings of a logical clock that ticks at every beginning
/// and end.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) act: Act,
    /// The number of the session. Each session has a user of its own.
    pub(crate) session: usize,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    /// The same on the clock that the service reads.
    pub(crate) began_at: UnixMillis,
    pub(crate) ended_at: UnixMillis,
    /// The generation of the token that was presented.
    pub(crate) presented: u32,
    pub(crate) status: u16,
    pub(crate) code: String,
    /// The refresh token of a 200.
    pub(crate) token: Option<String>,
    /// Whether the session's item was revoked just after the answer. Only then can no rotation in
    /// flight, which read the user before, still be written.
    pub(crate) left_revoked: bool,
}

/// Everything that happened.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) operations: Vec<Operation>,
    /// The first token of every session, by its number.
    pub(crate) firsts: Vec<Tokens>,
}

/// The shared state of a session's clients: a token file, and when its tokens were received.
struct Shared {
    number: usize,
    access: String,
    tokens: Vec<(u64, String)>,
}

struct Stage {
    clock: AtomicU64,
    history: Mutex<History>,
    sessions: Vec<Mutex<Shared>>,
}

/// Plays a scenario.
pub(crate) async fn play(
    world: &'static World,
    service: &Arc<Service>,
    scenario: Scenario,
) -> History {
    let stage = Stage { clock: AtomicU64::new(0), history: Mutex::default(), sessions: Vec::new() };
    let mut stage = stage;
    for _ in 0..scenario.sessions {
        let shared = new_session(world, service, &stage.history).await;
        stage.sessions.push(Mutex::new(shared));
    }
    let stage = Arc::new(stage);
    let clients: Vec<_> = (0..scenario.clients)
        .map(|number| {
            let (service, stage) = (Arc::clone(service), Arc::clone(&stage));
            tokio::spawn(async move {
                let seed = scenario.seed ^ (u64::try_from(number).unwrap_or(0) << 32);
                let pauses = scenario.pauses;
                let mut client =
                    Client { service, stage, random: seed | 1, pauses, previous: None };
                let slot = number % scenario.sessions;
                for _ in 0..scenario.rounds {
                    client.round(world, slot).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client");
    }
    let mut history = stage.history.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut *history)
}

/// The emulator holds at most a hundred requests for one function, and stops for good at more.
static SIGNING_IN: Semaphore = Semaphore::const_new(20);

async fn new_session(world: &World, service: &Service, history: &Mutex<History>) -> Shared {
    let turn = SIGNING_IN.acquire().await.expect("it is never closed");
    let tokens = service.sign_in(world, &world.person().await).await;
    drop(turn);
    let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
    history.firsts.push(tokens.clone());
    let number = history.firsts.len() - 1;
    let first = (now().get(), tokens.refresh);
    Shared { number, access: tokens.access, tokens: vec![first] }
}

struct Client {
    service: Arc<Service>,
    stage: Arc<Stage>,
    random: u64,
    pauses: bool,
    /// The token before the one in the file, as a slow process may have it.
    previous: Option<(usize, String)>,
}

impl Client {
    /// A number below `below`, from a simple reproducible generator.
    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    async fn round(&mut self, world: &World, slot: usize) {
        let dice = self.random(1_000);
        if self.pauses && (8..20).contains(&dice) {
            tokio::time::sleep(Duration::from_secs(WINDOW_SECONDS + 2)).await;
        }
        let (session, act, token, access) = {
            let stage = Arc::clone(&self.stage);
            let shared = stage.sessions[slot].lock().unwrap_or_else(PoisonError::into_inner);
            let (_, last) = shared.tokens.last().expect("a token").clone();
            let old = old_token(&shared);
            let (act, token) = match (dice, old) {
                (0..5, _) => (Act::LogOut, last),
                (5..8, _) => (Act::EndAll, last),
                (8..20, Some((act, old))) => (act, old),
                (20..200, _) => match &self.previous {
                    Some((session, token)) if *session == shared.number => {
                        (Act::Refresh, token.clone())
                    }
                    _ => (Act::Refresh, last),
                },
                _ => (Act::Refresh, last),
            };
            (shared.number, act, token, shared.access.clone())
        };
        let presented = ids(&token).generation;
        let (began, began_at) = (self.stage.clock.fetch_add(1, Ordering::SeqCst), now());
        let (status, body) = match act {
            Act::Refresh | Act::Late | Act::Steal => self.service.post("/refresh", &token).await,
            Act::LogOut => self.service.post("/logout", &token).await,
            Act::EndAll => self.service.end_all(&access).await,
        };
        let (ended, ended_at) = (self.stage.clock.fetch_add(1, Ordering::SeqCst), now());
        let left_revoked = status == 204
            && world.session(&token).await.is_some_and(|session| session.revoked.is_some());
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let operation = Operation {
            act,
            session,
            began,
            ended,
            began_at,
            ended_at,
            presented,
            status,
            code: text("code").unwrap_or_default(),
            token: text("refresh_token"),
            left_revoked,
        };
        self.learn(world, slot, &operation, token).await;
    }

    /// Writes the token file, and signs in again if the session has ended.
    async fn learn(&mut self, world: &World, slot: usize, operation: &Operation, used: String) {
        let stage = Arc::clone(&self.stage);
        let lock = |history: &'_ Mutex<History>| {
            history
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .operations
                .push(operation.clone());
        };
        lock(&stage.history);
        self.previous = Some((operation.session, used));
        let over = operation.status == 401 || operation.status == 204;
        if over {
            let replacement = new_session(world, &self.service, &stage.history).await;
            let mut shared = stage.sessions[slot].lock().unwrap_or_else(PoisonError::into_inner);
            if shared.number == operation.session {
                *shared = replacement;
            }
        } else if let Some(token) = &operation.token {
            let mut shared = stage.sessions[slot].lock().unwrap_or_else(PoisonError::into_inner);
            let newer = shared
                .tokens
                .last()
                .is_some_and(|(_, last)| ids(token).generation > ids(last).generation);
            if shared.number == operation.session && newer {
                shared.tokens.push((now().get(), token.clone()));
            }
        }
    }
}

/// A token whose successor was received longer ago than the window (and a second), and the act of
/// presenting it.
fn old_token(shared: &Shared) -> Option<(Act, String)> {
    let long_ago = now().minus(Duration::from_secs(WINDOW_SECONDS + 1)).get();
    let successors = shared.tokens.iter().skip(1);
    let mut old = shared.tokens.iter().zip(successors).filter(|(_, (at, _))| *at < long_ago);
    let ((_, token), _) = old.next_back()?;
    let (_, last) = shared.tokens.last()?;
    let is_parent = ids(token).generation + 1 == ids(last).generation;
    Some((if is_parent { Act::Late } else { Act::Steal }, token.clone()))
}
