//! What the model is made to get wrong, so that it can show that it would notice.
//!
//! A mutation changes the input of the production functions or the use of their result.
//! None of them has a decision table of its own.

use std::time::Duration;

use ratchet_core::{
    rotation::{Decision, Presented, SessionPolicy, decide},
    session::Session,
    time::UnixMillis,
};

/// One deliberate fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A superseded token stays recent forever.
    AlwaysRecent,
    /// No superseded token is recent.
    NeverRecent,
    /// The write asks neither for the generation nor for the hash.
    HashNotInCondition,
    /// A fifth rotation within one window is written as any other.
    NoLimitPerWindow,
    /// The item keeps three superseded generations.
    RegisterOneSlotShort,
    /// The write does not ask whether the session has been revoked.
    RevocationNotInCondition,
    /// An old token is refused, and that is all.
    TheftDoesNotRevoke,
    /// A recent token is answered with its own successor, live or not.
    WalkStopsAtFirstSeal,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AlwaysRecent,
        Self::NeverRecent,
        Self::HashNotInCondition,
        Self::NoLimitPerWindow,
        Self::RegisterOneSlotShort,
        Self::RevocationNotInCondition,
        Self::TheftDoesNotRevoke,
        Self::WalkStopsAtFirstSeal,
    ];

    /// The decision table under this mutation.
    pub fn decide(
        mutation: Option<Self>,
        presented: &Presented,
        session: &Session,
        now: UnixMillis,
        policy: &SessionPolicy,
    ) -> Decision {
        let window = policy.retry_window;
        let decided = |presented: &Presented, session: &Session, retry_window| {
            let policy = SessionPolicy { retry_window, ..*policy };
            decide(presented, &session.origin.user_agent, Some(session), now, &policy)
        };
        let real = decided(presented, session, window);
        match mutation {
            Some(Self::AlwaysRecent) => decided(presented, session, window * 1_000),
            Some(Self::NeverRecent) => decided(presented, session, Duration::ZERO),
            Some(Self::HashNotInCondition) => {
                let live = Presented {
                    generation: session.generation,
                    hash: session.token_hash,
                    key: None,
                };
                let condition = decided(&live, session, window);
                if condition == Decision::Rotate { condition } else { real }
            }
            Some(Self::NoLimitPerWindow) if real == Decision::AnswerLive => Decision::Rotate,
            Some(Self::RevocationNotInCondition) => {
                let condition =
                    decided(presented, &Session { revoked: None, ..session.clone() }, window);
                if condition == Decision::Rotate { condition } else { real }
            }
            _ => real,
        }
    }

    /// What the table keeps of a session under this mutation.
    pub fn keep(mutation: Option<Self>, session: Session) -> Session {
        if mutation == Some(Self::RegisterOneSlotShort) {
            let [first, second, third, _] = session.superseded;
            Session { superseded: [first, second, third, None], ..session }
        } else {
            session
        }
    }
}
