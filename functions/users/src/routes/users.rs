//! `GET /users`.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use http::StatusCode;
use ratchet::{
    encoding::{from_base64url, to_base64url},
    ids::UserId,
};
use ratchet_http::{App, Problem, bearer::Bearer, tokens::json};
use serde::{Deserialize, Serialize};

const EXPECTED: &str = "limit=1…100 and cursor=… as the page before it gave it";
const DEFAULT_LIMIT: u8 = 50;
const MAX_LIMIT: u8 = 100;

#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    limit: Option<u8>,
    cursor: Option<String>,
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
}

/// Lists users in name order, a page at a time.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Bearer(_): Bearer,
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
            if name.is_empty() || name.len() > 1_024 {
                return Err(malformed());
            }
            Some(name)
        }
    };
    let users = app.users.list(after.as_deref(), limit.into()).await?;
    let full = users.len() == usize::from(limit);
    let last = users.last().filter(|_| full).map(|user| to_base64url(user.name_key.as_bytes()));
    let users = users.into_iter().map(|user| Entry { id: user.id, name: user.name }).collect();
    Ok(json(StatusCode::OK, &Body { users, next_cursor: last }))
}
