//! `/users/me`: the caller's own account.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet_core::{
    custom_claims::CustomClaims, email::EmailAddress, ids::UserId, user::UserStatus,
};
use ratchet_http::{
    Private, Problem,
    body::{Describe, Json},
    caller::Caller,
    json::json,
    optional,
};
use ratchet_service::{accounts::Accounts, confirm::Proof};
use ratchet_store::Account;
use serde::{Deserialize, Serialize};

use super::accepted;
use crate::own::Own;

/// An account as its user and administrators see it.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = Account))]
pub(crate) struct Profile {
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    id: UserId,
    name: String,
    email: String,
    email_confirmed: bool,
    /// The address that replaces `email` once it is confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_email: Option<String>,
    /// Whether a second factor is on.
    second_factor: bool,
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    status: UserStatus,
    roles: Vec<String>,
    /// The custom claims, which administrators set.
    #[cfg_attr(feature = "contract", schema(value_type = Object))]
    claims: CustomClaims,
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
            second_factor: user.second_factor,
            status: user.status,
            roles: user.roles,
            claims: user.claims,
        }
    }
}

/// Shows the caller's account.
#[cfg_attr(feature = "contract", utoipa::path(
    get, path = "/users/me", operation_id = "showAccount",
    security(("accessToken" = [])),
    responses((
        status = 200, description = "The account", body = Profile, example = Profile::example,
    )),
    extensions(("x-refusals" = json!(["session_ended"]))),
))]
pub(crate) async fn show(Own(own): Own) -> Response {
    json(StatusCode::OK, &Profile::from(own.account))
}

/// The body of a request to change the address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = ChangeEmailRequest))]
pub(crate) struct Change {
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    email: Private,
    /// Not needed with the access token of a step-up.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    password: Option<Private>,
}

impl Describe for Change {
    const EXPECTED: &'static str = r#"{"email": "ada@example.com", "password": "…"}, the new address and your password, which the access token of a step-up replaces"#;
}

/// Requests another address.
///
/// It replaces the current one when it is confirmed. The current address is notified.
#[cfg_attr(feature = "contract", utoipa::path(
    patch, path = "/users/me", operation_id = "changeEmail",
    security(("accessToken" = [])),
    request_body(content = Change, examples(
        ("another-address" = (summary = "another address", value = json!({
            "email": "ada@example.org", "password": "correct horse battery staple",
        }))),
    )),
    responses((
        status = 202, description = "A message follows",
        body = ratchet_http::accepted::Accepted, example = ratchet_http::accepted::Accepted::new,
    )),
    extensions(("x-refusals" = json!([
        "session_ended", "wrong_password", "insufficient_user_authentication", "too_many_attempts",
        "account_locked",
    ]))),
))]
pub(crate) async fn change(
    State(accounts): State<Accounts>,
    Own(own): Own,
    caller: Caller,
    Json(request): Json<Change>,
) -> Result<Response, Problem> {
    let email = EmailAddress::parse(&request.email)
        .map_err(|_| Problem::MalformedRequest { expected: Change::EXPECTED })?;
    let proof = Proof::of(request.password.as_deref());
    accounts.request_email_change(&own, &email, proof, caller.source_ip).await?;
    Ok(accepted())
}

/// The body of a request to delete the account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = DeleteAccountRequest))]
pub(crate) struct Delete {
    /// Not needed with the access token of a step-up.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    password: Option<Private>,
}

impl Describe for Delete {
    const EXPECTED: &'static str =
        r#"{"password": "…"}, your password, or {} with the access token of a step-up"#;
}

/// Deletes the caller's account.
#[cfg_attr(feature = "contract", utoipa::path(
    delete, path = "/users/me", operation_id = "deleteAccount",
    security(("accessToken" = [])),
    request_body(content = Delete, examples(
        ("the-password" = (summary = "the password", value = json!({
            "password": "correct horse battery staple",
        }))),
    )),
    responses((
        status = 204,
        description = "The account is deleted, all sessions have ended, name and address are free",
    )),
    extensions(("x-refusals" = json!([
        "session_ended", "wrong_password", "insufficient_user_authentication", "too_many_attempts",
        "account_locked",
    ]))),
))]
pub(crate) async fn delete(
    State(accounts): State<Accounts>,
    Own(own): Own,
    Json(request): Json<Delete>,
) -> Result<StatusCode, Problem> {
    accounts.delete_own(&own, Proof::of(request.password.as_deref())).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(feature = "contract")]
impl Profile {
    pub(crate) fn example() -> Self {
        Self {
            id: UserId::from_bytes(0x01a2_0c41_e62f_73f0_9ec9_c690_7cba_724d_u128.to_be_bytes()),
            name: "ada".to_owned(),
            email: "ada@example.com".to_owned(),
            email_confirmed: true,
            pending_email: None,
            second_factor: false,
            status: UserStatus::Active,
            roles: vec!["reader".to_owned()],
            claims: CustomClaims::within(r#"{"tenant": "acme"}"#).unwrap_or_default(),
        }
    }
}
