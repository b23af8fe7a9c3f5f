//! Callers: verifies their access tokens and their proofs of possession, and looks up whether their
//! sessions are still live.

use std::sync::Arc;

use ratchet_core::{
    access_token::{self, AccessTokenError, AccessTokenPolicy, Claims, Verified},
    dpop::{self, Nonce, Possession, ProofError, ProofTarget, Scheme},
    time::UnixMillis,
    user::User,
};
use ratchet_store::{KeyRingCache, Sessions, Stores, Users};

use crate::{Fault, clock, events::record_unproven, fault::from_faults};

/// The role that may administer users.
pub const ADMIN: &str = "admin";

/// Verifies access tokens, and proofs of possession of a key, with the current key ring.
#[derive(Debug, Clone)]
pub struct AccessTokenVerifier {
    key_ring: Arc<KeyRingCache>,
    policy: Arc<AccessTokenPolicy>,
}

/// The unverified proof of a request, and the request that it has to be made for.
#[derive(Debug, Clone)]
pub struct PresentedProof {
    /// The header `DPoP`.
    pub header: ProofHeader,
    /// The HTTP method.
    pub method: String,
    /// The path of the URL. Scheme and host come from the configuration.
    pub path: String,
}

/// The header `DPoP` of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofHeader {
    /// There is none.
    Absent,
    /// There is one.
    Proof(String),
    /// There are several, or one that is not text.
    Unreadable,
}

/// Looks up callers by their verified claims.
///
/// # Security
/// An access token stays valid for a few minutes after its session has ended, and its roles may be
/// out of date. Use this for requests where neither is acceptable.
#[derive(Debug, Clone)]
pub struct CallerLookup {
    users: Users,
    sessions: Sessions,
}

/// A caller whose session is live.
#[derive(Debug)]
pub struct SignedIn {
    /// The claims of the access token.
    pub claims: Claims,
    /// The user's current data.
    pub user: User,
}

/// Why a caller is refused.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The access token is not genuine.
    #[error(transparent)]
    Invalid(AccessTokenError),
    /// The access token is genuine but has expired.
    #[error("the access token has expired")]
    Expired,
    /// The access token is bound to a key whose possession the request does not prove, or is
    /// presented with the scheme `DPoP` and not bound.
    #[error(transparent)]
    Unproven(ProofError),
    /// The session has ended, or the user is disabled or deleted.
    #[error("the session has ended")]
    SessionEnded,
    /// The caller is not an administrator.
    #[error("the caller is not an administrator")]
    NotAdministrator,
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(AccessError);

impl AccessTokenVerifier {
    /// A verifier for tokens of `policy`.
    #[must_use]
    pub fn new(key_ring: Arc<KeyRingCache>, policy: AccessTokenPolicy) -> Self {
        Self { key_ring, policy: Arc::new(policy) }
    }

    /// Verifies an access token.
    ///
    /// # Errors
    /// [`AccessError::Invalid`], [`AccessError::Expired`] or a fault.
    pub async fn verify(&self, token: &str, now: UnixMillis) -> Result<Claims, AccessError> {
        let verified = self.key_ring.read(now, AccessTokenError::takes_unknown_key, |ring| {
            access_token::verify(token, &self.policy, ring, now.seconds())
        });
        match verified.await? {
            Ok(Verified::Live(claims)) => Ok(claims),
            Ok(Verified::Expired(_)) => Err(AccessError::Expired),
            Err(error) => Err(AccessError::Invalid(error)),
        }
    }

    /// Verifies the access token of a request, and the proof if the token is bound to a key.
    ///
    /// # Errors
    /// [`AccessError::Invalid`], [`AccessError::Expired`], [`AccessError::Unproven`] or a fault.
    pub async fn authorize(
        &self,
        scheme: Scheme,
        token: &str,
        proof: &PresentedProof,
        now: UnixMillis,
    ) -> Result<Claims, AccessError> {
        let claims = self.verify(token, now).await?;
        let possession = match scheme {
            Scheme::Bearer => Possession::Unclaimed,
            Scheme::Dpop => self.possession(proof, Some(token), now).await?,
        };
        scheme.permits(claims.jkt(), possession).map_err(|reason| {
            record_unproven(reason, claims.sub, claims.sid);
            AccessError::Unproven(reason)
        })?;
        Ok(claims)
    }

