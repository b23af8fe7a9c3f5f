//! `ratchet clients …`.

use ratchet_core::{
    client::{ClientName, Credential, expires_at},
    entropy::random,
    ids::ClientId,
    jws::SignatureAlgorithm,
    key_ring::KeyRing,
    secret::TokenSecret,
};
use ratchet_service::Fault;
use ratchet_store::key_ring::versions::KeyRingVersions;
use serde::Serialize;

use crate::{
    arguments::{ClientsCommand, ConnectionArguments},
    connection::{self, Connection},
    failure::Failure,
    output,
    time::now,
};

/// A client as printed. Times are in Unix seconds.
#[derive(Serialize)]
struct Printed<'a> {
    client_id: String,
    /// Only when the client is created: the secret cannot be read afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    name: &'a str,
    created_at: u64,
    expires_at: u64,
}

impl<'a> Printed<'a> {
    fn new(id: ClientId, name: &'a str, client_secret: Option<&'a str>) -> Self {
        Self {
            client_id: id.to_string(),
            client_secret,
            name,
            created_at: id.created_at().seconds().get(),
            expires_at: expires_at(id).get(),
        }
    }
}

pub(crate) async fn run(
    arguments: &ConnectionArguments,
    connection: &Connection,
    command: ClientsCommand,
    json: bool,
) -> Result<(), Failure> {
    match command {
        ClientsCommand::Create { name } => {
            let name = ClientName::parse(&name);
            let name = name.map_err(|error| Failure::Refused(error.to_string()))?;
            create(&connection::key_ring(arguments).await?, connection, name, json).await
        }
        ClientsCommand::List => list(connection, json).await,
        ClientsCommand::Revoke { id } => revoke(connection, &id, json).await,
    }
}

async fn create(
    versions: &KeyRingVersions,
    connection: &Connection,
    name: ClientName,
    json: bool,
) -> Result<(), Failure> {
    let now = now();
    // The configured algorithm is not known here, and does not matter for tag keys.
    let ring = KeyRing::read(&versions.current().await?.ring, SignatureAlgorithm::default())
        .map_err(|error| Failure::Refused(error.to_string()))?;
    let key = ring.tagger(now.seconds()).ok_or(Fault::NoTagKey)?;
    let drawn = |error| Failure::machine(&error);
    let id = ClientId::generate(now, &random().map_err(drawn)?);
    let credential = Credential::new(id, TokenSecret::new(random().map_err(drawn)?));
    let secret = credential.encode(key);
    let client = credential.client(name);
    connection.clients.create(&client).await?;
    let printed = Printed::new(id, client.name.as_str(), Some(secret.expose()));
    if json {
        return output::json(&printed);
    }
    output::line(&format!("client_id      {id}"))?;
    output::line(&format!("client_secret  {}", secret.expose()))?;
    output::warning("the secret is not shown again")
}

async fn list(connection: &Connection, json: bool) -> Result<(), Failure> {
    let now = now().seconds();
    for client in connection.clients.list().await? {
        let printed = Printed::new(client.id, &client.name, None);
        if json {
            output::json(&printed)?;
            continue;
        }
        let left = expires_at(client.id).seconds_since(now) / 86_400;
        let Printed { client_id, name, .. } = printed;
        output::line(&format!("{client_id}  {left:>3} days left  {name}"))?;
    }
    Ok(())
}

async fn revoke(connection: &Connection, id: &str, json: bool) -> Result<(), Failure> {
    let missing = || Failure::NotFound(format!("there is no client with the id {id}"));
    let client: ClientId = id.parse().map_err(|_| missing())?;
    // A damaged client is revoked all the same.
    if let Ok(None) = connection.clients.find(client).await {
        return Err(missing());
    }
    connection.clients.revoke(client).await?;
    output::done(&format!("the client {id} is revoked"), json)
}
