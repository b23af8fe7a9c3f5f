//! Sessions that a sign-in starts, however it proved who the user is.

use std::{net::IpAddr, time::Duration};

use ratchet_core::{
    amr::Amr,
    config::{Config, Dpop},
    dpop::{Possession, ProofError, Thumbprint},
    entropy::random,
    error_chain::ErrorChain,
    ids::{SessionId, UserId},
    key_ring::KeyRing,
    refresh_token::RefreshToken,
    rotation::SessionPolicy,
    second_factor::LIFE,
    secret::TokenSecret,
    session::{LateRecoveries, Origin, REGISTER_SLOTS, Session},
    time::{UnixMillis, UnixSeconds},
    user::{User, UserStatus},
};
use ratchet_store::{Sessions, Stores};

use crate::{
    Fault, clock,
    end_sessions::{EndSessions, Limits},
    events::{SecurityEvent, record},
    tokens::{TokenIssuer, TokenPair},
};

/// Starts sessions.
#[derive(Debug, Clone)]
pub(crate) struct Starter {
    pub(crate) sessions: Sessions,
    pub(crate) end_sessions: EndSessions,
    pub(crate) issuer: TokenIssuer,
    policy: Policy,
}

#[derive(Debug, Clone, Copy)]
struct Policy {
    session: SessionPolicy,
    max_sessions: usize,
    published_for: Option<Duration>,
    require_confirmed_email: bool,
    dpop: Dpop,
}

impl Starter {
    pub(crate) fn new(stores: &Stores<'_>) -> Self {
        let (config, sessions): (&Config, _) = (stores.config(), stores.sessions());
        Self {
            issuer: TokenIssuer::new(config.access_token.clone()),
            end_sessions: EndSessions::new(stores.users(), sessions.clone()),
            sessions,
            policy: Policy {
                session: config.session,
                max_sessions: config.max_sessions,
                published_for: config.published_for(),
                require_confirmed_email: config.require_confirmed_email,
                dpop: config.dpop,
            },
        }
    }

    /// Whether a user has to confirm the address before signing in.
    pub(crate) const fn has_to_confirm(&self, user: &User) -> bool {
        self.policy.require_confirmed_email && !user.email_confirmed
    }

    /// Whether a user who proved who they are may sign in.
    pub(crate) fn admits(&self, user: &User) -> bool {
        user.status == UserStatus::Active && !self.has_to_confirm(user)
    }

    /// The key that the new session is bound to, if any.
    ///
    /// # Errors
    /// [`ProofError`] if the proof is wrong, or is required and missing.
    pub(crate) fn key_to_bind(
        &self,
        possession: Possession,
    ) -> Result<Option<Thumbprint>, ProofError> {
        match (self.policy.dpop, possession) {
            (Dpop::Disabled, _) | (Dpop::Optional, Possession::Unclaimed) => Ok(None),
            (Dpop::Required, Possession::Unclaimed) => Err(ProofError::Missing),
            (_, Possession::Proved(key)) => Ok(Some(key)),
            (_, Possession::Refused(error)) => Err(error),
        }
    }

    /// Checks possession of the key that a challenge is bound to, if it is.
    ///
    /// # Errors
    /// [`ProofError`].
    pub(crate) fn check_key(
        &self,
        jkt: Option<Thumbprint>,
        possession: Possession,
    ) -> Result<(), ProofError> {
        match (jkt, possession) {
            (None, Possession::Refused(error)) if self.policy.dpop != Dpop::Disabled => Err(error),
            (None, _) => Ok(()),
            (Some(key), Possession::Proved(proved)) if key == proved => Ok(()),
            (Some(_), possession) => Err(possession.refusal()),
        }
    }

    /// Creates a session, makes room for it, and issues its first token pair.
    pub(super) async fn start(
        &self,
        new: NewSession,
        ring: &KeyRing,
        user: &User,
        now: UnixMillis,
    ) -> Result<TokenPair, Fault> {
        let Drawn { session, pair } = self.draw(new, user, ring, now)?;
        self.sessions.create(&session).await?;
        self.make_room(user.id, &session, now).await?;
        Ok(pair)
    }

    /// A new session, not yet written, and its first token pair.
    pub(crate) fn draw(
        &self,
        new: NewSession,
        user: &User,
        ring: &KeyRing,
        now: UnixMillis,
    ) -> Result<Drawn, Fault> {
        // Not when the request arrived, and not when the first of two steps was taken: what the user
        // has done since would look more recent than this session, which would then make room.
        let drawn_at = clock::now();
        let session_id = new.id;
        let token = RefreshToken {
            user_id: user.id,
            session_id,
            generation: 0,
            secret: TokenSecret::new(random()?),
        };
        let session = Session {
            user_id: user.id,
            session_id,
            generation: 0,
            token_hash: token.secret.hash(),
            superseded: [None; REGISTER_SLOTS],
            recovered: LateRecoveries::default(),
            jkt: new.jkt,
            amr: new.amr,
            stepped_up: None,
            auth_time: drawn_at,
            cut_seen: new.cut_seen,
            absolute_expires_at: self.policy.session.absolute_expires_at(session_id),
            expires_at: self.policy.session.expires_at(session_id, now),
            origin: new.origin,
            source_ip: new.source_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            device: new.device_label,
            revoked: None,
        };
        let pair = self.issuer.issue(user, &session, &token, ring, drawn_at)?;
        Ok(Drawn { session, pair })
    }

    /// Ends sessions that are too many, once the new one is written.
    pub(crate) async fn make_room(
        &self,
        user_id: UserId,
        session: &Session,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        // Read after the write: the last of several concurrent sign-ins sees all their sessions.
        let others = self.sessions.list(user_id).await?;
        for (id, error) in &others.unreadable {
            let error = tracing::field::display(ErrorChain(error));
            tracing::error!(error, %user_id, session_id = %id, "a session cannot be read");
        }
        let limits =
            Limits { max: self.policy.max_sessions, published_for: self.policy.published_for };
        self.end_sessions.evict(user_id, others.sessions, session, limits, now).await?;
        record(SecurityEvent::SessionCreated, Some(user_id), Some(session.session_id));
        Ok(())
    }
}

/// What a session remembers of its sign-in.
pub(crate) struct NewSession {
    pub(crate) id: SessionId,
    pub(crate) cut_seen: UnixMillis,
    pub(crate) amr: Amr,
    pub(crate) device_label: Option<String>,
    pub(crate) source_ip: Option<IpAddr>,
    pub(crate) origin: Origin,
    pub(crate) jkt: Option<Thumbprint>,
}

/// A session that is about to be written, with its tokens.
pub(crate) struct Drawn {
    pub(crate) session: Session,
    pub(crate) pair: TokenPair,
}

/// A new session's id.
pub(crate) fn session_id(now: UnixMillis) -> Result<SessionId, Fault> {
    Ok(SessionId::generate(now, &random()?))
}

/// Until when a challenge of `now` has to be stored.
pub(crate) fn kept_until(now: UnixMillis) -> UnixSeconds {
    now.plus(LIFE).seconds().plus(Duration::from_secs(1))
}
