//! `/users/me/sessions`: what a user can see and end.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use http::StatusCode;
use ratchet_core::{
    access_token::Claims,
    ids::SessionId,
    session::{RevocationReason, Session},
    time::{UnixMillis, UnixSeconds},
    user::User,
};
use ratchet_http::{
    App, Problem,
    bearer::Bearer,
    clock,
    ending::end_sessions,
    events::{SecurityEvent, record},
    path::PathId,
    tokens::json,
};
use ratchet_store::sessions::SessionList;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema), schemars(rename = "SessionList"))]
pub(crate) struct Body {
    sessions: Vec<Entry>,
}

/// One session. Points in time are in Unix seconds, as in JWTs.
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

/// Lists the caller's live sessions, the one refreshed last first.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Bearer(claims): Bearer,
) -> Result<Response, Problem> {
    let (_, mut sessions) = live_sessions(&app, &claims, clock::now()).await?;
    sessions.sort_by_key(|session| std::cmp::Reverse(session.refreshed_at()));
    let entry = |session: Session| Entry {
        id: session.session_id,
        current: session.session_id == claims.sid,
        refreshed_at: session.refreshed_at().seconds(),
        device: session.device,
        user_agent: session.origin.user_agent,
        network: session.origin.network,
        signed_in_at: session.auth_time.seconds(),
        idle_expires_at: session.expires_at,
        absolute_expires_at: session.absolute_expires_at,
    };
    Ok(json(StatusCode::OK, &Body { sessions: sessions.into_iter().map(entry).collect() }))
}

/// Ends one session of the caller's. Somebody else's id is as unknown as one that never was.
pub(crate) async fn end(
    State(app): State<Arc<App>>,
    Bearer(claims): Bearer,
    PathId(id): PathId<SessionId>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let (_, sessions) = live_sessions(&app, &claims, now).await?;
    if !sessions.iter().any(|session| session.session_id == id) {
        return Err(Problem::NotFound);
    }
    revoke(&app, &claims, id, RevocationReason::EndedByUser, now).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema))]
pub(crate) struct Scope {
    /// `current` spares the caller's own.
    #[cfg_attr(feature = "contract", schemars(with = "String", extend("enum" = ["current"])))]
    except: Option<String>,
}

/// Ends all sessions of the caller's, or with `?except=current` all others.
pub(crate) async fn end_all(
    State(app): State<Arc<App>>,
    Bearer(claims): Bearer,
    scope: Result<Query<Scope>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let spared = match scope.as_ref().map(|Query(scope)| scope.except.as_deref()) {
        Ok(None) => None,
        Ok(Some("current")) => Some(claims.sid),
        _ => return Err(Problem::MalformedRequest { expected: "no query, or except=current" }),
    };
    live_sessions(&app, &claims, now).await?;
    end_sessions(&app, claims.sub, spared, RevocationReason::EndedEverywhere).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's live sessions. The one that the access token is of must be among them: an access
/// token outlives its session by a few minutes, and must not be able to manage sessions then.
async fn live_sessions(
    app: &App,
    claims: &Claims,
    now: UnixMillis,
) -> Result<(User, Vec<Session>), Problem> {
    let (user, list) = tokio::join!(app.users.find(claims.sub), app.sessions.list(claims.sub));
    let (user, SessionList { mut sessions, unreadable }) =
        (user?.ok_or(Problem::SessionEnded)?, list?);
    if let Some((_, error)) = unreadable.into_iter().find(|(id, _)| *id == claims.sid) {
        return Err(error.into());
    }
    sessions.retain(|session| session.ended(now).is_none() && user.allows(session));
    if sessions.iter().any(|session| session.session_id == claims.sid) {
        Ok((user, sessions))
    } else {
        Err(Problem::SessionEnded)
    }
}

async fn revoke(
    app: &App,
    claims: &Claims,
    id: SessionId,
    reason: RevocationReason,
    now: UnixMillis,
) -> Result<(), Problem> {
    if app.sessions.revoke(claims.sub, id, reason, now).await? {
        record(SecurityEvent::SessionRevoked { reason }, Some(claims.sub), Some(id));
    }
    Ok(())
}
