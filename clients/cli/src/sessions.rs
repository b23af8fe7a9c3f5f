//! `ratchet sessions …`.

use ratchet_core::{
    ids::SessionId,
    session::{RevocationReason, Session},
};
use serde::Serialize;

use crate::{
    arguments::SessionsCommand, connection::Connection, failure::Failure, output, time::now,
};

/// Why operators end sessions.
const REASON: RevocationReason = RevocationReason::EndedByAdministrator;

/// A session as printed. Times are in Unix seconds.
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
                eprintln!("session {id} cannot be read: {error}");
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
            let ended = connection.end_sessions.end_all(user.id, None, REASON).await;
            ended.map_err(Failure::end_all(&name))?;
            output::done(&format!("all sessions of {name} are ended"), json)
        }
        SessionsCommand::End { name, id: Some(id) } => {
            let user = connection.user(&name).await?.user;
            let missing = || Failure::NotFound(format!("{name} has no such session"));
            let session: SessionId = id.parse().map_err(|_| missing())?;
            if connection.end_sessions.end(user.id, session, REASON, now()).await? {
                output::done(&format!("session {id} is ended"), json)
            } else {
                Err(missing())
            }
        }
    }
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
