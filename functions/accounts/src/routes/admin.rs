//! `/users/{id}`: what administrators see and change.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet_core::{
    attempts::AttemptKey,
    ids::UserId,
    session::RevocationReason,
    user::{UserStatus, are_roles},
};
use ratchet_http::{
    App, Problem,
    body::{Describe, Json},
    clock, ending,
    events::{AccountChange, SecurityEvent, record},
    path::PathId,
    signed_in::Administrator,
    tokens::json,
};
use ratchet_store::Account;
use serde::Deserialize;

use super::me::{Profile, delete_account};

/// Shows one account.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Administrator(_): Administrator,
    PathId(id): PathId<UserId>,
) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &Profile::of(find(&app, id).await?)))
}

/// What the client sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "AdministerRequest")
)]
pub(crate) struct Change {
    #[cfg_attr(feature = "contract", schemars(with = "Option<String>"))]
    status: Option<UserStatus>,
    roles: Option<Vec<String>>,
}

impl Describe for Change {
    const EXPECTED: &'static str = r#""status" ("active" or "disabled"), "roles" (at most 16 names of a-z, 0-9, _ and -, of at most 32 characters each), or both"#;
}

impl Change {
    fn is_sound(&self) -> bool {
        let sound = self.roles.as_deref().is_none_or(are_roles);
        sound && (self.roles.is_some() || self.status.is_some())
    }
}

/// Disables or enables a user, which also unlocks the account, or sets the roles. A disabled user's
/// sessions end at once and do not come back; other roles are in the next access token.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Administrator(caller): Administrator,
    PathId(id): PathId<UserId>,
    Json(request): Json<Change>,
) -> Result<Response, Problem> {
    if !request.is_sound() {
        return Err(Problem::MalformedRequest { expected: Change::EXPECTED });
    }
    if id == caller.user.id {
        // Nobody locks the last administrator out by accident.
        return Err(Problem::Forbidden);
    }
    let (status, roles) = (request.status, request.roles.as_deref());
    if !app.users.administer(id, status, roles, clock::now()).await? {
        return Err(Problem::NotFound);
    }
    let changed = |change| {
        let by = Some(caller.user.id);
        record(SecurityEvent::AccountChanged { change, by }, Some(id), None);
    };
    if roles.is_some() {
        changed(AccountChange::RolesSet);
    }
    match status {
        Some(UserStatus::Disabled) => {
            changed(AccountChange::Disabled);
            ending::revoke_ended(&app, id, RevocationReason::UserDisabled).await?;
        }
        Some(UserStatus::Active) => changed(AccountChange::Enabled),
        None => {}
    }
    let account = app.users.find_account(id, clock::now()).await?.ok_or(Problem::NotFound)?;
    if status == Some(UserStatus::Active)
        && app.attempts.forget(&AttemptKey::account(&account.user.name)).await?
    {
        changed(AccountChange::Unlocked);
    }
    Ok(json(StatusCode::OK, &Profile::of(account)))
}

/// Ends all sessions of a user.
pub(crate) async fn end_sessions(
    State(app): State<Arc<App>>,
    Administrator(_): Administrator,
    PathId(id): PathId<UserId>,
) -> Result<StatusCode, Problem> {
    let account = find(&app, id).await?;
    let reason = RevocationReason::EndedByAdministrator;
    ending::end_sessions(&app, account.user.id, None, reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a user.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Administrator(caller): Administrator,
    PathId(id): PathId<UserId>,
) -> Result<StatusCode, Problem> {
    let account = find(&app, id).await?;
    if account.user.id == caller.user.id {
        return Err(Problem::Forbidden);
    }
    delete_account(&app, &account, Some(caller.user.id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(app: &App, id: UserId) -> Result<Account, Problem> {
    app.users.find_account(id, clock::now()).await?.ok_or(Problem::NotFound)
}
