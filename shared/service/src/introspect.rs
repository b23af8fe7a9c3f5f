//! Introspection: tells an authenticated client whether a token is live (RFC 7662).

use std::sync::Arc;

use ratchet_core::{
    access_token::AccessTokenPolicy,
    client::{Credential, CredentialError},
    ids::{SessionId, UserId},
    introspection::{Introspection, of_access_token, of_refresh_token},
    rotation::SessionPolicy,
    session::Session,
    user::User,
};
use ratchet_store::{Clients, KeyRingCache, Sessions, Stores, Users};

use crate::{
    Fault,
    access::{AccessError, AccessTokenVerifier},
    clock,
    fault::from_faults,
    tokens::read_refresh_token,
};

/// Introspects tokens.
///
/// # Security
/// Writes nothing. Forged and expired credentials, and those of another client, cost no call to
/// DynamoDB; revoked ones cost one read. The token is not read before the client has authenticated.
#[derive(Debug, Clone)]
pub struct Introspect {
    key_ring: Arc<KeyRingCache>,
    clients: Clients,
    users: Users,
    sessions: Sessions,
    verifier: AccessTokenVerifier,
    access_tokens: Arc<AccessTokenPolicy>,
    session_policy: SessionPolicy,
}

/// Why a token was not introspected.
#[derive(Debug, thiserror::Error)]
pub enum IntrospectError {
    /// The credential is malformed, forged, expired, revoked or that of another client. The
    /// response does not say which.
    #[error("the credential is not that of a client")]
    InvalidClient,
    /// Something that is needed failed. The token may be live.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(IntrospectError);

/// A client that has authenticated.
#[derive(Debug)]
pub struct AuthenticatedClient(());

impl Introspect {
    /// Introspects tokens of these stores.
    #[must_use]
    pub fn new(stores: &Stores<'_>) -> Self {
        let (config, key_ring) = (stores.config(), stores.key_ring());
        let policy = &config.access_token;
        Self {
            verifier: AccessTokenVerifier::new(Arc::clone(&key_ring), policy.clone()),
            key_ring,
            clients: stores.clients(),
            users: stores.users(),
            sessions: stores.sessions(),
            access_tokens: Arc::new(policy.clone()),
            session_policy: config.session,
        }
    }

    /// What the tokens of this service have in common, for the response.
    #[must_use]
    pub fn access_tokens(&self) -> &AccessTokenPolicy {
        &self.access_tokens
    }

    /// Authenticates a client.
    ///
    /// # Errors
    /// [`IntrospectError`].
    pub async fn authenticate(
        &self,
        id: &str,
        secret: &str,
    ) -> Result<AuthenticatedClient, IntrospectError> {
        let now = clock::now();
        let forged = |error: &CredentialError| *error == CredentialError::Forged;
        let read = self.key_ring.read(now, forged, |ring| {
            Credential::parse(id, secret, ring.device_tag_keys(), now.seconds())
        });
        let credential = read.await?.map_err(|_| IntrospectError::InvalidClient)?;
        match self.clients.find(credential.client_id).await? {
            Some(client) if client.accepts(&credential) => Ok(AuthenticatedClient(())),
            _ => Err(IntrospectError::InvalidClient),
        }
    }

    /// What introspection says about a token. Any text may be passed.
    ///
    /// # Errors
    /// [`Fault`]. The token may be live.
    pub async fn introspect(
        &self,
        _: &AuthenticatedClient,
        token: &str,
    ) -> Result<Introspection, Fault> {
        let now = clock::now();
        if let Some(token) = read_refresh_token(&self.key_ring, token, now).await? {
            let (session, user) = self.read(token.user_id, token.session_id).await?;
            let (session, user) = (session.as_ref(), user.as_ref());
            let policy = &self.session_policy;
            return Ok(of_refresh_token(&token, session, user, policy, clock::now()));
        }
        match self.verifier.verify(token, now).await {
            Ok(claims) => {
                let (session, user) = self.read(claims.sub, claims.sid).await?;
                let (session, user) = (session.as_ref(), user.as_ref());
                let policy = &self.access_tokens;
                Ok(of_access_token(claims, session, user, policy, clock::now()))
            }
            Err(AccessError::Fault(fault)) => Err(fault),
            Err(
                AccessError::Invalid(_)
                | AccessError::Expired
                | AccessError::Unproven(_)
                | AccessError::SessionEnded
                | AccessError::NotAdministrator,
            ) => Ok(Introspection::Inactive),
        }
    }

    /// The session and its user, both read consistently and at the same time.
    async fn read(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<(Option<Session>, Option<User>), Fault> {
        let session = self.sessions.find(user_id, session_id);
        let (session, user) = tokio::join!(session, self.users.find(user_id));
        Ok((session?, user?))
    }
}
