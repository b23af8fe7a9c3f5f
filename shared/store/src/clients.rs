//! Clients that may introspect tokens, in the users table.
//!
//! The item `client#<id>` has the name and the hash of the secret. TTL removes it after the
//! credential has expired, and revoking the client deletes it. The index `names` lists clients, in
//! a partition of their own.

use aws_sdk_dynamodb::Client as DynamoDb;
use ratchet_core::{
    client::{Client, ClientName, expires_at},
    ids::ClientId,
    secret::SecretHash,
};

use crate::{
    StoreError,
    conditions::{EXPIRES_AT, is_new},
    item::{Item, Reader, VERSION, VERSION_NAME, binary, number, string},
    users::NAMES_INDEX,
    write::{Write, pk},
};

/// The partition of the index that holds every client.
const LISTING: &str = "clients";

/// The prefix of the keys.
const PREFIX: &str = "client#";

/// The clients.
#[derive(Debug, Clone)]
pub struct Clients {
    client: DynamoDb,
    table: String,
}

/// A client in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedClient {
    /// The client's id.
    pub id: ClientId,
    /// What operators call it.
    pub name: String,
}

impl Clients {
    /// The clients in the users table called `table`.
    #[must_use]
    pub fn new(client: DynamoDb, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Writes a new client.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create(&self, new: &Client) -> Result<(), StoreError> {
        let put = Write::put(&self.table, to_item(new)).when(is_new());
        // An id has 74 random bits, so an existing item is from an earlier attempt at this write.
        put.send(&self.client).await.map(drop)
    }

    /// The client with that id, read consistently.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, id: ClientId) -> Result<Option<Client>, StoreError> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.set_key(Some(pk(key(id))));
        let output = get.send().await.map_err(|error| StoreError::new("GetItem", error))?;
        output.item.as_ref().map(|item| from_item(id, item)).transpose()
    }

    /// All clients in the order of their names, including expired ones that TTL has not removed
    /// yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self) -> Result<Vec<ListedClient>, StoreError> {
        let mut clients = Vec::new();
        let mut start = None;
        loop {
            let query = self.client.query().table_name(&self.table).index_name(NAMES_INDEX);
            let output = query
                .key_condition_expression("listing = :listing")
                .expression_attribute_values(":listing", string(LISTING))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| StoreError::new("Query", error))?;
            for item in output.items.unwrap_or_default() {
                clients.push(to_listed(&item)?);
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(clients);
            }
        }
    }

    /// Revokes a client: its credential is refused from now on. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke(&self, id: ClientId) -> Result<(), StoreError> {
        Write::delete(&self.table, pk(key(id))).send(&self.client).await.map(drop)
    }
}

fn key(id: ClientId) -> String {
    format!("{PREFIX}{id}")
}

fn to_item(client: &Client) -> Item {
    let name = string(client.name.as_str());
    Item::from([
        ("pk".to_owned(), string(key(client.id))),
        (VERSION_NAME.to_owned(), number(VERSION)),
        ("listing".to_owned(), string(LISTING)),
        ("name_key".to_owned(), name.clone()),
        ("name".to_owned(), name),
        ("secret_hash".to_owned(), binary(client.secret_hash.as_bytes())),
        (EXPIRES_AT.to_owned(), number(expires_at(client.id).get())),
    ])
}

fn from_item(id: ClientId, item: &Item) -> Result<Client, StoreError> {
    let item = Reader(item);
    item.readable()?;
    Ok(Client {
        id,
        name: ClientName::parse(item.string("name")?)
            .map_err(|_| StoreError::MalformedItem("name"))?,
        secret_hash: SecretHash::from_bytes(item.bytes("secret_hash")?),
    })
}

fn to_listed(item: &Item) -> Result<ListedClient, StoreError> {
    let item = Reader(item);
    let id = item.string("pk")?.strip_prefix(PREFIX).and_then(|id| id.parse().ok());
    let id = id.ok_or(StoreError::MalformedItem("pk"))?;
    Ok(ListedClient { id, name: item.string("name")?.to_owned() })
}

#[cfg(test)]
mod tests {
    use ratchet_core::{secret::TokenSecret, time::UnixMillis};

    use super::*;

    fn client() -> Client {
        Client {
            id: ClientId::generate(UnixMillis::new(1_780_000_000_000), &[1; 10]),
            name: ClientName::parse("Orders API").unwrap(),
            secret_hash: TokenSecret::new([4; 32]).hash(),
        }
    }

    #[test]
    fn a_client_reads_back_as_written() {
        let item = to_item(&client());
        assert_eq!(from_item(client().id, &item).unwrap(), client());
        let listed = ListedClient { id: client().id, name: "Orders API".to_owned() };
        assert_eq!(to_listed(&item).unwrap(), listed);
    }

    #[test]
    fn its_item_has_no_secret_is_no_user_and_expires_with_the_credential() {
        let item = to_item(&client());
        let hash = binary(client().secret_hash.as_bytes());
        assert!(item.values().all(|value| !value.is_b() || *value == hash));
        assert_eq!(item["listing"], string("clients"));
        assert_eq!(item["expires_at"], number(1_780_000_000_u64 + 365 * 86_400));
    }

    #[test]
    fn damaged_clients_and_those_of_later_releases_are_not_read() {
        let id = client().id;
        for (name, value) in [
            ("secret_hash", binary(&[1; 31])),
            ("secret_hash", string("x")),
            ("name", string("")),
            (VERSION_NAME, number(VERSION + 1)),
        ] {
            let mut item = to_item(&client());
            item.insert(name.to_owned(), value);
            assert!(from_item(id, &item).is_err(), "{name}");
        }
    }
}
