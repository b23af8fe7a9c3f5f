//! Callers whose session is live: for what an access token alone must not be enough.
//!
//! An access token outlives its session by a few minutes, and the roles in it are as old as it is.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use ratchet_core::{access_token::Claims, user::User};

use crate::{App, Problem, bearer::Bearer, clock};

/// The role that may administer users.
pub const ADMIN: &str = "admin";

/// A caller with a genuine access token of a session that lives.
#[derive(Debug)]
pub struct SignedIn {
    /// What the token says.
    pub claims: Claims,
    /// The user as of this moment.
    pub user: User,
}

impl FromRequestParts<Arc<App>> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Bearer(claims) = Bearer::from_request_parts(parts, app).await?;
        Self::of(app, claims).await
    }
}

impl SignedIn {
    /// The caller whose access token it is.
    ///
    /// # Errors
    /// [`Problem::SessionEnded`], or a fault.
    async fn of(app: &App, claims: Claims) -> Result<Self, Problem> {
        let (user, session) =
            tokio::join!(app.users.find(claims.sub), app.sessions.find(claims.sub, claims.sid));
        let (user, session) = (user?, session?);
        let now = clock::now();
        match (user, session) {
            (Some(user), Some(session))
                if session.ended(now).is_none() && user.allows(&session) =>
            {
                Ok(Self { claims, user })
            }
            _ => Err(Problem::SessionEnded),
        }
    }
}

/// A caller who is an administrator, in the token and at this moment.
#[derive(Debug)]
pub struct Administrator(pub SignedIn);

impl FromRequestParts<Arc<App>> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        Self::of(SignedIn::from_request_parts(parts, app).await?).ok_or(Problem::Forbidden)
    }
}

impl Administrator {
    fn of(caller: SignedIn) -> Option<Self> {
        (is_admin(&caller.claims.roles) && is_admin(&caller.user.roles)).then_some(Self(caller))
    }

    /// Whether an access token is an administrator's. Nobody is asked about a token without the
    /// role.
    ///
    /// # Errors
    /// A fault.
    pub async fn has(app: &App, claims: Claims) -> Result<bool, Problem> {
        if !is_admin(&claims.roles) {
            return Ok(false);
        }
        match SignedIn::of(app, claims).await {
            Ok(caller) => Ok(Self::of(caller).is_some()),
            Err(Problem::SessionEnded) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

fn is_admin(roles: &[String]) -> bool {
    roles.iter().any(|role| role == ADMIN)
}
