//! A model of one browser with several tabs, whose requests and responses may be lost or overtake
//! each other. Other applications have cookies at the same host.
//!
//! Requests are read and answered by the production code. The service behind it and the browser's
//! cookies are the model's own. A mutation changes the input of the production code or its
//! response; the model must detect each one.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestError, TestRng, TestRunner},
};

use super::*;

/// Sessions from this number on are those of another deployment at the same host.
const OTHER_DEPLOYMENT: u8 = 200;

/// What happens next. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Event {
    /// A tab sends a request.
    Send(Kind),
    /// A request arrives and is answered. With a fault nothing can be read or written.
    Answer { request: usize, fault: bool },
    /// A response arrives.
    Deliver { response: usize },
    /// A request or a response is lost.
    Lose { message: usize },
    /// The user ends a session from another device.
    EndElsewhere { session: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    SignIn,
    Refresh,
    LogOut,
}

/// One deliberate mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutation {
    /// All sessions share one cookie.
    OneNameForAll,
    /// A response that ends a session deletes all cookies of the browser.
    DeletesEveryCookie,
    /// A sign-in deletes the cookies of former sessions, which stay live.
    SignInEndsNothing,
    /// The same mistake in a refresh.
    RefreshEndsNothing,
    /// A log-out ends only the newest session.
    LogOutEndsOne,
    /// A refresh uses the oldest session.
    OldestFirst,
    /// A refresh gives up if the newest session has ended.
    NewestOnly,
    /// Cookies of ended sessions are not deleted.
    NeverDeletes,
    /// The response is that of a refresh with another deployment's token.
    ForeignTokenIsRefused,
    /// A response deletes the cookies of another deployment.
    DeletesForeignTokens,
}

impl Mutation {
    const ALL: [Self; 10] = [
        Self::OneNameForAll,
        Self::DeletesEveryCookie,
        Self::SignInEndsNothing,
        Self::RefreshEndsNothing,
        Self::LogOutEndsOne,
        Self::OldestFirst,
        Self::NewestOnly,
        Self::NeverDeletes,
        Self::ForeignTokenIsRefused,
        Self::DeletesForeignTokens,
    ];
}

/// A request on its way, or its response.
#[derive(Debug)]
struct Message {
    kind: Kind,
    cookies: Vec<(String, String)>,
    /// The sessions that the browser knew when it was sent.
    known: Vec<u8>,
    response: Option<(u16, Vec<String>, Option<u8>)>,
}

#[derive(Debug, Default)]
struct Server {
    /// The generation of each session, and whether it is live, by number.
    sessions: Vec<(u32, bool)>,
}

impl Server {
    fn find(&mut self, text: &str) -> (u8, &mut (u32, bool)) {
        let read = UnverifiedRefreshToken::read(text).expect("a token");
        let number =
            (0..=u8::MAX).find(|number| session(*number) == read.session_id).expect("a session");
        (number, &mut self.sessions[usize::from(number)])
    }

    fn refresh(&mut self, text: &str) -> Result<TokenPair, Problem> {
        let generation = UnverifiedRefreshToken::read(text).expect("a token").generation;
        let (number, (live_generation, is_live)) = self.find(text);
        if !*is_live {
            return Err(Problem::InvalidAttempt(InvalidAttempt::Revoked));
        }
        // An older token leads to the live one.
        if generation == *live_generation {
            *live_generation += 1;
        }
        Ok(pair(number, *live_generation))
    }

    fn end(&mut self, text: &str) {
        self.find(text).1.1 = false;
    }

    fn is_live(&self, number: u8) -> bool {
        self.sessions[usize::from(number)].1
    }
}

struct World {
    mutation: Option<Mutation>,
    server: RefCell<Server>,
    cookies: BTreeMap<String, String>,
    /// Cookies of other applications at the same host: whole, with any bytes.
    foreign: Vec<Vec<u8>>,
    messages: Vec<Message>,
    /// The sessions whose sign-in was answered, as far as the browser knows.
    known: Vec<u8>,
}

/// The output of a future that never waits.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the model never waits"),
    }
}

