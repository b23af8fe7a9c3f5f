//! Step-ups: requests that are judged and written later, twice or never, while the session is
//! refreshed, ended and cut off, and what access tokens are then good for.

use std::{collections::BTreeSet, fmt::Debug, marker::PhantomData, time::Duration};

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use ratchet_core::{
    access_token::Claims,
    amr::Amr,
    authentication::{Authentication, FRESH, Requirement, SteppedUp},
    custom_claims::CustomClaims,
    ids::{SessionId, UserId},
    refresh_token::RefreshToken,
    rotation::{Rotation, SessionPolicy},
    second_factor::{Enabled, Factor, SealedTotpSecret, Spend},
    secret::TokenSecret,
    session::{LateRecoveries, Origin, REGISTER_SLOTS, RevocationReason, Revoked, Session},
    time::{UnixMillis, UnixSeconds},
    user::{SessionsCut, User, UserStatus},
};

use super::{holds, is_found};

const START: u64 = 1_780_000_000;
const LIFE: u64 = 3_000;
const POLICY: SessionPolicy = SessionPolicy {
    idle: Duration::from_secs(LIFE),
    absolute: Duration::from_secs(LIFE),
    retry_window: Duration::from_secs(60),
    late_recoveries: 0,
};

fn millis(now: u64) -> UnixMillis {
    UnixMillis::new((START + now) * 1_000)
}

/// A step-up that was judged right, at this time, and is written later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Judged {
    at: u64,
    password: bool,
    /// The time step of its code.
    code: Option<u64>,
}

impl Judged {
    fn amr(&self) -> Amr {
        match (self.password, self.code) {
            (true, None) => Amr::PASSWORD,
            (false, _) => Amr::CODE,
            (true, Some(_)) => Amr::PASSWORD.and(Amr::CODE),
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A request reads and judges. It writes later, or never.
    Judge(Judged),
    /// A judged request writes, perhaps again.
    Write(usize),
    Refresh,
    /// The account is to be changed with this access token, and without a password.
    Change(usize),
    LogOut,
    LogOutEverywhere,
    Wait(u64),
}

/// What was really proved when an access token was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Issued {
    at: u64,
    amr: Amr,
    by_step_up: bool,
}

/// What has to come out.
#[derive(Debug, Clone)]
struct Expected {
    now: u64,
    has_ended: bool,
    is_cut: bool,
    used: BTreeSet<u64>,
    newest: u64,
    latest: Issued,
    judged: Vec<Judged>,
    tokens: Vec<Issued>,
    /// Whether the last step had to take effect.
    took_effect: bool,
}

impl Expected {
    fn lives_at(&self, at: u64) -> bool {
        !self.has_ended && at < LIFE
    }
}

impl ReferenceStateMachine for Expected {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        // A sign-in with password and code.
        let latest = Issued { at: 0, amr: Amr::PASSWORD.and(Amr::CODE), by_step_up: false };
        Just(Self {
            now: 0,
            has_ended: false,
            is_cut: false,
            used: BTreeSet::new(),
            newest: 0,
            latest,
            judged: Vec::new(),
            tokens: vec![latest],
            took_effect: false,
        })
        .boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let now = state.now;
        let code = prop_oneof![
            1 => Just(None),
            3 => (0..3_u64).prop_map(move |skew| Some((now / 30 + skew).max(1))),
        ];
        let judge = (any::<bool>(), code).prop_map(move |(password, code)| {
            Step::Judge(Judged { at: now, password: password || code.is_none(), code })
        });
        let wait = prop_oneof![4 => 1..40_u64, 2 => 250..310_u64, 1 => 900..1_100_u64];
        let mut steps = vec![
            (4, judge.boxed()),
            (3, wait.prop_map(Step::Wait).boxed()),
            (4, Just(Step::Refresh).boxed()),
            (1, Just(Step::LogOut).boxed()),
            (1, Just(Step::LogOutEverywhere).boxed()),
            (6, (0..state.tokens.len()).prop_map(Step::Change).boxed()),
        ];
        if !state.judged.is_empty() {
            steps.push((8, (0..state.judged.len()).prop_map(Step::Write).boxed()));
        }
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn preconditions(state: &Self, step: &Step) -> bool {
        match step {
            Step::Judge(judged) => judged.at == state.now,
            Step::Write(place) => *place < state.judged.len(),
            Step::Change(place) => *place < state.tokens.len(),
            Step::Refresh | Step::LogOut | Step::LogOutEverywhere | Step::Wait(_) => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.took_effect = false;
        match *step {
            Step::Wait(time) => state.now += time,
            Step::Judge(judged) => state.judged.push(judged),
            Step::Write(place) => {
                let judged = state.judged[place];
                let is_new = judged.code.is_none_or(|step| step > state.newest);
                state.took_effect = state.lives_at(judged.at) && is_new;
                if state.took_effect {
                    state.newest = judged.code.unwrap_or(state.newest);
                    state.used.extend(judged.code);
                    state.latest = Issued { at: judged.at, amr: judged.amr(), by_step_up: true };
                    state.tokens.push(state.latest);
                }
            }
            Step::Refresh => {
                state.took_effect = state.lives_at(state.now) && !state.is_cut;
                if state.took_effect {
                    state.tokens.push(Issued { by_step_up: false, ..state.latest });
                }
                // A refresh ends a session that is cut off.
                state.has_ended |= state.is_cut && state.lives_at(state.now);
            }
            Step::Change(place) => {
                let token = state.tokens[place];
                state.took_effect = state.lives_at(state.now)
                    && !state.is_cut
                    && token.by_step_up
                    && token.amr.has(Amr::CODE)
                    && state.now - token.at <= FRESH.as_secs();
            }
            Step::LogOut => state.has_ended = true,
            Step::LogOutEverywhere => state.is_cut = true,
        }
        state
    }
}

/// The decisions, as the store and the routes make them.
trait Rules: Debug + 'static {
    fn step_up(session: &Session, authentication: Authentication) -> Option<Session> {
        session.step_up(authentication)
    }

