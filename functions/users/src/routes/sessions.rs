//! `/users/me/sessions`: what users see and end of their own sessions.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use http::StatusCode;
use ratchet_core::{ids::SessionId, session::Session, time::UnixSeconds};
use ratchet_http::{Problem, bearer::Bearer, json::json, path::PathId};
use ratchet_service::own_sessions::OwnSessions;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "SessionList"))]
pub(crate) struct Body {
    sessions: Vec<Entry>,
}

/// One session. Times are in Unix seconds, as in JWTs.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "SessionEntry"))]
struct Entry {
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
    id: SessionId,
    current: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    user_agent: String,
    network: String,
    #[cfg_attr(feature = "contract", schemars(with = "u64"))]
    signed_in_at: UnixSeconds,
    #[cfg_attr(feature = "contract", schemars(with = "u64"))]
    refreshed_at: UnixSeconds,
    #[cfg_attr(feature = "contract", schemars(with = "u64"))]
    idle_expires_at: UnixSeconds,
    #[cfg_attr(feature = "contract", schemars(with = "u64"))]
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
pub(crate) async fn list(
    State(service): State<OwnSessions>,
    Bearer(claims): Bearer,
) -> Result<Response, Problem> {
    let sessions = service.list(&claims).await?;
    let sessions = sessions.into_iter().map(|session| Entry::new(session, claims.sid)).collect();
    Ok(json(StatusCode::OK, &Body { sessions }))
}

/// Ends one of the caller's sessions. Other users' ids are as unknown as those of no session.
pub(crate) async fn end(
    State(service): State<OwnSessions>,
    Bearer(claims): Bearer,
    PathId(id): PathId<SessionId>,
) -> Result<StatusCode, Problem> {
    service.end(&claims, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema))]
pub(crate) struct Scope {
    /// `current` spares the caller's own.
    #[cfg_attr(feature = "contract", schemars(with = "String", extend("enum" = ["current"])))]
    except: Option<String>,
}

/// Ends all of the caller's sessions, or with `?except=current` all others.
pub(crate) async fn end_all(
    State(service): State<OwnSessions>,
    Bearer(claims): Bearer,
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
