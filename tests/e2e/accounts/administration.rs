//! `/users/{id}`.

use serde_json::json;

use super::{admin, patch};
use crate::support::{World, ring::parts, run};

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
        let (_, claims) = parts(&tokens.access);
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

#[test]
fn administrators_set_custom_claims_which_are_in_the_next_access_token() {
    run(async {
        let world = World::shared().await;
        let (_, access) = admin(world).await;
        let (person, tokens) = world.signed_in().await;
        let path = format!("/users/{}", person.id);
        assert_eq!(world.api().get(&path, &access).await.json()["claims"], json!({}));
        let claims = json!({"tenant": "acme", "plan": {"name": "pro", "seats": 5}});
        let shown = patch(world, &path, &access, json!({"claims": claims})).await.json();
        assert_eq!((&shown["claims"], &shown["roles"]), (&claims, &json!(["reader"])));
        let tokens = world.api().refresh(&tokens.refresh).await.tokens();
        let (_, said) = parts(&tokens.access);
        assert_eq!((&said["tenant"], &said["plan"]), (&claims["tenant"], &claims["plan"]));
        let own = world.api().get("/users/me", &tokens.access).await.json();
        assert_eq!(own["claims"], claims);

        for (refused, detail) in [
            (json!({"tenant": "acme", "sub": person.id}), "'sub' is reserved"),
            (json!({"Roles": ["admin"]}), "'roles' is reserved"),
            (json!({"a b": 1}), "printable ASCII"),
            (json!({"a": "x".repeat(1_017)}), "1024 bytes"),
        ] {
            let refusal = patch(world, &path, &access, json!({"claims": refused})).await;
            assert_eq!(refusal.problem(), (422, "claims_refused".to_owned()), "{refused}");
            assert!(refusal.json()["detail"].as_str().unwrap().contains(detail), "{refusal:?}");
        }
        for malformed in [json!([]), json!("{}"), json!(1)] {
            let refusal = patch(world, &path, &access, json!({"claims": malformed})).await;
            assert_eq!(refusal.problem(), (400, "malformed_request".to_owned()), "{malformed}");
        }
        // Nobody sets their own.
        let own = patch(world, "/users/me", &tokens.access, json!({"claims": {}})).await;
        assert_eq!(own.problem(), (400, "malformed_request".to_owned()));
        assert_eq!(world.api().get(&path, &access).await.json()["claims"], claims, "as before");

        let longest = json!({"a": "x".repeat(1_016)});
        let shown = patch(world, &path, &access, json!({"claims": longest})).await.json();
        assert_eq!(shown["claims"], longest);
        let tokens = world.sign_in(&person).await;
        assert_eq!(parts(&tokens.access).1["a"], longest["a"]);
        assert_eq!(world.api().get("/users/me", &tokens.access).await.status, 200);

        let shown = patch(world, &path, &access, json!({"claims": {}})).await.json();
        assert_eq!(shown["claims"], json!({}));
        let tokens = world.api().refresh(&tokens.refresh).await.tokens();
        assert!(parts(&tokens.access).1["a"].is_null(), "fresh at every refresh");
    });
}