    fn rotated(session: &Session, rotation: &Rotation) -> Session {
        session.rotated(rotation)
    }

    /// Whether a code is used up although its session's condition fails.
    fn spends_apart() -> bool {
        false
    }

    /// Whether a refreshed token says that it answers a step-up.
    fn refresh_is_step_up(_: &Session) -> bool {
        false
    }

    fn may_change(claims: &Claims, now: UnixSeconds) -> bool {
        Requirement::FRESH_SECOND_FACTOR.check_step_up(claims, now).is_ok()
    }
}

/// Both tables, and the tokens that were answered.
#[derive(Debug)]
struct System {
    user: User,
    session: Session,
    factor: Factor,
    tokens: Vec<Claims>,
    judged: Vec<Judged>,
}

impl System {
    fn new() -> Self {
        let session = new_session();
        let tokens = vec![claims(&session, session.authentication(), false)];
        Self { user: new_user(), session, factor: new_factor(), tokens, judged: Vec::new() }
    }

    /// The transaction of a step-up, and its answer.
    fn write<R: Rules>(&mut self, judged: Judged) -> SteppedUp {
        let authentication = Authentication { at: millis(judged.at), amr: judged.amr() };
        let spent = match judged.code {
            None => Some(self.factor.clone()),
            Some(step) => self.factor.spend(&sealed(), &Spend::Step(step)),
        };
        let noted = R::step_up(&self.session, authentication);
        let unmet = [spent.is_none(), noted.is_none()];
        if (unmet == [false, false] || R::spends_apart())
            && let Some(spent) = spent
        {
            self.factor = spent;
        }
        if unmet != [false, false] {
            return SteppedUp::of(Some(unmet));
        }
        self.session = noted.unwrap();
        self.tokens.push(claims(&self.session, authentication, true));
        SteppedUp::of(None)
    }

    fn refresh<R: Rules>(&mut self, now: u64) -> bool {
        if self.session.ended(millis(now)).is_some() {
            return false;
        }
        let token = RefreshToken {
            user_id: self.session.user_id,
            session_id: self.session.session_id,
            generation: self.session.generation,
            secret: TokenSecret::new([1; 32]),
        };
        let next = TokenSecret::new([1; 32]);
        let origin = self.session.origin.clone();
        let rotation =
            Rotation::prepare(&token, &next, [7; 12], millis(now), &POLICY, origin).unwrap();
        self.session = R::rotated(&self.session, &rotation);
        if !self.user.allows(&self.session) {
            self.revoke(now);
            return false;
        }
        let step_up = R::refresh_is_step_up(&self.session);
        self.tokens.push(claims(&self.session, self.session.authentication(), step_up));
        true
    }

    fn revoke(&mut self, now: u64) {
        let reason = RevocationReason::LoggedOut;
        self.session.revoked = self.session.revoked.or(Some(Revoked { at: millis(now), reason }));
    }
}

struct Machine<R>(PhantomData<R>);

impl<R: Rules> StateMachineTest for Machine<R> {
    type SystemUnderTest = System;
    type Reference = Expected;

