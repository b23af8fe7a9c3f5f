//! `GET /users`.

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
use ratchet_http::{Problem, access::Access, json::json, optional};
use ratchet_service::user_list::{UserList, UserQuery};
use ratchet_store::users::{ListedDetails, ListedUser};
use serde::{Deserialize, Serialize};

const EXPECTED: &str =
    "limit=1…100, name=… (how names begin), and cursor=… (the next_cursor of the previous page)";
const DEFAULT_LIMIT: u8 = 50;
const MAX_LIMIT: u8 = 100;
/// The longest cursor, in bytes: one less than the longest sort key of DynamoDB.
const MAX_CURSOR: usize = 1_023;

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "contract", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
pub(crate) struct Page {
    /// The number of users of a page.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(
        feature = "contract",
        param(value_type = Option<u8>, minimum = 1, maximum = 100, default = json!(DEFAULT_LIMIT))
    )]
    limit: Option<String>,
    /// `next_cursor` of the previous page.
    #[serde(default, deserialize_with = "optional")]
    cursor: Option<String>,
    /// How the names begin.
    #[serde(default, deserialize_with = "optional")]
    name: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = UserPage))]
pub(crate) struct Body {
    users: Vec<Entry>,
    /// For the next page. Absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = UserEntry))]
struct Entry {
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    id: UserId,
    name: String,
    #[serde(flatten)]
    #[cfg_attr(feature = "contract", schema(value_type = Details))]
    for_administrators: Option<Details>,
}

/// What only administrators see.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = UserDetails))]
struct Details {
    #[cfg_attr(feature = "contract", schema(required = false))]
    email: String,
    #[cfg_attr(feature = "contract", schema(required = false))]
    email_confirmed: bool,
    #[cfg_attr(feature = "contract", schema(required = false, value_type = String))]
    status: UserStatus,
    #[cfg_attr(feature = "contract", schema(required = false))]
    roles: Vec<String>,
}

impl Entry {
    fn new(user: ListedUser) -> Self {
        let ListedUser { id, name, details } = user;
        let details = details.map(|ListedDetails { email, email_confirmed, status, roles }| {
            Details { email, email_confirmed, status, roles }
        });
        Self { id, name, for_administrators: details }
    }
}

impl Page {
    fn parse(self) -> Option<UserQuery> {
        let limit = self.limit.map_or(Some(DEFAULT_LIMIT), |limit| limit.parse().ok())?;
        if !(1..=MAX_LIMIT).contains(&limit) {
            return None;
        }
        // It does no harm to make a cursor up.
        let after = match self.cursor {
            None => None,
            Some(cursor) => {
                let name = String::from_utf8(from_base64url(&cursor)?).ok()?;
                if name.is_empty() || name.len() > MAX_CURSOR {
                    return None;
                }
                Some(name)
            }
        };
        let prefix = match self.name.as_deref() {
            None => None,
            Some(name) => Some(NameKey::parse(name).ok()?),
        };
        Some(UserQuery { prefix, after, limit })
    }
}

/// Lists users in name order, a page at a time.
///
/// Administrators see more of each.
#[cfg_attr(feature = "contract", utoipa::path(
    get, path = "/users", operation_id = "listUsers",
    security(("accessToken" = [])),
    params(Page),
    responses((
        status = 200, description = "A page of users", body = Body,
        example = json!({
            "users": [{"id": "01a20c41-e62f-73f0-9ec9-c6907cba724d", "name": "ada"}],
            "next_cursor": "YWRh",
        }),
    )),
    extensions(("x-refusals" = json!(["forbidden"]))),
))]
pub(crate) async fn list(
    State(service): State<UserList>,
    Access(claims): Access,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let query = page.ok().and_then(|Query(page)| page.parse());
    let query = query.ok_or(Problem::MalformedRequest { expected: EXPECTED })?;
    let listed = service.list(claims, query).await?;
    let next_cursor = listed.next.map(|name| to_base64url(name.as_bytes()));
    let users = listed.users.into_iter().map(Entry::new).collect();
    Ok(json(StatusCode::OK, &Body { users, next_cursor }))
}
