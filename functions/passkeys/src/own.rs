//! Callers with their own accounts.

use axum::extract::{FromRef as _, FromRequestParts};
use http::request::Parts;
use ratchet_http::{Problem, signed_in::SignedInCaller};
use ratchet_service::{accounts::OwnAccount, passkeys::Passkeys};

use crate::State;

/// A caller whose session is live, with the whole account.
#[derive(Debug)]
pub(crate) struct Own(pub(crate) OwnAccount);

impl FromRequestParts<State> for Own {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let SignedInCaller(caller) = SignedInCaller::from_request_parts(parts, state).await?;
        Ok(Self(Passkeys::from_ref(state).accounts().find_own(caller).await?))
    }
}
