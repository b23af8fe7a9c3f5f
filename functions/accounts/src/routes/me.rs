//! `/users/me`: the caller's own account.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet_core::{email::EmailAddress, ids::UserId, user::UserStatus};
use ratchet_http::{
    Private, Problem,
    body::{Describe, Json},
    caller::Caller,
    json::json,
};
use ratchet_service::accounts::Accounts;
use ratchet_store::Account;
use serde::{Deserialize, Serialize};

use super::accepted;
use crate::own::Own;

/// An account as its user and administrators see it.
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

impl From<Account> for Profile {
    fn from(account: Account) -> Self {
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
pub(crate) async fn show(Own(own): Own) -> Response {
    json(StatusCode::OK, &Profile::from(own.account))
}

/// The body of a request to change the address.
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

/// Requests another address. It replaces the current one when it is confirmed.
pub(crate) async fn change(
    State(accounts): State<Accounts>,
    Own(own): Own,
    caller: Caller,
    Json(request): Json<Change>,
) -> Result<Response, Problem> {
    let email = EmailAddress::parse(&request.email)
        .map_err(|_| Problem::MalformedRequest { expected: Change::EXPECTED })?;
    accounts.request_email_change(&own, &email, &request.password, caller.source_ip).await?;
    Ok(accepted())
}

/// The body of a request to delete the account.
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

/// Deletes the caller's account.
pub(crate) async fn delete(
    State(accounts): State<Accounts>,
    Own(own): Own,
    Json(request): Json<Delete>,
) -> Result<StatusCode, Problem> {
    accounts.delete_own(&own, &request.password).await?;
    Ok(StatusCode::NO_CONTENT)
}
