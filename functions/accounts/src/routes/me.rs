//! `/users/me`: the caller's own account.

use std::{fmt, sync::Arc};

use axum::{Extension, extract::State, response::Response};
use http::StatusCode;
use ratchet::{
    email::EmailAddress, ids::UserId, letter::Notice, password::PasswordHasher,
    session::RevocationReason, user::UserStatus,
};
use ratchet_http::{
    App, Problem,
    body::{Describe, Json},
    clock,
    ending::revoke_ended,
    events::{AccountChange, SecurityEvent, record},
    signed_in::SignedIn,
    tokens::json,
};
use ratchet_store::Account;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{accepted, write};
use crate::hashing::prove;

/// An account, as its user and administrators see it.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "Account"))]
pub(crate) struct Profile {
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
    id: UserId,
    name: String,
    email: String,
    email_confirmed: bool,
    /// The address that replaces `email` once it is confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_email: Option<String>,
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
    status: UserStatus,
    roles: Vec<String>,
}

impl Profile {
    pub(super) fn of(account: Account) -> Self {
        let Account { user, email, pending_email, .. } = account;
        Self {
            id: user.id,
            name: user.name,
            email: email.to_string(),
            email_confirmed: user.email_confirmed,
            pending_email: pending_email.map(|email| email.to_string()),
            status: user.status,
            roles: user.roles,
        }
    }
}

/// Shows the caller's account.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    SignedIn { claims, .. }: SignedIn,
) -> Result<Response, Problem> {
    let account = app.users.find_account(claims.sub).await?.ok_or(Problem::SessionEnded)?;
    Ok(json(StatusCode::OK, &Profile::of(account)))
}

/// What the client sends to change the address.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "ChangeEmailRequest")
)]
pub(crate) struct Change {
    email: String,
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
    password: Zeroizing<String>,
}

impl Describe for Change {
    const EXPECTED: &'static str =
        r#"{"email": "ada@example.com", "password": "…"}, the new address and your password"#;
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change").finish_non_exhaustive()
    }
}

/// Asks for another address. It takes effect when it is confirmed; the present one is told.
///
/// # Security
/// Whoever reads the mail of the address can reset the password, so an access token alone must not
/// be enough to change it. Whether the address is somebody's is not said here.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Extension(hasher): Extension<Arc<PasswordHasher>>,
    SignedIn { claims, .. }: SignedIn,
    Json(request): Json<Change>,
) -> Result<Response, Problem> {
    let email = EmailAddress::parse(&request.email)
        .map_err(|_| Problem::MalformedRequest { expected: Change::EXPECTED })?;
    let account = app.users.find_account(claims.sub).await?.ok_or(Problem::SessionEnded)?;
    prove(&app, &hasher, claims.sid, &request.password, &account.password_hash).await?;
    let now = clock::now();
    let to_confirm = write(Notice::EmailChangeAsked { user_id: claims.sub }, now)?;
    let told = write(account.told(|email, name| Notice::EmailChangeTold { email, name }), now)?;
    if app.users.ask_email_change(claims.sub, &email, [&to_confirm, &told]).await? {
        Ok(accepted())
    } else {
        Err(Problem::SessionEnded)
    }
}

/// What the client sends to delete the account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "DeleteAccountRequest")
)]
pub(crate) struct Delete {
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
    password: Zeroizing<String>,
}

impl Describe for Delete {
    const EXPECTED: &'static str = r#"{"password": "…"}, your password"#;
}

impl fmt::Debug for Delete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delete").finish_non_exhaustive()
    }
}

/// Deletes the caller's account, ends all sessions, and frees name and address.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Extension(hasher): Extension<Arc<PasswordHasher>>,
    SignedIn { claims, .. }: SignedIn,
    Json(request): Json<Delete>,
) -> Result<StatusCode, Problem> {
    let account = app.users.find_account(claims.sub).await?.ok_or(Problem::SessionEnded)?;
    prove(&app, &hasher, claims.sid, &request.password, &account.password_hash).await?;
    delete_account(&app, &account, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes an account, on behalf of an administrator or of its user.
pub(super) async fn delete_account(
    app: &App,
    account: &Account,
    by: Option<UserId>,
) -> Result<(), Problem> {
    let id = account.user.id;
    let deleted = account.told(|email, name| Notice::Deleted { email, name });
    if !app.users.delete(account, &write(deleted, clock::now())?).await? {
        // The address has changed since it was read, or somebody else has deleted the user.
        return Err(Problem::Unavailable);
    }
    let change = AccountChange::Deleted;
    record(SecurityEvent::AccountChanged { change, by }, Some(id), None);
    revoke_ended(app, id, RevocationReason::UserDisabled).await
}
