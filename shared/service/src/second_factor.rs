//! Second factors: what setting one up and presenting a code have in common, within a session and at
//! sign-in.

use std::sync::Arc;

use ratchet_core::{
    entropy::random,
    ids::UserId,
    key_ring::KeyRing,
    second_factor::{
        PENDING_LIFE, Pending, RECOVERY_CODES, RecoveryCode, RecoveryHash, SealedTotpSecret,
        SecondFactorPolicy, TYPING_ERRORS, TotpSecret, UnsealError, qr_code,
    },
    time::UnixMillis,
    user::User,
};
use ratchet_store::{KeyRingCache, Stores, Users};
use zeroize::Zeroizing;

use crate::{
    Fault,
    throttle::{AttemptError, AttemptLimiter, AttemptScope, RecordedAttempt},
};

/// A new secret, for the user's authenticator app.
///
/// # Security
/// Does not print.
#[expect(missing_debug_implementations, reason = "it contains a secret")]
pub struct Enrollment {
    /// For typing, in base 32.
    pub secret: Zeroizing<String>,
    /// The same with everything that apps want to know.
    pub uri: Zeroizing<String>,
    /// The URI as a QR code, an SVG image.
    pub qr_svg: Zeroizing<String>,
    /// How long it waits for its first code, in seconds.
    pub expires_in: u64,
}

/// Second factors in these stores.
#[derive(Debug, Clone)]
pub(crate) struct SecondFactors {
    key_ring: Arc<KeyRingCache>,
    users: Users,
    limiter: AttemptLimiter,
    policy: SecondFactorPolicy,
    service_name: Arc<str>,
}

/// Recovery codes, and what is stored of them.
pub(crate) struct NewRecoveryCodes {
    pub(crate) codes: Vec<RecoveryCode>,
    pub(crate) hashes: Vec<RecoveryHash>,
}

impl SecondFactors {
    pub(crate) fn new(stores: &Stores<'_>) -> Self {
        let config = stores.config();
        Self {
            key_ring: stores.key_ring(),
            users: stores.users(),
            limiter: AttemptLimiter::new(stores.attempts(), config.attempts),
            policy: config.second_factor,
            service_name: config.password_policy.service_name.as_str().into(),
        }
    }

    pub(crate) const fn policy(&self) -> SecondFactorPolicy {
        self.policy
    }

    /// Makes a secret that waits for its first code. `None` if a factor is on.
    pub(crate) async fn begin(
        &self,
        user: &User,
        now: UnixMillis,
    ) -> Result<Option<Enrollment>, Fault> {
        let ring = self.key_ring.current(now).await?;
        let key = ring.sealer(now.seconds()).ok_or(Fault::NoSealingKey)?;
        let secret = TotpSecret::new(random()?);
        let sealed = secret.seal(user.id, key, random()?)?;
        let expires_at = now.seconds().plus(PENDING_LIFE);
        let pending = Pending { secret: sealed, expires_at };
        if !self.users.begin_factor(user.id, &pending).await? {
            return Ok(None);
        }
        let uri = secret.to_uri(&self.service_name, &user.name);
        Ok(Some(Enrollment {
            secret: secret.to_base32(),
            qr_svg: qr_code(&uri).unwrap_or_default(),
            uri,
            expires_in: PENDING_LIFE.as_secs(),
        }))
    }

    /// Counts an attempt, before its code is compared with anything.
    pub(crate) async fn count(
        &self,
        user: UserId,
        now: UnixMillis,
    ) -> Result<RecordedAttempt, AttemptError> {
        self.limiter.record_attempt(AttemptScope::SecondFactor(user), now).await
    }

    /// Opens a secret. A key that the ring does not have may be new: the ring is loaded again, at most
    /// once per cool-down.
    pub(crate) async fn open(
        &self,
        user: UserId,
        sealed: &SealedTotpSecret,
        now: UnixMillis,
    ) -> Result<TotpSecret, Fault> {
        let unknown = |error: &UnsealError| *error == UnsealError::UnknownKey;
        let open = |ring: &KeyRing| sealed.open(user, ring);
        Ok(self.key_ring.read(now, unknown, open).await??)
    }

    /// Draws the recovery codes of a factor with this secret.
    pub(crate) fn draw_recovery_codes(secret: &TotpSecret) -> Result<NewRecoveryCodes, Fault> {
        let mut codes = Vec::with_capacity(RECOVERY_CODES);
        while codes.len() < RECOVERY_CODES {
            codes.push(RecoveryCode::new(random()?));
        }
        let hashes = codes.iter().map(|code| code.hash(secret)).collect();
        Ok(NewRecoveryCodes { codes, hashes })
    }

    /// Takes back an attempt that presented the right code, and an owner's typing errors before it.
    pub(crate) async fn succeeded(&self, attempt: &RecordedAttempt) {
        self.limiter.forgive(attempt, TYPING_ERRORS).await;
    }

    /// Takes back an attempt whose code was not compared with anything.
    pub(crate) async fn not_compared(&self, attempt: &RecordedAttempt) {
        self.limiter.take_back(attempt).await;
    }
}
