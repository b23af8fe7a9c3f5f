//! `/users/me/sessions`: what users see and end of their own sessions.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use http::StatusCode;
use ratchet_core::{ids::SessionId, session::Session, time::UnixSeconds};
use ratchet_http::{Problem, access::Access, json::json, path::PathId};
use ratchet_service::own_sessions::OwnSessions;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = SessionList))]
pub(crate) struct Body {
    sessions: Vec<Entry>,
}

/// One session. Times are in Unix seconds, as in JWTs.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = SessionEntry))]
struct Entry {
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    id: SessionId,
    current: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    user_agent: String,
    network: String,
    #[cfg_attr(feature = "contract", schema(value_type = u64))]
    signed_in_at: UnixSeconds,
    #[cfg_attr(feature = "contract", schema(value_type = u64))]
    refreshed_at: UnixSeconds,
    #[cfg_attr(feature = "contract", schema(value_type = u64))]
    idle_expires_at: UnixSeconds,
    #[cfg_attr(feature = "contract", schema(value_type = u64))]
    absolute_expires_at: UnixSeconds,
}

impl Entry {
    fn new(session: Session, current: SessionId) -> Self {
        Self {
            id: session.session_id,
            current: session.session_id == current,
            refreshed_at: session.refreshed_at().seconds(),
            device: session.device,
            user_agent: session.origin.user_agent,
            network: session.origin.network,
            signed_in_at: session.auth_time.seconds(),
            idle_expires_at: session.expires_at,
            absolute_expires_at: session.absolute_expires_at,
        }
    }
}

/// Lists the caller's live sessions, the most recently refreshed one first.
#[cfg_attr(feature = "contract", utoipa::path(
    get, path = "/users/me/sessions", operation_id = "listSessions",
    security(("accessToken" = [])),
    responses((
        status = 200, description = "The live sessions", body = Body,
        links(("endSession" = (
            operation_id = "endSession",
            parameters(("path.id" = "$response.body#/sessions/0/id")),
        ))),
        example = Body::example,
    )),
    extensions(("x-refusals" = json!(["session_ended"]))),
))]
pub(crate) async fn list(
    State(service): State<OwnSessions>,
    Access(claims): Access,
) -> Result<Response, Problem> {
    let sessions = service.list(&claims).await?;
    let sessions = sessions.into_iter().map(|session| Entry::new(session, claims.sid)).collect();
    Ok(json(StatusCode::OK, &Body { sessions }))
}

/// Ends one of the caller's sessions.
///
/// The id of another user's session counts as unknown.
#[cfg_attr(feature = "contract", utoipa::path(
    delete, path = "/users/me/sessions/{id}", operation_id = "endSession",
    security(("accessToken" = [])),
    params((
        "id" = String, Path, description = "`id` of a session in the list",
        example = json!(EXAMPLE),
    )),
    responses((status = 204, description = "The session has ended")),
    extensions(("x-refusals" = json!(["session_ended", "not_found"]))),
))]
pub(crate) async fn end(
    State(service): State<OwnSessions>,
    Access(claims): Access,
    PathId(id): PathId<SessionId>,
) -> Result<StatusCode, Problem> {
    service.end(&claims, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "contract", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
pub(crate) struct Scope {
    /// `current` spares the caller's own.
    #[cfg_attr(feature = "contract", param(inline, value_type = Option<Except>))]
    except: Option<String>,
}

#[cfg(feature = "contract")]
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "the API description reads it")]
enum Except {
    Current,
}

/// Ends all of the caller's sessions, or with `?except=current` all others.
#[cfg_attr(feature = "contract", utoipa::path(
    delete, path = "/users/me/sessions", operation_id = "endSessions",
    security(("accessToken" = [])),
    params(Scope),
    responses((status = 204, description = "The sessions have ended")),
    extensions(("x-refusals" = json!(["session_ended"]))),
))]
pub(crate) async fn end_all(
    State(service): State<OwnSessions>,
    Access(claims): Access,
    scope: Result<Query<Scope>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let spared = match scope.as_ref().map(|Query(scope)| scope.except.as_deref()) {
        Ok(None) => None,
        Ok(Some("current")) => Some(claims.sid),
        _ => return Err(Problem::MalformedRequest { expected: "no query, or except=current" }),
    };
    service.end_all(&claims, spared).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(feature = "contract")]
const EXAMPLE: SessionId =
    SessionId::from_bytes(0x01a2_0c41_e62f_73f0_9ec9_c690_7cba_724d_u128.to_be_bytes());

#[cfg(feature = "contract")]
impl Body {
    fn example() -> Self {
        let session = Entry {
            id: EXAMPLE,
            current: true,
            device: Some("Laptop".to_owned()),
            user_agent: "example/1.0".to_owned(),
            network: "203.0.113.0/24".to_owned(),
            signed_in_at: UnixSeconds::new(1_795_521_600),
            refreshed_at: UnixSeconds::new(1_795_521_900),
            idle_expires_at: UnixSeconds::new(1_798_113_900),
            absolute_expires_at: UnixSeconds::new(1_803_297_600),
        };
        Self { sessions: vec![session] }
    }
}
