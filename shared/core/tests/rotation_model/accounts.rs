//! One user's items as `ends` sees them, and the production functions applied to them.

use std::time::Duration;

use ratchet_core::{
    amr::Amr,
    custom_claims::CustomClaims,
    ids::{SessionId, UserId},
    refresh_token::RefreshToken,
    rotation::{Decision, Presented, Rotation, SessionPolicy, decide, walk},
    secret::TokenSecret,
    session::{LateRecoveries, Origin, REGISTER_SLOTS, RevocationReason, Revoked, Session},
    time::UnixMillis,
    user::{SessionsCut, User, UserStatus},
};

/// The session that exists from the start.
pub const FIRST: usize = 0;
/// The session that is signed in to meanwhile.
pub const SECOND: usize = 1;

const NOW: UnixMillis = UnixMillis::new(1_780_000_000_000);
const WINDOW: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(1_000_000);
const POLICY: SessionPolicy =
    SessionPolicy { idle: LONG, absolute: LONG, retry_window: WINDOW, late_recoveries: 0 };

/// What is made wrong deliberately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// A session that saw the cut is ended by it too.
    CutComparedWithOrEqual,
    /// A session is ended by cuts that are later than its sign-in began, by two clocks.
    CutComparedByClock,
    /// A cut by a clock that is behind the last one's is not written.
    CutHiddenByClock,
    /// Log-out-everywhere is answered when its cut is written.
    CleanUpLeftOut,
    /// The refresh does not look at the user.
    UserNotRead,
    /// The rotation's write does not ask whether the session has been revoked.
    RevocationNotInCondition,
    /// A new session overwrites an existing one.
    PutOverwrites,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CutComparedWithOrEqual,
        Self::CutComparedByClock,
        Self::CutHiddenByClock,
        Self::CleanUpLeftOut,
        Self::UserNotRead,
        Self::RevocationNotInCondition,
        Self::PutOverwrites,
    ];
}

/// A genuine refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// Of the first or the second session.
    pub session: usize,
    generation: u32,
    secret: u8,
}

impl Token {
    /// The one that the sign-in answered with.
    pub const fn first(session: usize) -> Self {
        Self { session, generation: 0, secret: 0 }
    }

    fn to_refresh_token(self) -> RefreshToken {
        RefreshToken {
            user_id: UserId::from_bytes([1; 16]),
            session_id: session_id(self.session),
            generation: self.generation,
            secret: TokenSecret::new([self.secret; 32]),
        }
    }
}

/// What a rotation's write found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Found {
    /// A session that goes on with this token, if the user may.
    Live { token: Token, session: Box<Session> },
    /// One that does not.
    Refused,
}

/// The production functions.
pub struct Accounts {
    /// What is wrong with them.
    pub mistake: Option<Mistake>,
}

impl Accounts {
    /// The first session, as its sign-in kept it.
    pub fn first() -> Session {
        new_session(FIRST, user(None).cut_seen())
    }

    /// The second one, of a sign-in that read the user with this cut.
    pub fn second(cut: Option<SessionsCut>) -> Session {
        new_session(SECOND, user(cut).cut_seen())
    }

    /// The rotation's write by the request of that number, and the item if it was changed.
    pub fn rotate(
        &self,
        session: Option<&Session>,
        token: Token,
        request: usize,
    ) -> (Option<Session>, Found) {
        let presented = token.to_refresh_token();
        let condition = session.cloned().map(|session| match self.mistake {
            Some(Mistake::RevocationNotInCondition) => Session { revoked: None, ..session },
            _ => session,
        });
        let decision = decide(&Presented::from(&presented), "", condition.as_ref(), NOW, &POLICY);
        match (decision, session) {
            (Decision::Rotate, Some(session)) => {
                // A request draws its secret once, and sends it with every try.
                let secret = u8::try_from(request + 1).unwrap();
                let next = TokenSecret::new([secret; 32]);
                let rotation =
                    Rotation::prepare(&presented, &next, [7; 12], NOW, &POLICY, origin()).unwrap();
                let rotated = session.rotated(&rotation);
                let token = Token { generation: rotated.generation, secret, ..token };
                (Some(rotated.clone()), Found::Live { token, session: Box::new(rotated) })
            }
            (Decision::AnswerLive | Decision::AnswerSuccessor, Some(session)) => {
                let live = walk(&presented, session).unwrap();
                let secret = live.expose()[0];
                let token = Token { generation: session.generation, secret, ..token };
                (None, Found::Live { token, session: Box::new(session.clone()) })
            }
            _ => (None, Found::Refused),
        }
    }

