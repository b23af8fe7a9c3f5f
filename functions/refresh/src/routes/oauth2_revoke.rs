//! `POST /oauth2/revoke` (RFC 7009): log-out for libraries that speak OAuth.

use std::{fmt, sync::Arc};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use ratchet_core::access_token::Verified;
use ratchet_http::{
    App, Problem,
    app::VerifyError,
    body::{Describe, Form},
    clock,
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{logout::end_session, oauth2_error::OAuthError};

/// What the client sends (RFC 7009 §2.1). `token_type_hint` is not needed: only refresh tokens can
/// be revoked.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "OAuth2RevokeRequest")
)]
pub(crate) struct Request {
    #[cfg_attr(feature = "contract", schemars(with = "String", length(min = 1)))]
    token: Zeroizing<String>,
}

impl Describe for Request {
    const EXPECTED: &'static str = "token=…";
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Ends the session of a refresh token. A token that is none is as good as revoked (RFC 7009 §2.2).
/// A live access token is not: saying 200 to it would be untrue (§2.2.1).
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    request: Result<Form<Request>, Problem>,
) -> Result<Response, Problem> {
    let token = match request {
        // A parameter without a value is one that was left out (RFC 6749 §3.2).
        Ok(Form(request)) if !request.token.is_empty() => request.token,
        Ok(_) | Err(Problem::MalformedRequest { .. }) => {
            return Ok(OAuthError::answer("invalid_request", Request::EXPECTED));
        }
        Err(problem) => return Err(problem),
    };
    if !end_session(&app, &token).await? {
        match app.verify(&token, clock::now()).await {
            Ok(Verified::Live(_)) => {
                let description = "only refresh tokens can be revoked";
                return Ok(OAuthError::answer("unsupported_token_type", description));
            }
            Err(VerifyError::NoKeyRing(error)) => return Err(error.into()),
            Ok(Verified::Expired(_)) | Err(VerifyError::Invalid(_)) => {}
        }
    }
    Ok(StatusCode::OK.into_response())
}