impl World {
    /// A browser that has a session by the former name.
    fn new(mutation: Option<Mutation>, foreign: Vec<Vec<u8>>) -> Self {
        let server = Server { sessions: vec![(3, true)] };
        let (name, token) = ("__Host-refresh".to_owned(), text(0, 3));
        Self {
            mutation,
            server: RefCell::new(server),
            cookies: BTreeMap::from([(name, token)]),
            foreign,
            messages: Vec::new(),
            known: vec![0],
        }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// The sessions whose tokens are in these cookies, the newest first.
    fn sessions_in<'a>(&self, values: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
        let is_token = |value: &&String| UnverifiedRefreshToken::read(value).is_some();
        let values = values.into_iter().filter(is_token);
        let mut numbers: Vec<_> =
            values.map(|value| self.server.borrow_mut().find(value).0).collect();
        numbers.sort_unstable_by_key(|number| Reverse(*number));
        numbers.dedup();
        numbers
    }

    fn step(&mut self, event: &Event) -> Result<(), String> {
        match *event {
            Event::Send(kind) => self.send(kind),
            Event::Answer { request, fault } => {
                let waiting = self.positions(|message| message.response.is_none());
                if let Some(position) = pick(&waiting, request) {
                    self.answer(position, fault)?;
                }
            }
            Event::Deliver { response } => {
                let waiting = self.positions(|message| message.response.is_some());
                if let Some(position) = pick(&waiting, response) {
                    self.deliver(position);
                }
            }
            Event::Lose { message } => {
                if let Some(position) = pick(&self.positions(|_| true), message) {
                    self.messages.remove(position);
                }
            }
            Event::EndElsewhere { session } => {
                let sessions = &mut self.server.borrow_mut().sessions;
                let position = session % sessions.len();
                sessions[position].1 = false;
            }
        }
        self.check()
    }

    fn positions(&self, is_one: impl Fn(&Message) -> bool) -> Vec<usize> {
        let positions = self.messages.iter().enumerate();
        positions.filter(|(_, message)| is_one(message)).map(|(position, _)| position).collect()
    }

    fn send(&mut self, kind: Kind) {
        let cookies = self.cookies.iter().map(|(name, value)| (name.clone(), value.clone()));
        let (cookies, known) = (cookies.collect(), self.known.clone());
        self.messages.push(Message { kind, cookies, known, response: None });
    }

    /// What the production code reads of a request.
    fn browser(&self, message: &Message) -> Browser {
        let mut cookies = message.cookies.clone();
        let only = |position: Option<u8>| {
            move |(_, value): &(String, String)| {
                UnverifiedRefreshToken::read(value).is_none_or(|read| {
                    position.is_some_and(|number| session(number) == read.session_id)
                })
            }
        };
        let sessions = self.sessions_in(cookies.iter().map(|(_, value)| value));
        match (self.mutation, message.kind) {
            (Some(Mutation::OldestFirst), Kind::Refresh) => {
                cookies.retain(only(sessions.last().copied()));
            }
            (Some(Mutation::NewestOnly), Kind::Refresh)
            | (Some(Mutation::LogOutEndsOne), Kind::LogOut) => {
                cookies.retain(only(sessions.first().copied()));
            }
            _ => {}
        }
        // Other applications' cookies come before and after ours.
        let (before, after) = self.foreign.split_at(self.foreign.len() / 2);
        let ours = cookies.iter().map(|(name, value)| format!("{name}={value}").into_bytes());
        let all: Vec<_> = before.iter().cloned().chain(ours).chain(after.iter().cloned()).collect();
        browser_at("https://issuer.example", OWN, &all.join(&b"; "[..]), CONFIRMED)
    }

