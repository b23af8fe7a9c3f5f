//! Clients.

use ratchet_core::{
    client::{Client, ClientName},
    entropy::random,
    ids::ClientId,
    secret::TokenSecret,
};
use ratchet_store::Clients;

use crate::support::{World, people::now, run};

#[test]
fn a_client_that_is_written_again_keeps_its_secret() {
    run(async {
        let world = World::shared().await;
        let table = world.stack().data().users_table.as_str();
        let clients = Clients::new(world.stack().dynamodb(), table);
        let client = |secret| Client {
            id: ClientId::generate(now(), &[7; 10]),
            name: ClientName::parse("orders").unwrap(),
            secret_hash: TokenSecret::new(secret).hash(),
        };
        let first = client(random().unwrap());
        clients.create(&first).await.unwrap();
        let again = Client { id: first.id, ..client(random().unwrap()) };
        clients.create(&again).await.unwrap();
        assert_eq!(clients.find(first.id).await.unwrap(), Some(first.clone()));
        clients.revoke(first.id).await.unwrap();
        clients.revoke(first.id).await.unwrap();
        assert_eq!(clients.find(first.id).await.unwrap(), None);
    });
}
