//! The ends: log-out, log-out-everywhere, sign-ins and refreshes of one user, all in flight.
//!
//! Every call to the database is a step of its own, and anything may happen between two of them: a
//! refresh reads the user before or after it writes, a cut comes while a sign-in is at its hash.
//! A request may stop after any step, which is a crash; a refresh may give up; a write may be
//! applied and sent again; and one write of all may come through once more at any later time, even
//! when its request has long been answered. The clocks of the two log-outs-everywhere disagree: the
//! one that is behind may come second.
//!
//! No time passes, so every token is recent and may only be refused if its session has ended.

use stateright::{Model, Property};

use ratchet_core::{
    session::{RevocationReason, Session},
    user::SessionsCut,
};

use super::accounts::{Accounts, FIRST, Found, SECOND, Token};

/// A promise that was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Broken {
    /// A session can be refreshed although its end has been answered.
    DeadStaysDead,
    /// A session is refused that was not ended.
    FalseRefusal,
}

/// A request, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// A refresh that has done neither of its two calls.
    Refresh,
    /// It has read the user. It came with its token: with one that was known then.
    RefreshRead { token: Token, cut: Option<SessionsCut> },
    /// It has written, or found why not.
    RefreshWrote { token: Token, found: Found, after_end: bool },
    /// A log-out of the first session.
    LogOut,
    /// A log-out-everywhere that has not written its cut.
    EndAll(SessionsCut),
    /// Its cut is written, and was meant for these sessions.
    EndAllCut { cut: SessionsCut, meant: [bool; 2] },
    /// It has listed the sessions to revoke.
    EndAllListed { cut: SessionsCut, meant: [bool; 2], left: [bool; 2] },
    /// A sign-in that has not read the user.
    SignIn,
    /// It has read the user, and not kept its session.
    SignInRead(Box<Session>),
    /// It is over. What it has written can come through once more.
    Done(Option<Write>),
}

/// A write that is still under way somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Write {
    /// A rotation from this token.
    Rotate(Token),
    /// A revocation of the first session.
    Revoke,
    /// A cut.
    Cut(SessionsCut),
    /// A new session.
    Put(Box<Session>),
}

/// The user's items, and the requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The first session, which was there from the start, and the one that is signed in to.
    pub sessions: [Option<Session>; 2],
    /// The user's last cut.
    pub cut: Option<SessionsCut>,
    /// What is in flight.
    pub requests: Vec<Request>,
    /// The refresh tokens that any client was ever given.
    pub known: Vec<Token>,
    /// Something may have ended the session.
    pub ending: [bool; 2],
    /// Something has ended the session and said so.
    pub over: [bool; 2],
    /// One write may still come through out of its time.
    pub late: bool,
    /// The first promise that was not kept.
    pub broken: Option<Broken>,
}

/// The next step of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The refresh of that token reads the user.
    ReadUser { request: usize, token: Token },
    /// The refresh of that token writes; the write is sent twice if `retried`.
    Rotate { request: usize, token: Token, retried: bool },
    /// The refresh gives up before its write has come through.
    GiveUp { request: usize, token: Token },
    /// The request does its next call.
    Step(usize),
    /// A write of the request is applied once more.
    Late(usize),
}

/// The model.
pub struct Ends {
    /// The production functions, with the mutation.
    pub accounts: Accounts,
    /// What is in flight.
    pub requests: Vec<Request>,
}

impl Ends {
    /// One write of a rotation.
    fn rotate(&self, state: &mut State, request: usize, token: Token) -> Found {
        let place = token.session;
        let (session, found) = self.accounts.rotate(state.sessions[place].as_ref(), token, request);
        if let Some(session) = session {
            state.sessions[place] = Some(session);
        }
        found
    }

    fn revoke(state: &mut State, place: usize, reason: RevocationReason) {
        if let Some(session) = &mut state.sessions[place] {
            Accounts::revoke(session, reason);
        }
    }

