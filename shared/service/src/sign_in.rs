//! Sign-in: exchanges a user name and a password for a session and its first token pair.

mod admission;
mod password;
mod second_factor;

use std::{net::IpAddr, sync::Arc, time::Duration};

use ratchet_core::{
    amr::Amr,
    config::{Config, Dpop},
    device_token::{DeviceId, DeviceToken},
    dpop::{Possession, ProofError, Thumbprint},
    email::EmailAddress,
    entropy::random,
    error_chain::ErrorChain,
    ids::{SessionId, UserId},
    key_ring::KeyRing,
    password::{HashError, Password},
    refresh_token::RefreshToken,
    rotation::SessionPolicy,
    second_factor::{EncodedChallenge, SignInChallenge, Stage},
    secret::TokenSecret,
    session::{LateRecoveries, Origin, REGISTER_SLOTS, Session},
    time::UnixMillis,
    user::{NameKey, User, UserStatus},
};
use ratchet_store::{Credentials, KeyRingCache, Sessions, Stores, Users};

pub use self::second_factor::{SecondFactorError, SecondFactorRequest};
use self::{
    admission::{Admission, CountedAttempt},
    password::{PasswordCheck, check_password},
};
use crate::{
    Fault, clock,
    end_sessions::{EndSessions, Limits},
    events::{SecurityEvent, record},
    fault::from_faults,
    hashing::Hashing,
    second_factor::SecondFactors,
    throttle::{AttemptError, AttemptLimiter, Throttled},
    tokens::{TokenIssuer, TokenPair},
};

/// Signs users in.
#[derive(Debug, Clone)]
pub struct SignIn {
    key_ring: Arc<KeyRingCache>,
    users: Users,
    sessions: Sessions,
    limiter: AttemptLimiter,
    hashing: Hashing,
    second_factors: SecondFactors,
    issuer: TokenIssuer,
    end_sessions: EndSessions,
    policy: SignInPolicy,
}

#[derive(Debug, Clone, Copy)]
struct SignInPolicy {
    session: SessionPolicy,
    max_sessions: usize,
    published_for: Option<Duration>,
    require_confirmed_email: bool,
    dpop: Dpop,
}

/// What a client signs in with.
///
/// # Security
/// Cannot be printed: people also type passwords into the name field.
#[expect(missing_debug_implementations, reason = "it contains a password and perhaps another one")]
pub struct SignInRequest {
    /// The user name, as typed.
    pub name: String,
    /// The password.
    pub password: Password,
    /// What the user calls the device.
    pub device_label: Option<String>,
    /// The device token of an earlier sign-in.
    pub device_token: Option<String>,
    /// The client's address, if the gateway knows it.
    pub source_ip: Option<IpAddr>,
    /// The client's network and user agent.
    pub origin: Origin,
    /// What the request proves about a key to bind the session to.
    pub possession: Possession,
}

/// Why a sign-in was refused.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown name, wrong password or disabled user.
    ///
    /// # Security
    /// Deliberately one variant, so that clients cannot learn which.
    #[error("unknown user name, wrong password or disabled user")]
    InvalidCredentials,
    /// The password was right, but the user has to confirm the e-mail address first.
    #[error("the e-mail address has not been confirmed")]
    EmailNotConfirmed,
    /// The password was right, but the user has to present, or set up, a second factor.
    #[error("a second factor is required")]
    SecondFactorRequired {
        /// What the user has to do.
        stage: Stage,
        /// What the client completes the sign-in with.
        challenge: EncodedChallenge,
    },
    /// The proof of possession is wrong, or is required and missing. Nothing else was checked.
    #[error(transparent)]
    Unproven(ProofError),
    /// There were too many attempts before.
    #[error(transparent)]
    Throttled(Throttled),
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(SignInError);

