//! Callers whose session is live, for requests where an access token alone is not enough.

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use ratchet_service::access::{AccessTokenVerifier, CallerLookup, SignedIn};

use crate::{Problem, access::Access};

/// A caller with a genuine access token of a live session.
#[derive(Debug)]
pub struct SignedInCaller(pub SignedIn);

impl<S: Send + Sync> FromRequestParts<S> for SignedInCaller
where
    AccessTokenVerifier: FromRef<S>,
    CallerLookup: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Access(claims) = Access::from_request_parts(parts, state).await?;
        Ok(Self(CallerLookup::from_ref(state).signed_in(claims).await?))
    }
}

/// A caller who is an administrator, according to both the token and the user's current data.
#[derive(Debug)]
pub struct Administrator(pub SignedIn);

impl<S: Send + Sync> FromRequestParts<S> for Administrator
where
    AccessTokenVerifier: FromRef<S>,
    CallerLookup: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Access(claims) = Access::from_request_parts(parts, state).await?;
        Ok(Self(CallerLookup::from_ref(state).administrator(claims).await?))
    }
}
