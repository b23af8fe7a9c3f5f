//! `/users/{id}`: what administrators see and change.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet_core::{
    ids::UserId,
    user::{UserStatus, are_roles},
};
use ratchet_http::{
    Problem,
    body::{Describe, Json},
    json::json,
    optional,
    path::PathId,
    signed_in::Administrator,
};
use ratchet_service::accounts::{AccountUpdate, Accounts};
use serde::Deserialize;

use super::me::Profile;

/// Shows an account.
pub(crate) async fn show(
    State(accounts): State<Accounts>,
    Administrator(_): Administrator,
    PathId(id): PathId<UserId>,
) -> Result<Response, Problem> {
    let account = accounts.administration().load(id).await?;
    Ok(json(StatusCode::OK, &Profile::from(account)))
}

/// The request body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "AdministerRequest")
)]
pub(crate) struct Change {
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schemars(with = "Option<String>"))]
    status: Option<UserStatus>,
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(
        feature = "contract",
        schemars(with = "ratchet_http::contract::Optional<Vec<String>>")
    )]
    roles: Option<Vec<String>>,
}

impl Describe for Change {
    const EXPECTED: &'static str = r#""status" ("active" or "disabled"), "roles" (at most 16 names of a-z, 0-9, _ and -, of at most 32 characters each), or both"#;
}

impl Change {
    fn parse(&self) -> Result<AccountUpdate<'_>, Problem> {
        let update = AccountUpdate { status: self.status, roles: self.roles.as_deref() };
        let is_empty = update.status.is_none() && update.roles.is_none();
        if is_empty || !update.roles.is_none_or(are_roles) {
            return Err(Problem::MalformedRequest { expected: Self::EXPECTED });
        }
        Ok(update)
    }
}

/// Disables or enables a user, or sets the roles.
pub(crate) async fn change(
    State(accounts): State<Accounts>,
    Administrator(caller): Administrator,
    PathId(id): PathId<UserId>,
    Json(request): Json<Change>,
) -> Result<Response, Problem> {
    let administration = accounts.administration();
    administration.update(id, request.parse()?, Some(caller.user.id)).await?;
    Ok(json(StatusCode::OK, &Profile::from(administration.load(id).await?)))
}

/// Ends all sessions of a user.
pub(crate) async fn end_sessions(
    State(accounts): State<Accounts>,
    Administrator(_): Administrator,
    PathId(id): PathId<UserId>,
) -> Result<StatusCode, Problem> {
    accounts.administration().end_sessions(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a user.
pub(crate) async fn delete(
    State(accounts): State<Accounts>,
    Administrator(caller): Administrator,
    PathId(id): PathId<UserId>,
) -> Result<StatusCode, Problem> {
    accounts.administration().delete(id, caller.user.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
