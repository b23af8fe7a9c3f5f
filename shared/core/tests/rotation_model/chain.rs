//! The chain: three clients and a thief who refresh one session at any pace, forever.
//!
//! A request is one step here: it presents a token with the clock of up to `lag` ticks ago, which
//! stands for the time it was under way as well as for a clock that is behind or was set back, and
//! its write is applied and judged at once. Nothing that other requests could see happens in
//! between. Log-out in flight is for the recorded histories in `tests/e2e/histories`.
//!
//! A duplicated request is another client with the same token; one that crashed before its write
//! never was. Neither time nor the number of rotations has a bound: ages and distances beyond which
//! nothing depends on them are one.

use stateright::{Model, Property};

use ratchet_core::session::{REGISTER_SLOTS, RevocationReason};

use super::{
    promises::{Broken, Standing, judge, standing},
    service::{GONE, Item, Outcome, Service, Token},
};

/// The session, and who holds which of its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The session in the table.
    pub item: Item,
    /// What the clients hold, in order: which is which makes no difference.
    pub clients: [Token; 3],
    /// What the thief holds.
    pub thief: Option<Token>,
    /// A theft was recognised, and its revocation is to be written.
    pub revoking: bool,
    /// The first promise that was not kept.
    pub broken: Option<Broken>,
}

/// Who presents a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// One of the clients.
    Client(usize),
    /// The thief.
    Thief,
}

/// What becomes of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Answered,
    /// It is lost, or the function crashed after its write.
    Lost,
    /// The write was applied but its answer lost; the SDK sends it again, and the second arrives.
    WriteRetried,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Time passes.
    Tick,
    /// Somebody presents the token they hold, with the clock of `lag` ticks ago.
    Refresh { who: Actor, lag: u8, fate: Fate },
    /// A client takes the token of another: a file that they share, or a request sent twice.
    Share { from: usize, to: usize },
    /// The thief takes the token of a client.
    Steal { from: usize },
    /// The session of an old token is revoked.
    Revoke,
    /// The function crashes before it could.
    CrashBeforeRevoking,
}

/// The model of one chain.
pub struct Chain {
    /// The service under test.
    pub service: Service,
}

impl Chain {
    fn refresh(&self, state: &State, who: Actor, lag: u8, fate: Fate) -> Option<State> {
        let token = match who {
            Actor::Client(client) => state.clients[client],
            Actor::Thief => state.thief?,
        };
        let (item, mut outcome) = self.service.present(state.item, token, lag);
        let mut broken = judge(&self.service, &state.item, (token, lag), outcome);
        let mut next = State { item, ..state.clone() };
        if outcome == Outcome::Rotated {
            next.clients = next.clients.map(|token| older(token, 1));
            next.thief = next.thief.map(|token| older(token, 1));
        } else if fate == Fate::WriteRetried {
            return None;
        }
        if fate == Fate::WriteRetried && broken.is_none() {
            let again = older(token, 1);
            (next.item, outcome) = self.service.present(item, again, lag);
            broken = judge(&self.service, &item, (again, lag), outcome);
        }
        match outcome {
            Outcome::Theft => next.revoking = true,
            Outcome::Rotated | Outcome::AnsweredLive | Outcome::Walked if fate != Fate::Lost => {
                match who {
                    Actor::Client(client) => next.clients[client] = 0,
                    Actor::Thief => next.thief = Some(0),
                }
            }
            _ => {}
        }
        next.broken = broken;
        Some(next)
    }

    /// The one of all states that differ in nothing that matters.
    fn settle(mut state: State) -> State {
        let item = state.item;
        // A token outside the register whose age no longer matters is as good as the oldest.
        let forgotten =
            |token: Token| usize::from(token) > REGISTER_SLOTS && item.age(token).is_none();
        let settled = |token| if forgotten(token) { GONE } else { token };
        state.clients = state.clients.map(settled);
        state.thief = state.thief.map(settled);
        state.clients.sort_unstable();
        state
    }
}

/// The token after `rotations` more.
pub fn older(token: Token, rotations: u8) -> Token {
    GONE.min(token + rotations)
}

impl Model for Chain {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let item = Item::NEW;
        vec![State { item, clients: [0; 3], thief: None, revoking: false, broken: None }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        let clients: Vec<_> = (0..state.clients.len())
            .filter(|client| *client == 0 || state.clients[*client] != state.clients[client - 1])
            .collect();
        let thief = state.thief.map(|_| Actor::Thief);
        for who in clients.iter().copied().map(Actor::Client).chain(thief) {
            for lag in 0..=self.service.lag {
                for fate in [Fate::Answered, Fate::Lost, Fate::WriteRetried] {
                    actions.push(Action::Refresh { who, lag, fate });
                }
            }
        }
        if state.item.revoked.is_some() {
            return;
        }
        actions.push(Action::Tick);
        if state.revoking {
            actions.extend([Action::Revoke, Action::CrashBeforeRevoking]);
        }
        for &from in &clients {
            if state.thief.is_none() {
                actions.push(Action::Steal { from });
            }
            actions.extend(
                clients.iter().filter(|to| **to != from).map(|&to| Action::Share { from, to }),
            );
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Tick => next.item = self.service.later(state.item),
            Action::Refresh { who, lag, fate } => next = self.refresh(state, who, lag, fate)?,
            Action::Share { from, to } => next.clients[to] = state.clients[from],
            Action::Steal { from } => next.thief = Some(state.clients[from]),
            Action::Revoke => {
                next.revoking = false;
                next.item = self.service.end_theft(state.item);
                if next.item.revoked != Some(RevocationReason::ReuseDetected) {
                    next.broken = Some(Broken::OldIsTheft);
                }
            }
            Action::CrashBeforeRevoking => next.revoking = false,
        }
        Some(Self::settle(next))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one chain", |_, state: &State| {
                state.broken != Some(Broken::OneChain)
            }),
            Property::always("recent is safe", |_, state: &State| {
                state.broken != Some(Broken::RecentIsSafe)
            }),
            Property::always("old is theft", |_, state: &State| {
                state.broken != Some(Broken::OldIsTheft)
            }),
            Property::always("dead stays dead", |_, state: &State| {
                state.broken != Some(Broken::DeadStaysDead)
            }),
            Property::sometimes("a client is led over four seals", |model, state: &State| {
                state.clients.contains(&4)
                    && standing(&model.service, &state.item, 4, 0) == Standing::Recent
            }),
            Property::sometimes(
                "the register is full of recent generations",
                |model: &Self, state: &State| {
                    state.item.age(4).is_some_and(|age| age < model.service.window)
                },
            ),
            Property::sometimes(
                "a client holds a token that left the register",
                |_, state: &State| state.clients.contains(&5),
            ),
            Property::sometimes("the thief is ahead of every client", |_, state: &State| {
                state.thief.is_some_and(|thief| state.clients.iter().all(|token| *token > thief))
            }),
            Property::sometimes("a theft ends the session", |_, state: &State| {
                state.item.revoked.is_some()
            }),
        ]
    }
}