    fn answer(&mut self, position: usize, fault: bool) -> Result<(), String> {
        let message = &self.messages[position];
        let (kind, browser) = (message.kind, self.browser(message));
        let presented = self.sessions_in(message.cookies.iter().map(|(_, value)| value));
        let live = presented.iter().copied().find(|number| self.server.borrow().is_live(*number));
        let keeps = self.is(Mutation::SignInEndsNothing) && kind == Kind::SignIn
            || self.is(Mutation::RefreshEndsNothing) && kind == Kind::Refresh;
        let server = &self.server;
        let deletes_foreign = self.is(Mutation::DeletesForeignTokens);
        let end = |text: Zeroizing<String>| {
            if is_foreign(&text) {
                return std::future::ready(Ok(deletes_foreign));
            }
            if fault {
                return std::future::ready(Err(ratchet_service::Fault::NoTagKey.into()));
            }
            if !keeps {
                server.borrow_mut().end(&text);
            }
            std::future::ready(Ok(true))
        };
        let foreign_refusal = if self.is(Mutation::ForeignTokenIsRefused) {
            Problem::ForbiddenOrigin
        } else {
            Problem::InvalidAttempt(InvalidAttempt::Malformed)
        };
        let refresh = |text: Zeroizing<String>| {
            std::future::ready(if is_foreign(&text) {
                Err(foreign_refusal.clone())
            } else if fault {
                Err(Problem::Unavailable)
            } else {
                server.borrow_mut().refresh(&text)
            })
        };
        let (response, begun) = match kind {
            Kind::SignIn => {
                let number = u8::try_from(server.borrow().sessions.len()).unwrap();
                server.borrow_mut().sessions.push((0, true));
                (now(browser.signed_in(&pair(number, 0), end)), Some(number))
            }
            Kind::Refresh => (now(browser.refresh(refresh, end)), None),
            Kind::LogOut => {
                let response = now(browser.log_out(end));
                (response.unwrap_or_else(IntoResponse::into_response), None)
            }
        };
        let status = response.status().as_u16();
        let cookies = set_cookies(&response);
        if let Some(cookie) = cookies.iter().find(|cookie| self.is_of_others(cookie)) {
            return Err(format!("another application's cookie is overwritten: {cookie}"));
        }
        if kind == Kind::Refresh && !fault {
            let set = cookies.iter().find(|cookie| cookie.ends_with("Max-Age=60"));
            let set = set.map(|cookie| cookie_value(cookie).1.to_owned());
            let refreshed = self.sessions_in(&set).first().copied();
            if refreshed != live {
                return Err(format!("{live:?} is the newest live session, not {refreshed:?}"));
            }
        }
        if kind == Kind::LogOut && status == 204 {
            let known = &self.messages[position].known;
            if let Some(number) = known.iter().find(|number| self.server.borrow().is_live(**number))
            {
                return Err(format!("session {number} outlives the log-out"));
            }
        }
        self.messages[position].response = Some((status, cookies, begun));
        Ok(())
    }

    /// Whether this `Set-Cookie` has the name of a cookie that is not ours.
    fn is_of_others(&self, cookie: &str) -> bool {
        let name = cookie_value(cookie).0.as_bytes();
        self.foreign.iter().any(|cookie| cookie.split(|byte| *byte == b'=').next() == Some(name))
    }

    fn deliver(&mut self, position: usize) {
        let message = self.messages.remove(position);
        let (status, cookies, begun) = message.response.expect("a response");
        let ends = status == 401 || message.kind == Kind::LogOut && status == 204;
        if self.is(Mutation::DeletesEveryCookie) && ends {
            self.cookies.retain(|_, value| UnverifiedRefreshToken::read(value).is_none());
        }
        for cookie in cookies {
            let (name, value) = cookie_value(&cookie);
            let name = if self.is(Mutation::OneNameForAll) { "__Host-refresh" } else { name };
            if !value.is_empty() {
                self.cookies.insert(name.to_owned(), value.to_owned());
            } else if !self.is(Mutation::NeverDeletes) {
                self.cookies.remove(name);
            }
        }
        self.known.extend(begun);
    }

    fn check(&self) -> Result<(), String> {
        let sessions = self.sessions_in(self.cookies.values());
        for number in &self.known {
            if self.server.borrow().is_live(*number) && !sessions.contains(number) {
                return Err(format!("the browser lost the live session {number}"));
            }
        }
        Ok(())
    }

