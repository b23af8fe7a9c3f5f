//! Clients that introspect tokens, while clients are made and revoked and sessions end. Each read of
//! an introspection is a step of its own, so everything else may happen in between.

use std::{fmt::Debug, marker::PhantomData};

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use ratchet_core::{
    amr::Amr,
    client::{Client, ClientName, Credential},
    custom_claims::CustomClaims,
    ids::{ClientId, SessionId, UserId},
    introspection::{Introspection, of_refresh_token},
    key_ring::TagKey,
    refresh_token::RefreshToken,
    rotation::SessionPolicy,
    secret::TokenSecret,
    session::{LateRecoveries, Origin, REGISTER_SLOTS, RevocationReason, Revoked, Session},
    time::UnixMillis,
    user::{SessionsCut, User, UserStatus},
};
use std::time::Duration;

use super::{holds, is_found};

const NOW: UnixMillis = UnixMillis::new(1_780_000_000_000);
const POLICY: SessionPolicy = SessionPolicy {
    idle: Duration::from_hours(24),
    absolute: Duration::from_hours(240),
    retry_window: Duration::from_secs(60),
    late_recoveries: 2,
};

/// What happens next. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    /// An operator makes a client.
    Create,
    /// An operator revokes a client.
    Revoke(usize),
    /// The session is ended by itself.
    LogOut,
    /// All sessions of the user are cut. Their items are revoked later, or never.
    Cut,
    /// The user signs in again.
    SignIn,
    /// A client begins to introspect the session's token, perhaps with another one's id or secret.
    Begin { id: usize, secret: usize },
    /// The next read of an introspection, or its answer.
    Proceed(usize),
}

struct Steps;

impl ReferenceStateMachine for Steps {
    type State = ();
    type Transition = Step;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Step> {
        prop_oneof![
            2 => Just(Step::Create),
            1 => any::<usize>().prop_map(Step::Revoke),
            1 => Just(Step::LogOut),
            1 => Just(Step::Cut),
            1 => Just(Step::SignIn),
            3 => any::<usize>().prop_map(|own| Step::Begin { id: own, secret: own }),
            1 => (any::<usize>(), any::<usize>())
                .prop_map(|(id, secret)| Step::Begin { id, secret }),
            8 => any::<usize>().prop_map(Step::Proceed),
        ]
        .boxed()
    }

    fn apply((): (), _: &Step) {}
}

/// The rules of the service. Each deliberate mistake replaces one.
trait Rules: Debug + 'static {
    fn parse(id: &str, secret: &str) -> Option<Credential> {
        Credential::parse(id, secret, [&key()], NOW.seconds()).ok()
    }

    fn is_authentic(client: Option<&Client>, credential: &Credential) -> bool {
        client.is_some_and(|client| client.accepts(credential))
    }

    fn session(session: &Session) -> Session {
        session.clone()
    }

    fn user(user: &User) -> User {
        user.clone()
    }

    /// Whether each introspection reads the client's item, rather than using a cached one.
    const READS_THE_CLIENT: bool = true;
}

fn key() -> TagKey {
    TagKey::new(&[7; 32])
}

/// A client as its operator knows it.
#[derive(Debug)]
struct Made {
    id: String,
    secret: String,
    /// When it was revoked, in steps.
    revoked: Option<usize>,
}

/// An introspection under way.
#[derive(Debug)]
struct Request {
    begun: usize,
    /// Whose id and whose secret it presents.
    presented: (usize, usize),
    credential: Credential,
    token: RefreshToken,
    /// Once it is authenticated: what it has read.
    session: Option<Session>,
    is_authentic: bool,
}

#[derive(Debug)]
struct World {
    step: usize,
    made: Vec<Made>,
    table: Vec<Client>,
    /// The clients that a service with a cache has seen.
    remembered: Vec<Client>,
    user: User,
    sessions: Vec<(Session, Option<usize>)>,
    requests: Vec<Request>,
    cuts: u64,
}

struct Machine<R>(PhantomData<R>);

