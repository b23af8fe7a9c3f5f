//! `POST /oauth2/revoke` (RFC 7009): log-out for libraries that speak OAuth.

use std::{fmt, sync::Arc};

use axum::extract::State;
use http::StatusCode;
use ratchet_http::{
    App, Problem,
    body::{Describe, Form},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::logout::end_session;

/// What the client sends (RFC 7009 §2.1). `token_type_hint` is not needed: only refresh tokens can
/// be revoked.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "OAuth2RevokeRequest")
)]
pub(crate) struct Request {
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
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
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    Form(request): Form<Request>,
) -> Result<StatusCode, Problem> {
    end_session(&app, &request.token).await?;
    Ok(StatusCode::OK)
}