    /// When everything has arrived, one more refresh leaves the one live session, or nothing.
    fn settle(&mut self) -> Result<(), String> {
        while !self.messages.is_empty() {
            self.step(&Event::Answer { request: 0, fault: false })?;
            self.step(&Event::Deliver { response: 0 })?;
        }
        // One request ends at most `MAX` sessions.
        for _ in 0..=self.known.len() / MAX {
            self.step(&Event::Send(Kind::Refresh))?;
            self.step(&Event::Answer { request: 0, fault: false })?;
            self.step(&Event::Deliver { response: 0 })?;
        }
        let tokens =
            self.cookies.values().filter(|value| UnverifiedRefreshToken::read(value).is_some());
        let live =
            self.known.iter().filter(|number| self.server.borrow().is_live(**number)).count();
        if tokens.count() != live || live > 1 {
            return Err(format!("{live} live sessions, and the cookies {:?}", self.cookies.keys()));
        }
        Ok(())
    }
}

fn pick(positions: &[usize], number: usize) -> Option<usize> {
    positions.get(number % positions.len().max(1)).copied()
}

/// The name and the value of a `Set-Cookie`.
fn cookie_value(cookie: &str) -> (&str, &str) {
    cookie.split_once(';').and_then(|(pair, _)| pair.split_once('=')).expect("a cookie")
}

/// Whether a token is that of another deployment.
fn is_foreign(text: &str) -> bool {
    let read = UnverifiedRefreshToken::read(text).expect("a token");
    (OTHER_DEPLOYMENT..=u8::MAX).any(|number| session(number) == read.session_id)
}

/// Cookies of other applications: tokens of another deployment, known troublemakers, and any bytes.
fn foreign() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let byte = any::<u8>().prop_filter("a byte that a cookie can have", |byte| {
        (*byte >= b' ' || *byte == b'\t') && *byte != 0x7f && *byte != b';'
    });
    let known =
        ["__Host-refresh-theme=J\u{fc}rgen", "__Host-refresh-=rt1_x", "=", "flag", "a=\"", ""];
    let cookie = prop_oneof![
        (OTHER_DEPLOYMENT..=u8::MAX, 0..9_u32)
            .prop_map(|(number, generation)| cookie(number, generation).into_bytes()),
        prop::sample::select(known.to_vec()).prop_map(|cookie| cookie.as_bytes().to_vec()),
        vec(byte, 0..40),
    ];
    vec(cookie, 0..12)
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let kind = prop_oneof![Just(Kind::SignIn), Just(Kind::Refresh), Just(Kind::LogOut)];
    let event = prop_oneof![
        4 => kind.prop_map(Event::Send),
        4 => (any::<usize>(), prop::bool::weighted(0.1))
            .prop_map(|(request, fault)| Event::Answer { request, fault }),
        4 => any::<usize>().prop_map(|response| Event::Deliver { response }),
        1 => any::<usize>().prop_map(|message| Event::Lose { message }),
        1 => any::<usize>().prop_map(|session| Event::EndElsewhere { session }),
    ];
    vec(event, 0..40)
}

fn run(mutation: Option<Mutation>, foreign: &[Vec<u8>], events: &[Event]) -> Result<(), String> {
    let mut world = World::new(mutation, foreign.to_vec());
    for event in events {
        world.step(event)?;
    }
    world.settle()
}

proptest! {
    #![proptest_config(Config::with_cases(2_000))]

    #[test]
    fn no_late_or_lost_response_costs_a_browser_its_session_or_brings_one_back(
        foreign in foreign(), events in events(),
    ) {
        prop_assert_eq!(run(None, &foreign, &events), Ok(()));
    }
}

#[test]
fn a_browser_that_signs_in_many_times_at_once_has_one_session_after_some_refreshes() {
    for sign_ins in [MAX, 2 * MAX + 1, 4 * MAX] {
        assert_eq!(run(None, &[], &vec![Event::Send(Kind::SignIn); sign_ins]), Ok(()));
    }
}

#[test]
fn every_mistake_is_found() {
    for mutation in Mutation::ALL {
        let config = Config { cases: 4_000, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(config.rng_algorithm);
        let found = TestRunner::new_with_rng(config, rng)
            .run(&(foreign(), events()), |(foreign, events)| {
                run(Some(mutation), &foreign, &events).map_err(TestCaseError::fail)
            });
        match found {
            Err(TestError::Fail(reason, (foreign, events))) => {
                println!("{mutation:?}: {reason} after {events:?} beside {foreign:?}");
            }
            other => panic!("{mutation:?} was not found: {other:?}"),
        }
    }
}