fn session(number: u8, cut_seen: UnixMillis) -> Session {
    let session_id = SessionId::generate(NOW, &[number; 10]);
    Session {
        user_id: UserId::from_bytes([1; 16]),
        session_id,
        generation: 0,
        token_hash: TokenSecret::new([number; 32]).hash(),
        superseded: [None; REGISTER_SLOTS],
        recovered: LateRecoveries::default(),
        jkt: None,
        amr: Amr::PASSWORD,
        stepped_up: None,
        auth_time: NOW,
        cut_seen,
        absolute_expires_at: POLICY.absolute_expires_at(session_id),
        expires_at: POLICY.expires_at(session_id, NOW),
        origin: Origin { network: String::new(), user_agent: String::new() },
        source_ip: String::new(),
        device: None,
        revoked: None,
    }
}

impl World {
    fn sign_in(&mut self) {
        let number = u8::try_from(self.sessions.len() + 1).unwrap();
        self.sessions.push((session(number, self.user.cut_seen()), None));
    }

    /// The token of the latest session, which its user has.
    fn token(&self) -> RefreshToken {
        let (Session { user_id, session_id, .. }, _) = &self.sessions[self.sessions.len() - 1];
        let number = u8::try_from(self.sessions.len()).unwrap();
        let secret = TokenSecret::new([number; 32]);
        RefreshToken { user_id: *user_id, session_id: *session_id, generation: 0, secret }
    }

    fn create(&mut self) {
        let number = u8::try_from(self.made.len()).unwrap();
        let id = ClientId::generate(NOW, &[number; 10]);
        let credential = Credential::new(id, TokenSecret::new([number; 32]));
        let secret = credential.encode(&key()).expose().to_owned();
        self.made.push(Made { id: id.to_string(), secret, revoked: None });
        self.table.push(credential.client(ClientName::parse("one").unwrap()));
    }

    fn revoke(&mut self, which: usize) {
        let made = &mut self.made[which];
        made.revoked.get_or_insert(self.step);
        self.table.retain(|client| client.id.to_string() != made.id);
    }

    fn end_latest(&mut self) {
        if let Some((_, ended)) = self.sessions.last_mut() {
            ended.get_or_insert(self.step);
        }
    }
}

impl<R: Rules> Machine<R> {
    fn begin(world: &mut World, id: usize, secret: usize) {
        let (id, secret) = (id % world.made.len(), secret % world.made.len());
        if let Some(credential) = R::parse(&world.made[id].id, &world.made[secret].secret) {
            world.requests.push(Request {
                begun: world.step,
                presented: (id, secret),
                credential,
                token: world.token(),
                session: None,
                is_authentic: false,
            });
        }
    }

    fn proceed(world: &mut World, which: usize) {
        let which = which % world.requests.len();
        let mut request = world.requests.swap_remove(which);
        if !request.is_authentic {
            let table = if R::READS_THE_CLIENT { &world.table } else { &world.remembered };
            let id = request.credential.client_id;
            let of_id = |client: &&Client| client.id == id;
            let found = table.iter().find(of_id).or_else(|| world.table.iter().find(of_id));
            let found = found.cloned();
            if R::is_authentic(found.as_ref(), &request.credential) {
                world.remembered.extend(found);
                request.is_authentic = true;
                world.requests.push(request);
            }
        } else if let Some(session) = &request.session {
            let user = R::user(&world.user);
            let said = of_refresh_token(&request.token, Some(session), Some(&user), &POLICY, NOW);
            Self::check(world, &request, &said);
        } else {
            let found = world
                .sessions
                .iter()
                .find(|(session, _)| session.session_id == request.token.session_id);
            request.session = found.map(|(session, _)| R::session(session));
            world.requests.push(request);
        }
    }

    fn check(world: &World, request: &Request, said: &Introspection) {
        let (id, secret) = request.presented;
        assert_eq!(id, secret, "a client was answered with another one's secret: {world:?}");
        let was_before = |ended: Option<usize>| ended.is_some_and(|ended| ended < request.begun);
        assert!(!was_before(world.made[id].revoked), "a revoked client was answered: {world:?}");
        let token = &request.token;
        let of_token =
            world.sessions.iter().find(|(session, _)| session.session_id == token.session_id);
        let (_, ended) = of_token.unwrap();
        let is_active = *said != Introspection::Inactive;
        assert!(!(is_active && was_before(*ended)), "an ended session is active: {world:?}");
        assert!(is_active || ended.is_some(), "a live session is not active: {world:?}");
    }
}

