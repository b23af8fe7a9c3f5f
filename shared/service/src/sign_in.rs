//! Sign-in: exchanges a user name and a password, or a message, for a session and its first token pair.

mod admission;
mod email;
mod password;
mod second_factor;
pub(crate) mod start;

use std::{net::IpAddr, sync::Arc};

use ratchet_core::{
    amr::Amr,
    config::Config,
    device_token::{DeviceId, DeviceToken},
    dpop::{Possession, ProofError},
    email::EmailAddress,
    entropy::random,
    error_chain::ErrorChain,
    password::{HashError, Password},
    second_factor::{EncodedChallenge, SignInChallenge, Stage},
    session::Origin,
    time::UnixMillis,
    user::{NameKey, User, UserStatus},
};
use ratchet_store::{Challenges, Credentials, KeyRingCache, Outbox, Stores, Users};

use self::{
    admission::{Admission, CountedAttempt},
    password::{PasswordCheck, check_password},
    start::{NewSession, Starter, kept_until, session_id},
};
pub use self::{
    email::{EmailSignInError, EmailSignInRequest},
    second_factor::{SecondFactorError, SecondFactorRequest},
};
use crate::{
    Fault, clock,
    events::{SecurityEvent, record},
    fault::from_faults,
    hashing::Hashing,
    second_factor::SecondFactors,
    throttle::{AttemptError, AttemptLimiter, Throttled},
    tokens::TokenPair,
};

/// Signs users in.
#[derive(Debug, Clone)]
pub struct SignIn {
    key_ring: Arc<KeyRingCache>,
    users: Users,
    challenges: Challenges,
    outbox: Outbox,
    limiter: AttemptLimiter,
    hashing: Hashing,
    second_factors: SecondFactors,
    starter: Starter,
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
        Ok(Self {
            key_ring: stores.key_ring(),
            users: stores.users(),
            challenges: stores.challenges(),
            outbox: stores.outbox(),
            limiter: AttemptLimiter::new(stores.attempts(), config.attempts),
            hashing: Hashing::new(config.hash_cost)?,
            second_factors: SecondFactors::new(stores),
            starter: Starter::new(stores),
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
        let jkt = self.starter.key_to_bind(possession).map_err(SignInError::Unproven)?;
        // Load everything that the answer needs before writing anything.
        let ring = self.key_ring.current(now).await?;
        let tag_key = ring.tagger(now.seconds()).ok_or(Fault::NoTagKey)?;
        let device = device_token.and_then(|text| {
            DeviceToken::parse(&text, &name, ring.device_tag_keys(), now.seconds())
        });
        let Proven { user, attempt } = self.prove(&name, password, device, source_ip, now).await?;
        let device = renew(device, &user, now)?;
        if let Some(stage) = self.second_stage(&user) {
            let id = session_id(now)?;
            let challenge =
                SignInChallenge::new(stage, &user, &name, device.device_id, jkt, (id, now));
            let challenge = challenge.labelled(device_label);
            let challenge = second_factor::challenge(&challenge, &ring, now)?;
            let until = kept_until(now);
            let (kept, ()) = tokio::join!(
                self.users.keep_challenge(challenge.hash(), until),
                self.limiter.sign_in_succeeded(&attempt.account, &attempt.network)
            );
            kept?;
            return Err(SignInError::SecondFactorRequired { stage, challenge });
        }
        let device_token = device.encode(&name, tag_key);
        let session = NewSession {
            id: session_id(now)?,
            cut_seen: user.cut_seen(),
            amr: Amr::PASSWORD,
            device_label,
            source_ip,
            origin,
            jkt,
        };
        let (pair, ()) = tokio::join!(
            self.starter.start(session, &ring, &user, now),
            self.limiter.sign_in_succeeded(&attempt.account, &attempt.network)
        );
        Ok(TokenPair { device_token: Some(device_token), ..pair? })
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
        if self.starter.has_to_confirm(&user) {
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
