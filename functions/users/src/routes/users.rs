//! `GET /users`.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use http::StatusCode;
use ratchet_core::{
    encoding::{from_base64url, to_base64url},
    ids::UserId,
    user::{NameKey, UserStatus},
};
use ratchet_http::{App, Problem, bearer::Bearer, signed_in::Administrator, tokens::json};
use ratchet_store::users::{ListedDetails, ListedUser};
use serde::{Deserialize, Serialize};

const EXPECTED: &str =
    "limit=1…100, name=… as names begin, and cursor=… as the page before it gave it";
const DEFAULT_LIMIT: u8 = 50;
const MAX_LIMIT: u8 = 100;
/// The longest name in bytes; a sort key can not be longer than one more.
const MAX_CURSOR: usize = 1_023;

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema))]
pub(crate) struct Page {
    /// Users of a page.
    #[cfg_attr(
        feature = "contract",
        schemars(with = "i32", range(min = 1, max = MAX_LIMIT), extend("default" = DEFAULT_LIMIT))
    )]
    limit: Option<u8>,
    /// `next_cursor` of the page before.
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
    cursor: Option<String>,
    /// How the names begin.
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
    name: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "UserPage"))]
pub(crate) struct Body {
    users: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// For the next page. Without it, this is the last one.
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "UserEntry"))]
struct Entry {
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
    id: UserId,
    name: String,
    #[serde(flatten)]
    for_administrators: Option<Details>,
}

/// What only administrators see of others.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "UserDetails"))]
struct Details {
    email: String,
    email_confirmed: bool,
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
    status: UserStatus,
    roles: Vec<String>,
}

impl Entry {
    fn new(user: ListedUser, for_administrator: bool) -> Self {
        let ListedUser { id, name, details, .. } = user;
        let details = details.filter(|_| for_administrator);
        let details = details.map(|ListedDetails { email, email_confirmed, status, roles }| {
            Details { email, email_confirmed, status, roles }
        });
        Self { id, name, for_administrators: details }
    }
}

/// Lists users in name order, a page at a time. Administrators see more of each.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Bearer(claims): Bearer,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let malformed = || Problem::MalformedRequest { expected: EXPECTED };
    let Query(page) = page.map_err(|_| malformed())?;
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(malformed());
    }
    // The cursor is where the page before ended. Nothing depends on nobody making one up.
    let after = match page.cursor {
        None => None,
        Some(cursor) => {
            let bytes = from_base64url(&cursor).ok_or_else(malformed)?;
            let name = String::from_utf8(bytes).map_err(|_| malformed())?;
            if name.is_empty() || name.len() > MAX_CURSOR {
                return Err(malformed());
            }
            Some(name)
        }
    };
    let prefix = match page.name.as_deref() {
        None | Some("") => None,
        Some(name) => Some(NameKey::parse(name).map_err(|_| malformed())?),
    };
    let prefix = prefix.as_ref().map_or("", NameKey::as_str);
    let listed = app.users.list(prefix, after.as_deref(), limit.into()).await?;
    let next_cursor = listed.next.map(|name| to_base64url(name.as_bytes()));
    let administrator = Administrator::has(&app, claims).await?;
    let users = listed.users.into_iter().map(|user| Entry::new(user, administrator)).collect();
    Ok(json(StatusCode::OK, &Body { users, next_cursor }))
}
