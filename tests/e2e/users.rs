//! `GET /users`.

use local::stack::StackOptions;
use serde_json::Value;

use crate::support::{Answer, World, run, world::cheap};

#[test]
fn users_are_listed_in_name_order_a_page_at_a_time() {
    run(async {
        let services = std::sync::Arc::clone(World::shared().await.stack().services());
        // Separate tables, so that only this test's users are listed.
        let options = StackOptions {
            name: "listing".to_owned(),
            concurrency: 1,
            services: Some(services),
            ..StackOptions::default()
        };
        let world = World::start(cheap(options)).await;
        let mut names = Vec::new();
        for _ in 0..7 {
            names.push(world.person().await.name);
        }
        names.sort_by_key(|name| name.to_lowercase());
        let (person, tokens) = world.signed_in().await;
        names.push(person.name);
        names.sort_by_key(|name| name.to_lowercase());

        let mut listed = Vec::new();
        let mut path = "/users?limit=3".to_owned();
        let mut pages = 0;
        loop {
            let answer = world.api().get(&path, &tokens.access).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.header("cache-control"), "no-store");
            let body = answer.json();
            pages += 1;
            for user in body["users"].as_array().unwrap() {
                let members: Vec<_> = user.as_object().unwrap().keys().collect();
                assert_eq!(members, ["id", "name"], "no hash, no address");
                listed.push(user["name"].as_str().unwrap().to_owned());
            }
            match &body["next_cursor"] {
                Value::String(cursor) => path = format!("/users?limit=3&cursor={cursor}"),
                Value::Null => break,
                other => panic!("{other}"),
            }
        }
        assert_eq!(listed, names);
        assert_eq!(pages, 3);
    });
}

#[test]
fn a_made_up_page_is_told_what_is_expected() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let long = format!("cursor={}", "YWFh".repeat(342));
        for query in ["limit=0", "limit=101", "limit=x", "limit=-1", "cursor=*", "cursor=_w", &long]
        {
            let refusal = world.api().get(&format!("/users?{query}"), &tokens.access).await;
            assert_eq!(refusal.problem(), (400, "malformed_request".to_owned()), "{query}");
        }
    });
}

#[test]
fn without_an_access_token_there_is_a_challenge_without_an_error() {
    run(async {
        let api = World::shared().await.api();
        let refusal = Answer::of(api.request("GET", "/users")).await;
        assert_eq!(refusal.problem(), (401, "missing_access_token".to_owned()));
        assert_eq!(refusal.header("www-authenticate"), r#"Bearer realm="ratchet""#);
        assert_eq!(refusal.header("is-token-expired"), "");
    });
}

#[test]
fn a_token_that_is_not_ours_is_invalid_and_not_expired() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        for token in ["x", "a.b.c", &tokens.refresh, &tokens.access[1..]] {
            let refusal = world.api().get("/users", token).await;
            assert_eq!(refusal.problem(), (401, "invalid_access_token".to_owned()), "{token}");
            assert!(refusal.header("www-authenticate").contains(r#"error="invalid_token""#));
            assert_eq!(refusal.header("is-token-expired"), "");
        }
    });
}

#[test]
fn a_token_in_the_query_is_not_read() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let path = format!("/users?access_token={}", tokens.access);
        let refusal = Answer::of(world.api().request("GET", &path)).await;
        assert_eq!(refusal.status, 401);
    });
}

#[test]
fn where_only_administrators_list_users_others_are_refused() {
    run(async {
        let world = World::beside("list-admin", &[("RATCHET_LIST_USERS", "admin")]).await;
        let (_, reader) = world.signed_in().await;
        let path = "/users?limit=1";
        let refused = world.api().get(path, &reader.access).await;
        assert_eq!(refused.problem(), (403, "forbidden".to_owned()));
        let own = world.api().get("/users/me", &reader.access).await;
        assert_eq!(own.status, 200, "their own account is theirs");
        let admin = world.person_with(|new| new.user.roles = vec!["admin".to_owned()]).await;
        let admin = world.sign_in(&admin).await;
        assert_eq!(world.api().get(path, &admin.access).await.status, 200);
        // By default every signed-in user may.
        let shared = World::shared().await;
        assert_eq!(shared.api().get(path, &reader.access).await.status, 200);
    });
}