    /// Answers a refresh that has written and read.
    fn answer(
        &self,
        state: &mut State,
        (request, token): (usize, Token),
        (found, after_end): (&Found, bool),
        cut: Option<SessionsCut>,
    ) {
        state.requests[request] = Request::Done(Some(Write::Rotate(token)));
        let answered = match found {
            Found::Live { token, session } if self.accounts.allows(cut, session) => Some(*token),
            Found::Live { .. } => {
                Self::revoke(state, token.session, RevocationReason::EndedEverywhere);
                None
            }
            Found::Refused => None,
        };
        match answered {
            Some(_) if after_end => state.broken = Some(Broken::DeadStaysDead),
            Some(next) if !state.known.contains(&next) => {
                state.known.push(next);
                state.known.sort_unstable();
            }
            None if !state.ending[token.session] => state.broken = Some(Broken::FalseRefusal),
            Some(_) | None => {}
        }
    }

    /// The sessions that a cut is meant for if it is written at this moment: those whose sign-in
    /// has read the user, but for the spared one. Nothing that the production code compares.
    fn meant(state: &State, cut: &SessionsCut) -> [bool; 2] {
        let reading = |request: &Request| matches!(request, Request::SignInRead(_));
        let second = state.sessions[SECOND].is_some() || state.requests.iter().any(reading);
        [cut.spared.is_none(), second]
    }

    fn step(&self, state: &mut State, request: usize) -> Option<()> {
        match state.requests[request].clone() {
            Request::LogOut => {
                state.ending[FIRST] = true;
                Self::revoke(state, FIRST, RevocationReason::LoggedOut);
                state.over[FIRST] = true;
                state.requests[request] = Request::Done(Some(Write::Revoke));
            }
            Request::EndAll(cut) => {
                let meant = Self::meant(state, &cut);
                if !self.accounts.cut(&mut state.cut, cut) {
                    let next = Accounts::following(cut, state.cut);
                    state.requests[request] = Request::EndAll(next);
                    return Some(());
                }
                for (ending, meant) in state.ending.iter_mut().zip(meant) {
                    *ending |= meant;
                }
                state.requests[request] = Request::EndAllCut { cut, meant };
            }
            Request::EndAllCut { cut, meant } => {
                let left = state.sessions.each_ref().map(|session| {
                    session.as_ref().is_some_and(|session| self.accounts.cleans_up(cut, session))
                });
                state.requests[request] = Request::EndAllListed { cut, meant, left };
                Self::finish(state, request);
            }
            Request::EndAllListed { cut, meant, mut left } => {
                let place = left.iter().position(|left| *left)?;
                left[place] = false;
                Self::revoke(state, place, RevocationReason::EndedEverywhere);
                state.requests[request] = Request::EndAllListed { cut, meant, left };
                Self::finish(state, request);
            }
            Request::SignIn => {
                state.requests[request] =
                    Request::SignInRead(Box::new(Accounts::second(state.cut)));
            }
            Request::SignInRead(session) => {
                self.accounts.put(&mut state.sessions[SECOND], &session);
                state.known.push(Token::first(SECOND));
                state.known.sort_unstable();
                state.requests[request] = Request::Done(Some(Write::Put(session)));
            }
            Request::Refresh
            | Request::RefreshRead { .. }
            | Request::RefreshWrote { .. }
            | Request::Done(_) => return None,
        }
        Some(())
    }

    /// Answers a log-out-everywhere that has nothing left to revoke.
    fn finish(state: &mut State, request: usize) {
        let listed = &state.requests[request];
        if let Request::EndAllListed { cut, meant, left: [false, false] } = *listed {
            for (over, meant) in state.over.iter_mut().zip(meant) {
                *over |= meant;
            }
            state.requests[request] = Request::Done(Some(Write::Cut(cut)));
        }
    }

    fn late(&self, state: &mut State, request: usize) -> Option<()> {
        let Request::Done(Some(write)) = state.requests[request].clone() else { return None };
        state.late = false;
        match write {
            // No client waits for its answer.
            Write::Rotate(token) => drop(self.rotate(state, request, token)),
            Write::Revoke => Self::revoke(state, FIRST, RevocationReason::LoggedOut),
            Write::Cut(cut) => {
                self.accounts.cut(&mut state.cut, cut);
            }
            Write::Put(session) => self.accounts.put(&mut state.sessions[SECOND], &session),
        }
        Some(())
    }

