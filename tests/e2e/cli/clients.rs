//! `ratchet clients`.

use serde_json::Value;

use super::{Run, unique};
use crate::support::{World, run};

fn lines(listed: &Run) -> Vec<Value> {
    listed.done().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn clients_are_made_listed_without_secrets_and_revoked() {
    run(async {
        let world = World::shared().await;
        let ring = &world.stack().data().key_ring_secret;
        let name = unique("Orders");
        let made = world.make_client(ring, &name).await.json();
        let again = world.make_client(ring, &name).await.json();
        let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str());
        assert!(secret.unwrap().starts_with("rs1_"));
        assert_eq!(made["name"], name);
        let life = made["expires_at"].as_u64().unwrap() - made["created_at"].as_u64().unwrap();
        assert_eq!(life, 365 * 86_400);
        assert_ne!(made["client_secret"], again["client_secret"]);

        let item = world.users_item(&format!("client#{id}")).await.expect("a client");
        assert!(!format!("{item:?}").contains(secret.unwrap()), "hashed at rest");
        let own = async || -> Vec<Value> {
            let listed = lines(&world.ratchet(&["--json", "clients", "list"]).await);
            assert!(listed.iter().all(|client| client.get("client_secret").is_none()));
            listed.into_iter().filter(|client| client["name"] == name).collect()
        };
        let mut both = [&made, &again].map(|client| client["client_id"].clone()).to_vec();
        let listed =
            own().await.iter().map(|client| client["client_id"].clone()).collect::<Vec<_>>();
        both.retain(|id| !listed.contains(id));
        assert_eq!((listed.len(), both), (2, Vec::new()));
        let text = world.ratchet(&["clients", "list"]).await;
        assert!(text.done().lines().any(|line| line.starts_with(id) && line.ends_with(&name)));
        assert!(text.out.contains("365 days left") || text.out.contains("364 days left"));

        // They are no users. Other tests damage users on purpose, so the command may report some.
        let (person, tokens) = world.signed_in().await;
        let users = world.ratchet(&["--json", "users", "list", "--limit", "1000000"]).await;
        assert!(users.out.contains(&person.name) && !users.out.contains(&name));
        let seen = world.api().get(&format!("/users?name={name}"), &tokens.access).await;
        assert_eq!(seen.json()["users"], serde_json::json!([]));

        world.ratchet(&["clients", "revoke", id]).await.done();
        assert_eq!(own().await.len(), 1);
        assert!(world.users_item(&format!("client#{id}")).await.is_none());
    });
}

#[test]
fn what_is_wrong_with_a_client_has_its_exit_code() {
    run(async {
        let world = World::shared().await;
        let ring = &world.stack().data().key_ring_secret;
        for id in ["x", "01920000-0000-7000-8000-000000000000"] {
            assert_eq!(world.ratchet(&["clients", "revoke", id]).await.code, 3, "{id}");
        }
        assert_eq!(world.make_client(ring, " ").await.code, 5);
        assert_eq!(world.make_client(ring, &"n".repeat(65)).await.code, 5);
        assert_eq!(world.make_client("", "orders").await.code, 2, "without a key ring");
        assert_eq!(world.make_client("no-such-secret", "orders").await.code, 1);
        assert_eq!(world.ratchet(&["clients", "create"]).await.code, 2);
        let text = world.ratchet(&["clients", "frobnicate"]).await;
        assert_eq!(text.code, 2);
    });
}
