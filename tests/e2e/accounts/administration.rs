//! `/users/{id}`.

use serde_json::json;

use super::{admin, patch};
use crate::support::{World, run};

#[test]
fn administrators_and_nobody_else_disable_and_set_roles() {
    run(async {
        let world = World::shared().await;
        let (boss, access) = admin(world).await;
        let (person, tokens) = world.signed_in().await;
        let path = format!("/users/{}", person.id);
        for answer in [
            world.api().get(&path, &tokens.access).await,
            patch(world, &path, &tokens.access, json!({"roles": ["admin"]})).await,
            world.api().delete(&path, &tokens.access).await,
            world.api().delete(&format!("{path}/sessions"), &tokens.access).await,
            patch(world, &format!("/users/{}", boss.id), &access, json!({"roles": []})).await,
        ] {
            assert_eq!(answer.problem(), (403, "forbidden".to_owned()));
        }
        let listed = format!("/users?name={}", person.name);
        let seen = world.api().get(&listed, &access).await.json();
        assert_eq!(seen["users"][0]["status"], "active");
        assert!(seen["users"][0]["email"].is_string() && seen["users"][1].is_null(), "{seen}");
        let seen = world.api().get(&listed, &tokens.access).await.json();
        assert!(seen["users"][0]["email"].is_null(), "{seen}");

        let shown = patch(world, &path, &access, json!({"roles": ["editor"]})).await;
        assert_eq!(shown.json()["roles"], json!(["editor"]));
        let tokens = world.api().refresh(&tokens.refresh).await.tokens();
        let (_, claims) = crate::support::ring::parts(&tokens.access);
        assert_eq!(claims["roles"], json!(["editor"]), "fresh at every refresh");

        assert_eq!(world.api().delete(&format!("{path}/sessions"), &access).await.status, 204);
        assert_eq!(world.api().refresh(&tokens.refresh).await.code(), "revoked");
        let tokens = world.sign_in(&person).await;
        let shown = patch(world, &path, &access, json!({"status": "disabled"})).await;
        assert_eq!(shown.json()["status"], "disabled");
        assert_eq!(world.api().refresh(&tokens.refresh).await.code(), "user_disabled");
        assert_eq!(world.try_sign_in(&person).await.code(), "invalid_credentials");
        patch(world, &path, &access, json!({"status": "active"})).await;
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 401, "dead stays dead");
        assert_eq!(world.try_sign_in(&person).await.status, 200);
        assert_eq!(world.api().delete(&path, &access).await.status, 204);
        assert_eq!(world.api().get(&path, &access).await.code(), "not_found");
        // A role that was taken away is not enough while the token lasts.
        let roles = aws_sdk_dynamodb::types::AttributeValue::L(Vec::new());
        world.set_user(boss.id, "roles", roles).await;
        assert_eq!(world.api().get(&path, &access).await.code(), "forbidden");
        let (other, _) = world.signed_in().await;
        let listed = format!("/users?name={}", other.name);
        let seen = world.api().get(&listed, &access).await.json();
        assert!(seen["users"][0]["name"].is_string(), "{seen}");
        assert!(seen["users"][0]["email"].is_null(), "{seen}");
    });
}
