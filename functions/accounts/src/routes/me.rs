//! `/users/me`: the caller's own account.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use http::StatusCode;
use ratchet_core::{
    email::EmailAddress, ids::UserId, letter::Notice, session::RevocationReason, user::UserStatus,
};
use ratchet_http::{
    App, Private, Problem,
    body::{Describe, Json},
    caller::Caller,
    clock,
    ending::clean_up,
    events::{AccountChange, SecurityEvent, record},
    hashing::Hashing,
    tokens::json,
};
use ratchet_store::{Account, users::Deletion};
use serde::{Deserialize, Serialize};

use super::{accepted, write};
use crate::{network::Counted, own::Own};

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
pub(crate) async fn show(Own { account, .. }: Own) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &Profile::of(account)))
}

/// What the client sends to change the address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "ChangeEmailRequest")
)]
pub(crate) struct Change {
    email: Private,
    password: Private,
}

impl Describe for Change {
    const EXPECTED: &'static str =
        r#"{"email": "ada@example.com", "password": "…"}, the new address and your password"#;
}

/// Asks for another address. It takes effect when it is confirmed; the present one is told.
///
/// # Security
/// Whoever reads the mail of the address can reset the password, so an access token alone must not
/// be enough to change it. Whether the address is somebody's is not said here.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Extension(hashing): Extension<Hashing>,
    own: Own,
    caller: Caller,
    Json(request): Json<Change>,
) -> Result<Response, Problem> {
    let email = EmailAddress::parse(&request.email)
        .map_err(|_| Problem::MalformedRequest { expected: Change::EXPECTED })?;
    // Each may be a message to another stranger.
    Counted::take(&app, caller.source_ip, clock::now()).await?;
    own.prove(&app, &hashing, &request.password).await?;
    let Account { user, password_hash: proved, .. } = &own.account;
    let now = clock::now();
    let to_confirm = write(Notice::EmailChangeAsked { user_id: user.id }, now)?;
    let told = write(own.account.told(|email, name| Notice::EmailChangeTold { email, name }), now)?;
    if app.users.ask_email_change(user.id, proved, &email, [&to_confirm, &told]).await? {
        Ok(accepted())
    } else {
        // Somebody has changed it meanwhile: what was proved is the password no more.
        Err(Problem::WrongPassword)
    }
}

/// What the client sends to delete the account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "DeleteAccountRequest")
)]
pub(crate) struct Delete {
    password: Private,
}

impl Describe for Delete {
    const EXPECTED: &'static str = r#"{"password": "…"}, your password"#;
}

/// Deletes the caller's account, ends all sessions, and frees name and address.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Extension(hashing): Extension<Hashing>,
    own: Own,
    Json(request): Json<Delete>,
) -> Result<StatusCode, Problem> {
    own.prove(&app, &hashing, &request.password).await?;
    delete_account(&app, &own.account, None).await?;
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
    // An administrator proves no password of the user's.
    let deletion = if by.is_none() { Deletion::proved(account) } else { Deletion::of(account) };
    if !app.users.delete(deletion, Some(&write(deleted, clock::now())?)).await? {
        // Address or password have changed since they were read, or the user is deleted already.
        return Err(Problem::Unavailable);
    }
    let change = AccountChange::Deleted;
    record(SecurityEvent::AccountChanged { change, by }, Some(id), None);
    clean_up(app, id, RevocationReason::UserDisabled).await;
    Ok(())
}