    /// Whether the user with that cut may go on with the session.
    pub fn allows(&self, cut: Option<SessionsCut>, session: &Session) -> bool {
        match self.mistake {
            Some(Mistake::UserNotRead) => true,
            Some(Mistake::CutComparedWithOrEqual | Mistake::CutComparedByClock) => {
                !cut.is_some_and(|cut| self.ends(cut, session))
            }
            _ => user(cut).allows(session),
        }
    }

    fn ends(&self, cut: SessionsCut, session: &Session) -> bool {
        let spared = cut.spared == Some(session.session_id);
        match self.mistake {
            Some(Mistake::CutComparedWithOrEqual) => !spared && session.cut_seen <= cut.valid_after,
            Some(Mistake::CutComparedByClock) => !spared && session.auth_time <= cut.valid_after,
            _ => cut.ends(session),
        }
    }

    /// Whether the clean-up after a cut revokes the session.
    pub fn cleans_up(&self, cut: SessionsCut, session: &Session) -> bool {
        self.mistake != Some(Mistake::CleanUpLeftOut)
            && session.revoked.is_none()
            && self.ends(cut, session)
    }

    /// The cut's conditional write. Returns whether it is written, or was before.
    pub fn cut(&self, to: &mut Option<SessionsCut>, cut: SessionsCut) -> bool {
        let previous = *to;
        let later = previous.is_none_or(|previous| previous.valid_after < cut.valid_after);
        if later {
            *to = Some(cut);
            return true;
        }
        let hidden = self.mistake == Some(Mistake::CutHiddenByClock);
        hidden || previous == Some(cut)
    }

    /// The cut that is tried next.
    pub fn following(cut: SessionsCut, previous: Option<SessionsCut>) -> SessionsCut {
        cut.following(user(previous).cut_seen())
    }

    /// The write of a new session.
    pub fn put(&self, to: &mut Option<Session>, session: &Session) {
        if to.is_none() || self.mistake == Some(Mistake::PutOverwrites) {
            *to = Some(session.clone());
        }
    }

    /// The write that ends a session.
    pub fn revoke(session: &mut Session, reason: RevocationReason) {
        session.revoked = session.revoked.or(Some(Revoked { at: NOW, reason }));
    }

    /// Whether a refresh with the live token would be answered, as far as the session goes.
    pub fn is_live(&self, session: &Session) -> bool {
        session.ended(NOW).is_none() || self.mistake == Some(Mistake::RevocationNotInCondition)
    }
}

/// The log-out-everywhere whose clock says `clock`, which spares the first session or none.
pub fn end_all(clock: u64, spares_first: bool) -> SessionsCut {
    let spared = spares_first.then(|| session_id(FIRST));
    SessionsCut { valid_after: UnixMillis::new(clock), spared }
}

fn user(cut: Option<SessionsCut>) -> User {
    User {
        id: UserId::from_bytes([1; 16]),
        name: String::new(),
        status: UserStatus::Active,
        email_confirmed: true,
        second_factor: false,
        has_passkeys: false,
        roles: Vec::new(),
        claims: CustomClaims::default(),
        cut,
    }
}

fn session_id(session: usize) -> SessionId {
    SessionId::generate(NOW, &[u8::try_from(session).unwrap(); 10])
}

fn new_session(session: usize, cut_seen: UnixMillis) -> Session {
    let token = Token::first(session).to_refresh_token();
    Session {
        user_id: token.user_id,
        session_id: token.session_id,
        generation: 0,
        token_hash: token.secret.hash(),
        superseded: [None; REGISTER_SLOTS],
        recovered: LateRecoveries::default(),
        // Its clock is ahead of those of the cuts.
        jkt: None,
        amr: Amr::PASSWORD,
        stepped_up: None,
        auth_time: NOW,
        cut_seen,
        absolute_expires_at: POLICY.absolute_expires_at(token.session_id),
        expires_at: POLICY.expires_at(token.session_id, NOW),
        origin: origin(),
        source_ip: String::new(),
        device: None,
        revoked: None,
    }
}

fn origin() -> Origin {
    Origin { network: String::new(), user_agent: String::new() }
}