impl From<AttemptError> for SignInError {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Throttled(throttled) => Self::Throttled(throttled),
            AttemptError::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// A user whose password proved right.
struct Proven {
    user: User,
    attempt: CountedAttempt,
}

impl SignIn {
    /// Signs in to these stores. Allocates the memory for a password hash.
    ///
    /// # Errors
    /// [`HashError`] if there is not enough memory.
    pub fn new(stores: &Stores<'_>) -> Result<Self, HashError> {
        let config: &Config = stores.config();
        let (users, sessions) = (stores.users(), stores.sessions());
        Ok(Self {
            key_ring: stores.key_ring(),
            limiter: AttemptLimiter::new(stores.attempts(), config.attempts),
            hashing: Hashing::new(config.hash_cost)?,
            second_factors: SecondFactors::new(stores),
            issuer: TokenIssuer::new(config.access_token.clone()),
            end_sessions: EndSessions::new(users.clone(), sessions.clone()),
            policy: SignInPolicy {
                session: config.session,
                max_sessions: config.max_sessions,
                published_for: config.published_for(),
                require_confirmed_email: config.require_confirmed_email,
                dpop: config.dpop,
            },
            users,
            sessions,
        })
    }

    /// Signs a user in.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(&self, request: SignInRequest) -> Result<TokenPair, SignInError> {
        let SignInRequest { name, password, device_label, device_token, .. } = request;
        let SignInRequest { source_ip, origin, possession, .. } = request;
        let now = clock::now();
        let jkt = self.key_to_bind(possession)?;
        // Load everything that the answer needs before writing anything.
        let ring = self.key_ring.current(now).await?;
        let tag_key = ring.tagger(now.seconds()).ok_or(Fault::NoTagKey)?;
        let device = device_token.and_then(|text| {
            DeviceToken::parse(&text, &name, ring.device_tag_keys(), now.seconds())
        });
        let Proven { user, attempt } = self.prove(&name, password, device, source_ip, now).await?;
        let device = renew(device, &user, now)?;
        if let Some(stage) = self.stage_after_password(&user) {
            let id = second_factor::session_id(now)?;
            let challenge =
                SignInChallenge::new(stage, &user, &name, device.device_id, jkt, (id, now));
            let challenge = challenge.labelled(device_label);
            let challenge = second_factor::challenge(&challenge, &ring, now)?;
            let until = second_factor::kept_until(now);
            let (kept, ()) = tokio::join!(
                self.users.keep_challenge(challenge.hash(), until),
                self.limiter.sign_in_succeeded(&attempt.account, &attempt.network)
            );
            kept?;
            return Err(SignInError::SecondFactorRequired { stage, challenge });
        }
        let device_token = device.encode(&name, tag_key);
        let session = NewSession {
            id: second_factor::session_id(now)?,
            auth_time: now,
            cut_seen: user.cut_seen(),
            amr: Amr::PASSWORD,
            device_label,
            source_ip,
            origin,
            jkt,
        };
        let (pair, ()) = tokio::join!(
            self.start_session(session, &ring, &user, now),
            self.limiter.sign_in_succeeded(&attempt.account, &attempt.network)
        );
        Ok(TokenPair { device_token: Some(device_token), ..pair? })
    }

    /// The key that the new session is bound to, if any.
    fn key_to_bind(&self, possession: Possession) -> Result<Option<Thumbprint>, SignInError> {
        match (self.policy.dpop, possession) {
            (Dpop::Disabled, _) | (Dpop::Optional, Possession::Unclaimed) => Ok(None),
            (Dpop::Required, Possession::Unclaimed) => {
                Err(SignInError::Unproven(ProofError::Missing))
            }
            (_, Possession::Proved(key)) => Ok(Some(key)),
            (_, Possession::Refused(error)) => Err(SignInError::Unproven(error)),
        }
    }