    fn init_test(_: &Expected) -> System {
        System::new()
    }

    fn apply(mut system: System, expected: &Expected, step: Step) -> System {
        let now = expected.now;
        let took_effect = match step {
            Step::Wait(_) => false,
            Step::Judge(judged) => {
                system.judged.push(judged);
                false
            }
            Step::Write(place) => {
                let judged = system.judged[place];
                let written = system.write::<R>(judged);
                let has_ended = !expected.lives_at(judged.at);
                assert_eq!(written == SteppedUp::SessionEnded, has_ended, "{judged:?}");
                written == SteppedUp::Written
            }
            Step::Refresh => system.refresh::<R>(now),
            Step::Change(place) => {
                let lives = system.session.ended(millis(now)).is_none()
                    && system.user.allows(&system.session);
                lives && R::may_change(&system.tokens[place], millis(now).seconds())
            }
            Step::LogOut => {
                system.revoke(now);
                false
            }
            Step::LogOutEverywhere => {
                system.user.cut = Some(SessionsCut { valid_after: millis(now), spared: None });
                false
            }
        };
        assert_eq!(took_effect, expected.took_effect, "{step:?}");
        system
    }

    fn check_invariants(system: &System, expected: &Expected) {
        assert_eq!(system.tokens.len(), expected.tokens.len());
        for (claims, issued) in system.tokens.iter().zip(&expected.tokens) {
            let names: Vec<_> = issued.amr.names().collect();
            assert_eq!(claims.amr, names, "only what was proved then");
            assert_eq!(claims.auth_time, millis(issued.at).seconds());
        }
        let newest = system.factor.enabled.as_ref().map(|factor| factor.last_step);
        assert_eq!(newest, Some(expected.newest), "no code is used up for nothing");
        assert_eq!(system.session.revoked.is_some(), expected.has_ended, "dead stays dead");
        let fresh = new_session();
        assert_eq!(system.session.cut_seen, fresh.cut_seen);
        assert_eq!(system.session.auth_time, fresh.auth_time);
        assert_eq!(system.session.absolute_expires_at, fresh.absolute_expires_at);
    }
}

fn sealed() -> SealedTotpSecret {
    SealedTotpSecret { kid: "a".to_owned(), sealed: vec![1; 48] }
}

fn new_factor() -> Factor {
    let enabled =
        Enabled { secret: sealed(), last_step: 0, recovery: Vec::new(), since: millis(0) };
    Factor { enabled: Some(enabled), pending: None }
}

fn new_user() -> User {
    User {
        id: UserId::from_bytes([1; 16]),
        name: "ada".to_owned(),
        status: UserStatus::Active,
        email_confirmed: true,
        second_factor: true,
        has_passkeys: false,
        roles: Vec::new(),
        claims: CustomClaims::default(),
        cut: None,
    }
}

fn new_session() -> Session {
    let session_id = SessionId::generate(millis(0), &[2; 10]);
    Session {
        user_id: UserId::from_bytes([1; 16]),
        session_id,
        generation: 0,
        token_hash: TokenSecret::new([1; 32]).hash(),
        superseded: [None; REGISTER_SLOTS],
        recovered: LateRecoveries::default(),
        jkt: None,
        amr: Amr::PASSWORD.and(Amr::CODE),
        stepped_up: None,
        auth_time: millis(0),
        cut_seen: UnixMillis::new(0),
        absolute_expires_at: POLICY.absolute_expires_at(session_id),
        expires_at: POLICY.expires_at(session_id, millis(0)),
        origin: Origin { network: String::new(), user_agent: String::new() },
        source_ip: String::new(),
        device: None,
        revoked: None,
    }
}

fn claims(session: &Session, authentication: Authentication, step_up: bool) -> Claims {
    let Authentication { at, amr } = authentication;
    // A later step-up must not change what this one's answer says.
    let (at, amr) = match session.stepped_up {
        Some(noted) if step_up => (noted.at, noted.amr),
        _ => (at, amr),
    };
    Claims {
        iss: "https://auth.example.com".to_owned(),
        sub: session.user_id,
        aud: "ratchet".to_owned(),
        exp: at.seconds().plus(FRESH),
        iat: at.seconds(),
        nbf: None,
        jti: "one".to_owned(),
        client_id: "first-party".to_owned(),
        sid: session.session_id,
        auth_time: at.seconds(),
        amr: amr.names().map(str::to_owned).collect(),
        step_up,
        name: "ada".to_owned(),
        roles: Vec::new(),
        cnf: None,
        custom: CustomClaims::default(),
    }
}

#[derive(Debug)]
struct Production;
impl Rules for Production {}

#[test]
fn a_step_up_says_what_was_proved_then_and_changes_no_sessions_end() {
    holds::<Machine<Production>>();
}

#[derive(Debug)]
struct AddsEarlierMethods;
impl Rules for AddsEarlierMethods {
    fn step_up(session: &Session, authentication: Authentication) -> Option<Session> {
        let amr = authentication.amr.and(session.authentication().amr);
        session.step_up(Authentication { amr, ..authentication })
    }
}

#[derive(Debug)]
struct CountsAsASignIn;
impl Rules for CountsAsASignIn {
    fn step_up(session: &Session, authentication: Authentication) -> Option<Session> {
        let stepped_up = session.step_up(authentication)?;
        Some(Session { cut_seen: authentication.at, ..stepped_up })
    }
}

#[derive(Debug)]
struct MovesTheTimeOfTheSignIn;
impl Rules for MovesTheTimeOfTheSignIn {
    fn step_up(session: &Session, authentication: Authentication) -> Option<Session> {
        let stepped_up = session.step_up(authentication)?;
        Some(Session { auth_time: authentication.at, ..stepped_up })
    }
}

#[derive(Debug)]
struct RevivesSessions;
impl Rules for RevivesSessions {
    fn step_up(session: &Session, authentication: Authentication) -> Option<Session> {
        Session { revoked: None, ..session.clone() }.step_up(authentication)
    }
}

#[derive(Debug)]
struct WritesToEndedSessions;
impl Rules for WritesToEndedSessions {
    fn step_up(session: &Session, authentication: Authentication) -> Option<Session> {
        Some(Session { stepped_up: Some(authentication), ..session.clone() })
    }
}

#[derive(Debug)]
struct RotationsForget;
impl Rules for RotationsForget {
    fn rotated(session: &Session, rotation: &Rotation) -> Session {
        Session { stepped_up: None, ..session.rotated(rotation) }
    }
}

#[derive(Debug)]
struct UsesCodesUpApart;
impl Rules for UsesCodesUpApart {
    fn spends_apart() -> bool {
        true
    }
}

#[derive(Debug)]
struct TakesRefreshedTokens;
impl Rules for TakesRefreshedTokens {
    fn refresh_is_step_up(session: &Session) -> bool {
        session.stepped_up.is_some()
    }
}

#[derive(Debug)]
struct TakesEveryFreshToken;
impl Rules for TakesEveryFreshToken {
    fn may_change(claims: &Claims, now: UnixSeconds) -> bool {
        Requirement::FRESH_SECOND_FACTOR.check(claims, now).is_ok()
    }
}

#[derive(Debug)]
struct ForgetsTheAge;
impl Rules for ForgetsTheAge {
    fn may_change(claims: &Claims, now: UnixSeconds) -> bool {
        Requirement::SECOND_FACTOR.check_step_up(claims, now).is_ok()
    }
}

#[derive(Debug)]
struct IsASecondLate;
impl Rules for IsASecondLate {
    fn may_change(claims: &Claims, now: UnixSeconds) -> bool {
        Requirement::FRESH_SECOND_FACTOR
            .max_age(FRESH + Duration::from_secs(1))
            .check_step_up(claims, now)
            .is_ok()
    }
}

#[derive(Debug)]
struct TakesAPassword;
impl Rules for TakesAPassword {
    fn may_change(claims: &Claims, now: UnixSeconds) -> bool {
        Requirement::default().max_age(FRESH).check_step_up(claims, now).is_ok()
    }
}

#[test]
fn mistakes_with_step_ups_are_found() {
    is_found::<Machine<AddsEarlierMethods>>();
    is_found::<Machine<CountsAsASignIn>>();
    is_found::<Machine<MovesTheTimeOfTheSignIn>>();
    is_found::<Machine<RevivesSessions>>();
    is_found::<Machine<WritesToEndedSessions>>();
    is_found::<Machine<RotationsForget>>();
    is_found::<Machine<UsesCodesUpApart>>();
    is_found::<Machine<TakesRefreshedTokens>>();
    is_found::<Machine<TakesEveryFreshToken>>();
    is_found::<Machine<ForgetsTheAge>>();
    is_found::<Machine<IsASecondLate>>();
    is_found::<Machine<TakesAPassword>>();
}