    /// Whether the session can be refreshed with its live token from here on.
    fn usable(&self, state: &State, place: usize) -> bool {
        state.sessions[place].as_ref().is_some_and(|session| {
            self.accounts.is_live(session) && self.accounts.allows(state.cut, session)
        })
    }
}

/// The ways in which the write of a refresh can come through.
fn writes(request: usize, token: Token) -> [Action; 3] {
    [
        Action::Rotate { request, token, retried: false },
        Action::Rotate { request, token, retried: true },
        Action::GiveUp { request, token },
    ]
}

impl Model for Ends {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            sessions: [Some(Accounts::first()), None],
            cut: None,
            requests: self.requests.clone(),
            known: vec![Token::first(FIRST)],
            ending: [false; 2],
            over: [false; 2],
            late: true,
            broken: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        for (request, progress) in state.requests.iter().enumerate() {
            // Refreshes are alike: of those that have not begun, the first goes on.
            let first_alike = state.requests.iter().position(|other| other == progress);
            if *progress == Request::Refresh && first_alike != Some(request) {
                continue;
            }
            match *progress {
                Request::Refresh => {
                    for &token in &state.known {
                        actions.push(Action::ReadUser { request, token });
                        actions.extend(writes(request, token));
                    }
                }
                Request::RefreshRead { token, .. } => actions.extend(writes(request, token)),
                Request::RefreshWrote { token, .. } => {
                    actions.push(Action::ReadUser { request, token });
                }
                Request::Done(Some(_)) if state.late => actions.push(Action::Late(request)),
                Request::Done(_) => {}
                _ => actions.push(Action::Step(request)),
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::ReadUser { request, token } => match state.requests[request].clone() {
                Request::RefreshWrote { found, after_end, .. } => {
                    self.answer(&mut next, (request, token), (&found, after_end), state.cut);
                }
                _ => next.requests[request] = Request::RefreshRead { token, cut: state.cut },
            },
            Action::Rotate { request, token, retried } => {
                let after_end = state.over[token.session];
                let mut found = self.rotate(&mut next, request, token);
                if retried {
                    found = self.rotate(&mut next, request, token);
                }
                match state.requests[request] {
                    Request::RefreshRead { cut, .. } => {
                        self.answer(&mut next, (request, token), (&found, after_end), cut);
                    }
                    _ => {
                        next.requests[request] = Request::RefreshWrote { token, found, after_end };
                    }
                }
            }
            Action::GiveUp { request, token } => {
                next.requests[request] = Request::Done(Some(Write::Rotate(token)));
            }
            Action::Step(request) => self.step(&mut next, request)?,
            Action::Late(request) => self.late(&mut next, request)?,
        }
        if !next.late {
            for request in &mut next.requests {
                if matches!(request, Request::Done(_)) {
                    *request = Request::Done(None);
                }
            }
        }
        if next.broken.is_none()
            && [FIRST, SECOND].iter().any(|&place| next.over[place] && self.usable(&next, place))
        {
            next.broken = Some(Broken::DeadStaysDead);
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("dead stays dead", |_, state: &State| {
                state.broken != Some(Broken::DeadStaysDead)
            }),
            Property::always("nobody is refused but for an end", |_, state: &State| {
                state.broken != Some(Broken::FalseRefusal)
            }),
            Property::sometimes("a session is rotated and then ended", |_, state: &State| {
                state.over[FIRST]
                    && state.sessions[FIRST].as_ref().is_some_and(|s| s.generation > 0)
            }),
            Property::sometimes("a refresh read the user before the cut", |_, state: &State| {
                state.over[FIRST]
                    && state.cut.is_some()
                    && state
                        .requests
                        .iter()
                        .any(|request| matches!(request, Request::RefreshRead { cut: None, .. }))
            }),
            Property::sometimes("everything is done", |_, state: &State| {
                state.requests.iter().all(|request| matches!(request, Request::Done(_)))
            }),
        ]
    }
}
