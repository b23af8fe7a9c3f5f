//! `/users/{id}`: what administrators see and change.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet_core::{
    custom_claims::CustomClaims,
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
use serde_json::{Map, Value};

use super::me::Profile;

/// Shows an account.
///
/// The caller needs the role `admin`, both in the access token and now.
#[cfg_attr(feature = "contract", utoipa::path(
    get, path = "/users/{id}", operation_id = "showUser",
    security(("accessToken" = [])),
    params(UserPath),
    responses((
        status = 200, description = "The account", body = Profile, example = Profile::example,
    )),
    extensions(("x-refusals" = json!(["session_ended", "forbidden", "not_found"]))),
))]
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
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = AdministerRequest))]
pub(crate) struct Change {
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    status: Option<UserStatus>,
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(schema_with = optional_roles))]
    roles: Option<Vec<String>>,
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(schema_with = optional_claims))]
    claims: Option<Map<String, Value>>,
}

impl Describe for Change {
    const EXPECTED: &'static str = r#""status" ("active" or "disabled"), "roles" (at most 16 names of a-z, 0-9, _ and -, of at most 32 characters each), "claims" (an object), or several of them"#;
}

/// Whether the update changes something and its roles are valid.
fn is_well_formed(update: &AccountUpdate<'_>) -> bool {
    let AccountUpdate { status, roles, claims } = update;
    (status.is_some() || roles.is_some() || claims.is_some()) && roles.is_none_or(are_roles)
}

/// Disables or enables a user, or sets the roles or the custom claims.
///
/// The caller needs the role `admin`, both in the access token and now.
#[cfg_attr(feature = "contract", utoipa::path(
    patch, path = "/users/{id}", operation_id = "administerUser",
    security(("accessToken" = [])),
    params(UserPath),
    request_body(content = Change, examples(
        ("disable" = (summary = "disable", value = json!({"status": "disabled"}))),
        ("set-roles" = (summary = "set roles", value = json!({"roles": ["reader", "admin"]}))),
        ("set-claims" = (summary = "set custom claims", value = json!({
            "claims": {"tenant": "acme", "plan": {"name": "pro", "seats": 5}},
        }))),
    )),
    responses((
        status = 200, description = "The account after the change",
        body = Profile, example = Profile::example,
    )),
    extensions(("x-refusals" = json!([
        "session_ended", "forbidden", "not_found", "claims_refused",
    ]))),
))]
pub(crate) async fn change(
    State(accounts): State<Accounts>,
    Administrator(caller): Administrator,
    PathId(id): PathId<UserId>,
    Json(request): Json<Change>,
) -> Result<Response, Problem> {
    let Change { status, roles, claims } = request;
    let claims = claims.map(CustomClaims::new).transpose()?;
    let update = AccountUpdate { status, roles: roles.as_deref(), claims: claims.as_ref() };
    if !is_well_formed(&update) {
        return Err(Problem::MalformedRequest { expected: Change::EXPECTED });
    }
    let administration = accounts.administration();
    administration.update(id, update, Some(caller.user.id)).await?;
    Ok(json(StatusCode::OK, &Profile::from(administration.load(id).await?)))
}

/// Ends all sessions of a user.
///
/// The caller needs the role `admin`, both in the access token and now.
#[cfg_attr(feature = "contract", utoipa::path(
    delete, path = "/users/{id}/sessions", operation_id = "endUserSessions",
    security(("accessToken" = [])),
    params(UserPath),
    responses((status = 204, description = "The sessions have ended")),
    extensions(("x-refusals" = json!(["session_ended", "forbidden", "not_found"]))),
))]
pub(crate) async fn end_sessions(
    State(accounts): State<Accounts>,
    Administrator(_): Administrator,
    PathId(id): PathId<UserId>,
) -> Result<StatusCode, Problem> {
    accounts.administration().end_sessions(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a user.
///
/// The caller needs the role `admin`, both in the access token and now.
#[cfg_attr(feature = "contract", utoipa::path(
    delete, path = "/users/{id}", operation_id = "deleteUser",
    security(("accessToken" = [])),
    params(UserPath),
    responses((status = 204, description = "The user is deleted")),
    extensions(("x-refusals" = json!(["session_ended", "forbidden", "not_found"]))),
))]
pub(crate) async fn delete(
    State(accounts): State<Accounts>,
    Administrator(caller): Administrator,
    PathId(id): PathId<UserId>,
) -> Result<StatusCode, Problem> {
    accounts.administration().delete(id, caller.user.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(feature = "contract")]
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
struct UserPath {
    /// `id` of a user.
    #[param(example = "01a20c41-e62f-73f0-9ec9-c6907cba724d")]
    id: String,
}

#[cfg(feature = "contract")]
fn optional_roles() -> utoipa::openapi::Schema {
    let roles = <Vec<String> as utoipa::PartialSchema>::schema();
    ratchet_http::contract::optional(roles, "All of the user's roles after the change.")
}

#[cfg(feature = "contract")]
fn optional_claims() -> utoipa::openapi::Schema {
    let claims = utoipa::openapi::ObjectBuilder::new();
    ratchet_http::contract::optional(claims, "All of the user's custom claims after the change.")
}