    /// Verifies the proof of a request. With an access token, the proof has to contain its hash.
    ///
    /// # Errors
    /// [`Fault`] if there is no key ring.
    pub async fn possession(
        &self,
        proof: &PresentedProof,
        access_token: Option<&str>,
        now: UnixMillis,
    ) -> Result<Possession, Fault> {
        let text = match &proof.header {
            ProofHeader::Absent => return Ok(Possession::Unclaimed),
            ProofHeader::Unreadable => return Ok(Possession::Refused(ProofError::Malformed)),
            ProofHeader::Proof(text) => text,
        };
        let (ring, seconds) = (self.key_ring.current(now).await?, now.seconds());
        let urls = self.policy.urls(&proof.path);
        let target = ProofTarget { method: &proof.method, urls: &urls, access_token };
        let is_fresh = |nonce: Option<&str>| {
            nonce.is_some_and(|nonce| Nonce::is_fresh(nonce, ring.tag_keys(seconds), seconds))
        };
        Ok(match dpop::verify(text, &target, seconds, is_fresh) {
            Ok(key) => Possession::Proved(key),
            Err(error) => Possession::Refused(error),
        })
    }

    /// A nonce for the client's next proof.
    ///
    /// # Errors
    /// [`Fault`] if there is no key to make it with.
    pub async fn nonce(&self, now: UnixMillis) -> Result<String, Fault> {
        let ring = self.key_ring.current(now).await?;
        let key = ring.tagger(now.seconds()).ok_or(Fault::NoTagKey)?;
        Ok(Nonce::new(now.seconds()).encode(key))
    }

    /// Verifies the signature of an access token, whatever its times, issuer and audience.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] or a fault.
    pub async fn verify_signature(
        &self,
        token: &str,
        now: UnixMillis,
    ) -> Result<Claims, AccessError> {
        let verified = self.key_ring.read(now, AccessTokenError::takes_unknown_key, |ring| {
            access_token::verify_signature(token, ring)
        });
        verified.await?.map_err(AccessError::Invalid)
    }
}

impl CallerLookup {
    /// Looks up in these stores.
    #[must_use]
    pub fn new(stores: &Stores<'_>) -> Self {
        Self { users: stores.users(), sessions: stores.sessions() }
    }

    /// The caller with these claims.
    ///
    /// # Errors
    /// [`AccessError::SessionEnded`] or a fault.
    pub async fn signed_in(&self, claims: Claims) -> Result<SignedIn, AccessError> {
        let (user, session) =
            tokio::join!(self.users.find(claims.sub), self.sessions.find(claims.sub, claims.sid));
        let (user, session) = (user?, session?);
        let now = clock::now();
        match (user, session) {
            (Some(user), Some(session))
                if session.ended(now).is_none() && user.allows(&session) =>
            {
                Ok(SignedIn { claims, user })
            }
            _ => Err(AccessError::SessionEnded),
        }
    }

    /// The administrator with these claims. Both the token and the user's current data must have
    /// the role.
    ///
    /// # Errors
    /// [`AccessError::SessionEnded`], [`AccessError::NotAdministrator`] or a fault.
    pub async fn administrator(&self, claims: Claims) -> Result<SignedIn, AccessError> {
        let caller = self.signed_in(claims).await?;
        if is_admin(&caller.claims.roles) && is_admin(&caller.user.roles) {
            Ok(caller)
        } else {
            Err(AccessError::NotAdministrator)
        }
    }

    /// Whether the caller is an administrator. Reads nothing unless the token has the role.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn is_administrator(&self, claims: Claims) -> Result<bool, Fault> {
        if !is_admin(&claims.roles) {
            return Ok(false);
        }
        match self.administrator(claims).await {
            Ok(_) => Ok(true),
            Err(AccessError::Fault(fault)) => Err(fault),
            Err(
                AccessError::Invalid(_)
                | AccessError::Expired
                | AccessError::Unproven(_)
                | AccessError::SessionEnded
                | AccessError::NotAdministrator,
            ) => Ok(false),
        }
    }
}

fn is_admin(roles: &[String]) -> bool {
    roles.iter().any(|role| role == ADMIN)
}