    /// Finds the user with this name and password, if another attempt is allowed.
    async fn prove(
        &self,
        name: &str,
        password: Password,
        device: Option<DeviceToken>,
        source_ip: Option<IpAddr>,
        now: UnixMillis,
    ) -> Result<Proven, SignInError> {
        // Counting and finding take the same number of round trips, so counting adds no time.
        let (admission, credentials) = tokio::try_join!(
            async {
                let admission = Admission::record(&self.limiter, name, device, source_ip, now);
                Ok::<_, SignInError>(admission.await?)
            },
            self.find(name, now)
        )?;
        let user = credentials.as_ref().map(|credentials| &credentials.user);
        let attempt = admission.resolve(&self.limiter, user, name, now).await?;
        let (credentials, check) = check_password(credentials, &self.hashing, password).await?;
        let refused = |user: Option<&User>, reason| {
            record(SecurityEvent::LoginFailed { reason }, user.map(|user| user.id), None);
        };
        let Some(Credentials { user, password_hash }) = credentials else {
            refused(None, "unknown_user");
            return Err(SignInError::InvalidCredentials);
        };
        let rehashed = match check {
            PasswordCheck::Wrong => {
                refused(Some(&user), "wrong_password");
                return Err(SignInError::InvalidCredentials);
            }
            PasswordCheck::Right { rehashed } => rehashed,
        };
        if user.status == UserStatus::Disabled {
            refused(Some(&user), "disabled");
            return Err(SignInError::InvalidCredentials);
        }
        if self.policy.require_confirmed_email && !user.email_confirmed {
            refused(Some(&user), "email_not_confirmed");
            self.limiter.sign_in_succeeded(&attempt.account, &attempt.network).await;
            return Err(SignInError::EmailNotConfirmed);
        }
        if let Some(rehashed) = rehashed {
            // If this fails, the next sign-in hashes the password again.
            if let Err(error) = self.users.rehash(user.id, &password_hash, &rehashed).await {
                let error = tracing::field::display(ErrorChain(&error));
                tracing::warn!(error, "the stronger password hash was not written");
            }
        }
        Ok(Proven { user, attempt })
    }

    async fn find(&self, name: &str, now: UnixMillis) -> Result<Option<Credentials>, SignInError> {
        // Names from before '@' was forbidden are still valid.
        if let Ok(name) = NameKey::parse(name)
            && let Some(found) = self.users.find_credentials(&name, now).await?
        {
            return Ok(Some(found));
        }
        match EmailAddress::parse(name) {
            Ok(email) => Ok(self.users.find_credentials_by_email(&email, now).await?),
            // No user has an invalid name.
            Err(_) => Ok(None),
        }
    }

    /// Creates a session, makes room for it, and issues its first token pair.
    async fn start_session(
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
    fn draw(
        &self,
        new: NewSession,
        user: &User,
        ring: &KeyRing,
        now: UnixMillis,
    ) -> Result<Drawn, Fault> {
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
            auth_time: new.auth_time,
            cut_seen: new.cut_seen,
            absolute_expires_at: self.policy.session.absolute_expires_at(session_id),
            expires_at: self.policy.session.expires_at(session_id, now),
            origin: new.origin,
            source_ip: new.source_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            device: new.device_label,
            revoked: None,
        };
        // Access tokens are dated when they are issued, not when the request arrived.
        let pair = self.issuer.issue(user, &session, &token, ring, clock::now())?;
        Ok(Drawn { session, pair })
    }

    /// Ends sessions that are too many, once the new one is written.
    async fn make_room(
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
struct NewSession {
    id: SessionId,
    auth_time: UnixMillis,
    cut_seen: UnixMillis,
    amr: Amr,
    device_label: Option<String>,
    source_ip: Option<IpAddr>,
    origin: Origin,
    jkt: Option<Thumbprint>,
}

/// A session that is about to be written, with its tokens.
struct Drawn {
    session: Session,
    pair: TokenPair,
}

/// The next device token of a known device, or the first one of a new device.
fn renew(device: Option<DeviceToken>, user: &User, now: UnixMillis) -> Result<DeviceToken, Fault> {
    let device_id = match device {
        Some(device) if device.knows(user) => device.device_id,
        _ => DeviceId::from_bytes(random()?),
    };
    let (issued_at, cut_seen) = (now.seconds(), user.cut_seen());
    Ok(DeviceToken { user_id: user.id, device_id, issued_at, cut_seen })
}