impl<R: Rules> StateMachineTest for Machine<R> {
    type SystemUnderTest = World;
    type Reference = Steps;

    fn init_test((): &()) -> World {
        let user = User {
            id: UserId::from_bytes([1; 16]),
            name: "ada".to_owned(),
            status: UserStatus::Active,
            email_confirmed: true,
            second_factor: false,
            has_passkeys: false,
            roles: Vec::new(),
            claims: CustomClaims::default(),
            cut: None,
        };
        let mut world = World {
            step: 0,
            made: Vec::new(),
            table: Vec::new(),
            remembered: Vec::new(),
            user,
            sessions: Vec::new(),
            requests: Vec::new(),
            cuts: 0,
        };
        world.sign_in();
        world.create();
        world
    }

    fn apply(mut world: World, (): &(), step: Step) -> World {
        world.step += 1;
        match step {
            Step::Create => world.create(),
            Step::Revoke(which) => world.revoke(which % world.made.len()),
            Step::LogOut => {
                if let Some((session, _)) = world.sessions.last_mut() {
                    let reason = RevocationReason::LoggedOut;
                    session.revoked.get_or_insert(Revoked { at: NOW, reason });
                }
                world.end_latest();
            }
            Step::Cut => {
                world.cuts += 1;
                let valid_after = UnixMillis::new(world.cuts);
                world.user.cut = Some(SessionsCut { valid_after, spared: None });
                world.end_latest();
            }
            Step::SignIn => {
                if world.sessions.last().is_some_and(|(_, ended)| ended.is_some()) {
                    world.sign_in();
                }
            }
            Step::Begin { id, secret } => Self::begin(&mut world, id, secret),
            Step::Proceed(which) => {
                if !world.requests.is_empty() {
                    Self::proceed(&mut world, which);
                }
            }
        }
        world
    }
}

#[derive(Debug)]
struct Production;
impl Rules for Production {}

#[test]
fn revoked_clients_get_no_answer_and_ended_sessions_are_not_active() {
    holds::<Machine<Production>>();
}

#[derive(Debug)]
struct TagIsEnough;
impl Rules for TagIsEnough {
    fn is_authentic(_: Option<&Client>, _: &Credential) -> bool {
        true
    }
}

#[derive(Debug)]
struct RemembersClients;
impl Rules for RemembersClients {
    const READS_THE_CLIENT: bool = false;
}

/// Reads the secret of whichever client has one, as if the tag did not cover the id, and compares
/// nothing.
#[derive(Debug)]
struct AnySecretWillDo;
impl Rules for AnySecretWillDo {
    fn parse(id: &str, secret: &str) -> Option<Credential> {
        let number = (0..=u8::MAX).find(|number| {
            let id = ClientId::generate(NOW, &[*number; 10]);
            Credential::new(id, TokenSecret::new([*number; 32])).encode(&key()).expose() == secret
        })?;
        Some(Credential::new(id.parse().ok()?, TokenSecret::new([number; 32])))
    }

    fn is_authentic(client: Option<&Client>, _: &Credential) -> bool {
        client.is_some()
    }
}

#[derive(Debug)]
struct SessionIsNotChecked;
impl Rules for SessionIsNotChecked {
    fn session(session: &Session) -> Session {
        Session { revoked: None, ..session.clone() }
    }
}

#[derive(Debug)]
struct CutIsNotChecked;
impl Rules for CutIsNotChecked {
    fn user(user: &User) -> User {
        User { cut: None, ..user.clone() }
    }
}

#[test]
fn mistakes_with_clients_are_found() {
    is_found::<Machine<TagIsEnough>>();
    is_found::<Machine<RemembersClients>>();
    is_found::<Machine<AnySecretWillDo>>();
    is_found::<Machine<SessionIsNotChecked>>();
    is_found::<Machine<CutIsNotChecked>>();
}
