//! `ratchet sessions …`.

use ratchet_core::{
    ids::{SessionId, UserId},
    session::{RevocationReason, Session},
    user::SessionsCut,
};
use serde::Serialize;

use crate::{
    arguments::SessionsCommand, connection::Connection, failure::Failure, output, time::now,
};

/// A session as it is printed; points in time are in Unix seconds.
#[derive(Serialize)]
struct Printed {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    user_agent: String,
    network: String,
    signed_in_at: u64,
    refreshed_at: u64,
    expires_at: u64,
}

pub(crate) async fn run(
    connection: &Connection,
    command: SessionsCommand,
    json: bool,
) -> Result<(), Failure> {
    match command {
        SessionsCommand::List { name } => {
            let user = connection.user(&name).await?.user;
            let list = connection.sessions.list(user.id).await?;
            for (id, error) in &list.unreadable {
                eprintln!("session {id} can not be read: {error}");
            }
            for session in list
                .sessions
                .into_iter()
                .filter(|session| session.ended(now()).is_none() && user.allows(session))
            {
                print(session, json)?;
            }
            Ok(())
        }
        SessionsCommand::End { name, id: None } => {
            let user = connection.user(&name).await?.user;
            let cut = SessionsCut { valid_after: now(), spared: None };
            let gone = || Failure::NotFound(format!("there is no user called {name}"));
            let cut = connection.users.cut_sessions(user.id, cut).await?.ok_or_else(gone)?;
            let reason = RevocationReason::EndedByAdministrator;
            revoke(connection, user.id, reason, |session| cut.ends(session)).await?;
            output::done(&format!("all sessions of {name} are ended"), json)
        }
        SessionsCommand::End { name, id: Some(id) } => {
            let user = connection.user(&name).await?.user;
            let missing = || Failure::NotFound(format!("{name} has no such session"));
            let session: SessionId = id.parse().map_err(|_| missing())?;
            let reason = RevocationReason::EndedByAdministrator;
            if connection.sessions.revoke(user.id, session, reason, now()).await? {
                output::done(&format!("session {id} is ended"), json)
            } else {
                Err(missing())
            }
        }
    }
}

/// Revokes the sessions that have ended with their user or by a cut, so that no rotation that read
/// the user before is written after this command has answered.
pub(crate) async fn revoke(
    connection: &Connection,
    user_id: UserId,
    reason: RevocationReason,
    ended: impl Fn(&Session) -> bool,
) -> Result<(), Failure> {
    let list = connection.sessions.list(user_id).await?;
    for session_id in list.to_revoke(None, ended) {
        connection.sessions.revoke(user_id, session_id, reason, now()).await?;
    }
    Ok(())
}

fn print(session: Session, json: bool) -> Result<(), Failure> {
    let printed = Printed {
        id: session.session_id.to_string(),
        refreshed_at: session.refreshed_at().seconds().get(),
        signed_in_at: session.auth_time.seconds().get(),
        expires_at: session.expires_at.get(),
        device: session.device,
        user_agent: session.origin.user_agent,
        network: session.origin.network,
    };
    if json {
        return output::json(&printed);
    }
    let Printed { id, network, user_agent, .. } = &printed;
    let device = printed.device.as_deref().unwrap_or("-");
    let idle = now().seconds().get().saturating_sub(printed.refreshed_at) / 60;
    output::line(&format!("{id}  {idle:>6} min ago  {network:<20} {device}  {user_agent}"))
}
