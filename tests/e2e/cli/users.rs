//! `ratchet users` and `ratchet sessions`.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::{attempts::AttemptKey, challenge::Purpose, encoding::to_base64url};
use ratchet_store::Attempts;
use serde_json::json;

use super::unique;
use crate::support::{
    World,
    items::ids,
    logs::CANARY,
    people::Person,
    proxy::{Fault, Proxy},
    ring::parts,
    run,
};

#[test]
fn the_first_administrator_is_made_with_it() {
    run(async {
        let world = World::shared().await;
        let (name, password) = (unique("root"), unique(CANARY));
        world.add(&name, &password, &["--role", "admin", "--role", "reader"]).await.done();
        let tokens = world.api().authenticate(&name, &password).await.tokens();
        assert_eq!(parts(&tokens.access).1["roles"], json!(["admin", "reader"]));
        let shown = world.ratchet(&["--json", "users", "show", &name.to_uppercase()]).await;
        assert_eq!(shown.json()["roles"], json!(["admin", "reader"]));
        assert_eq!(shown.json()["email"], format!("{name}@example.com"));
        assert!(!shown.out.contains("$argon2"), "{shown:?}");
        let before = &name[..name.len() - 1];
        let listed = world.ratchet(&["users", "list", "--after", before, "--limit", "1"]).await;
        assert!(listed.done().starts_with(&name), "{listed:?}");
    });
}

#[test]
fn every_way_to_fail_has_its_exit_code() {
    run(async {
        let world = World::shared().await;
        let (name, password) = (unique("codes"), unique(CANARY));
        world.add(&name, &password, &[]).await.done();
        assert_eq!(world.add(&name, &password, &[]).await.code, 4, "taken");
        let weak = world.add(&unique("weak"), "Password", &[]).await;
        assert_eq!(weak.code, 5);
        assert!(weak.err.contains("too_short") && weak.err.contains("common"), "{weak:?}");
        assert_eq!(world.add("no name", &password, &[]).await.code, 5);
        assert_eq!(world.ratchet(&["users", "show", &unique("nobody")]).await.code, 3);
        assert_eq!(world.ratchet(&["users", "frobnicate"]).await.code, 2);
        let no_table = ["--tokens-table", "", "users", "list"];
        assert_eq!(world.ratchet(&no_table).await.code, 2);
        let nowhere = world.ratchet_with(&["users", "list"], "", "http://127.0.0.1:9").await;
        assert_eq!(nowhere.code, 1, "{nowhere:?}");
        // There is no way to give a password where other processes see it.
        let argument = ["users", "add", &name, "a@b.example", "--password", "x"];
        assert_eq!(world.ratchet(&argument).await.code, 2);
    });
}

#[test]
fn disabling_and_deleting_end_every_session_for_good() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        world.ratchet(&["users", "disable", &person.name]).await.done();
        assert!(world.session(&tokens.refresh).await.unwrap().revoked.is_some());
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 401);
        assert_eq!(world.try_sign_in(&person).await.code(), "invalid_credentials");
        world.ratchet(&["users", "enable", &person.name]).await.done();
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 401, "dead stays dead");
        let tokens = world.sign_in(&person).await;

        let kept = ["users", "delete", person.name.as_str()];
        let endpoint = world.stack().services().dynamodb().endpoint();
        assert_eq!(world.ratchet_with(&kept, "another\n", endpoint).await.code, 5);
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200);
        world.ratchet(&["users", "delete", &person.name, "--yes"]).await.done();
        let told = world.mail(&format!("{}@example.com", person.name).to_lowercase(), 1).await;
        assert!(told.subject.contains("deleted"), "{}", told.subject);
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 401);
        assert_eq!(world.try_sign_in(&person).await.code(), "invalid_credentials");
        // The name is free, and a new user with it is somebody else.
        world.add(&person.name, &person.password, &[]).await.done();
        let heir = world.sign_in(&person).await;
        assert_ne!(ids(&heir.refresh).user_id, person.id);
    });
}

#[test]
fn a_deletion_is_whole_or_nothing() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let email = format!("{}@example.com", person.name).to_lowercase();
        let proxy = Proxy::before(world.stack().services().dynamodb().endpoint()).await;
        let delete = ["users", "delete", &person.name, "--yes"];
        let endpoint = proxy.endpoint();

        proxy.break_all("TransactWriteItems", Fault::DENIED);
        assert_eq!(world.ratchet_with(&delete, "", &endpoint).await.code, 1);
        let tokens = world.api().refresh(&tokens.refresh).await.tokens();
        world.sign_in(&person).await;

        // The user is deleted and notified although the sessions cannot be revoked, and they end.
        world.api().post("/users/password-reset", json!({"email": email})).await;
        world.mail(&email, 1).await;
        let challenge = format!("challenge#{}#{}", Purpose::ResetPassword.as_str(), person.id);
        assert!(world.users_item(&challenge).await.is_some());
        proxy.heal();
        proxy.break_all("Query", Fault::DENIED);
        let half = world.ratchet_with(&delete, "", &endpoint).await;
        assert!(half.code == 1 && half.err.contains("is deleted"), "{half:?}");
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 401);
        world.mail(&email, 2).await;
        assert!(world.users_item(&challenge).await.is_none(), "it would prove whose address it is");
    });
}

/// The attribute values of an item that must not be shown, as they would appear in text.
fn secrets(item: &HashMap<String, AttributeValue>) -> Vec<String> {
    fn texts(value: &AttributeValue) -> Vec<String> {
        match value {
            AttributeValue::S(text) => vec![text.clone()],
            AttributeValue::B(bytes) => {
                let bytes = bytes.as_ref();
                let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                vec![to_base64url(bytes), hex.concat()]
            }
            AttributeValue::L(members) => members.iter().flat_map(texts).collect(),
            AttributeValue::M(members) => members.values().flat_map(texts).collect(),
            _ => Vec::new(),
        }
    }
    let names = ["password_hash", "token_hash", "superseded_1", "messages"];
    names.into_iter().filter_map(|name| item.get(name)).flat_map(texts).collect()
}

#[test]
fn a_person_gets_everything_that_is_kept_about_them_but_no_secret() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let ended = world.sign_in(&person).await;
        assert_eq!(world.api().logout(&ended.refresh).await.status, 204);
        let tokens = world.api().refresh(&tokens.refresh).await.tokens();
        let email = format!("{}@example.com", person.name).to_lowercase();
        world.api().authenticate(&email, "canary wrong").await;
        world.api().post("/users/password-reset", json!({"email": email})).await;
        world.mail(&email, 1).await;
        let claims = json!({"plan": "pro"});
        world.ratchet(&["users", "set-claims", &person.name, &claims.to_string()]).await.done();

        let run = world.ratchet(&["--json", "users", "export-one", &person.name]).await;
        let found = run.json();
        let account = &found["account"];
        assert_eq!(account["user_id"], person.id.to_string());
        assert_eq!(account["name"], person.name);
        assert_eq!(account["email"], email);
        assert_eq!(account["roles"], json!(["reader"]));
        assert_eq!(account["claims"], claims);
        assert!(account["created_at"].as_str().unwrap().starts_with("20"), "{account}");
        // A new attribute has to be shown, or added to this list on purpose.
        let internal = ["listing", "name_key", "password_hash", "pk", "version"];
        assert_eq!(account["withheld"], json!(internal));
        let sessions = found["sessions"].as_array().unwrap();
        let session = |id: &str| sessions.iter().find(|session| session["session_id"] == id);
        let live = session(&ids(&tokens.refresh).session_id.to_string()).unwrap();
        assert!(live.get("revoked_at").is_none() && live["source_ip"] == "127.0.0.1", "{live}");
        let over = session(&ids(&ended.refresh).session_id.to_string()).unwrap();
        assert_eq!(over["revoked_reason"], "logged_out");
        let internal = [
            "cut_seen",
            "generation",
            "superseded_1",
            "superseded_2",
            "superseded_3",
            "superseded_4",
            "token_hash",
            "user_id",
            "version",
        ];
        assert_eq!(live["withheld"], json!(internal));
        assert_eq!(found["messages"][0]["purpose"], "reset-password");
        assert_eq!(found["messages"][0]["email"], email);
        let attempts = found["failed_attempts"].as_array().unwrap();
        assert!(attempts.iter().any(|counted| counted["failures"] == 1), "{attempts:?}");

        let challenge = format!("challenge#{}#{}", Purpose::ResetPassword.as_str(), person.id);
        let items = [
            world.users_item(&format!("user#{}", person.id)).await.unwrap(),
            world.users_item(&challenge).await.unwrap(),
            world.item(&tokens.refresh).await,
        ];
        for item in &items {
            let secrets = secrets(item);
            assert!(!secrets.is_empty(), "{item:?}");
            for secret in secrets {
                assert!(!run.out.contains(&secret), "{secret} is in {}", run.out);
            }
        }
        let read = world.ratchet(&["users", "export-one", &email]).await;
        assert!(read.done().lines().count() > 20, "for people to read: {read:?}");
        assert_eq!(world.ratchet(&["users", "export-one", &unique("nobody")]).await.code, 3);
    });
}

/// The kinds of items in the users table that have a user's id or name. Each of them must expire.
async fn left_of(world: &World, person: &Person) -> BTreeSet<String> {
    let scan = world.stack().dynamodb().scan().consistent_read(true);
    let scan = scan.table_name(&world.stack().data().users_table);
    let mut pages = scan.into_paginator().send();
    let (id, name) = (person.id.to_string(), person.name.to_lowercase());
    let mut left = BTreeSet::new();
    while let Some(page) = pages.next().await {
        for item in page.unwrap().items.unwrap_or_default() {
            let text = format!("{item:?}").to_lowercase();
            if text.contains(&id) || text.contains(&name) {
                let key = item["pk"].as_s().unwrap();
                assert!(item.contains_key("expires_at"), "{key} would stay for ever");
                left.insert(key.split('#').next().unwrap().to_owned());
            }
        }
    }
    left
}

/// docs/account.md says what else remains, and for how long.
#[test]
fn nothing_but_what_is_documented_remains_of_a_deleted_user() {
    run(async {
        let world = World::shared().await;
        let (person, _) = world.signed_in().await;
        let email = format!("{}@example.com", person.name).to_lowercase();
        world.api().authenticate(&person.name, "canary wrong").await;
        world.api().post("/users/password-reset", json!({"email": email})).await;
        world.mail(&email, 1).await;
        world.ratchet(&["users", "delete", &person.name, "--yes"]).await.done();
        world.mail(&email, 2).await;

        // The mailer removes a letter after it has sent it.
        let sent = async {
            loop {
                let left = left_of(world, &person).await;
                if !left.contains("outbox") {
                    break left;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let left = tokio::time::timeout(Duration::from_secs(40), sent).await;
        let left = left.expect("the letter is removed from the outbox");
        assert_eq!(left, BTreeSet::from(["mails".to_owned()]));
        let sessions = world.sessions().list(person.id).await.unwrap().sessions;
        assert!(sessions.iter().all(|session| session.revoked.is_some()), "{sessions:?}");
        let document = include_str!("../../../docs/account.md");
        assert!(document.contains("| counters of messages, with the address |"));
    });
}

#[test]
fn sessions_are_listed_and_ended_one_or_all() {
    run(async {
        let world = World::shared().await;
        let (person, first) = world.signed_in().await;
        let (second, third) = (world.sign_in(&person).await, world.sign_in(&person).await);
        let listed = world.ratchet(&["--json", "sessions", "list", &person.name]).await;
        assert_eq!(listed.done().lines().count(), 3);
        let id = ids(&first.refresh).session_id.to_string();
        world.ratchet(&["sessions", "end", &person.name, &id]).await.done();
        assert_eq!(world.ratchet(&["sessions", "end", &person.name, &id]).await.code, 3);
        assert_eq!(world.api().refresh(&first.refresh).await.code(), "revoked");
        assert_eq!(world.api().refresh(&second.refresh).await.status, 200);
        world.ratchet(&["sessions", "end", &person.name]).await.done();
        assert_eq!(world.api().refresh(&third.refresh).await.code(), "revoked");
        for ended in [&first, &third] {
            let item = world.item(&ended.refresh).await;
            assert!(item.contains_key("published"), "others can learn of it: {item:?}");
        }
        let listed = world.ratchet(&["sessions", "list", &person.name]).await;
        assert_eq!(listed.done(), "");
    });
}

#[test]
fn roles_are_in_the_next_access_token() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        world.ratchet(&["users", "roles", &person.name, "auditor", "admin"]).await.done();
        let tokens = world.api().refresh(&tokens.refresh).await.tokens();
        assert_eq!(parts(&tokens.access).1["roles"], json!(["auditor", "admin"]));
        world.ratchet(&["users", "roles", &person.name]).await.done();
        let tokens = world.api().refresh(&tokens.refresh).await.tokens();
        assert_eq!(parts(&tokens.access).1["roles"], json!([]));
    });
}

#[test]
fn custom_claims_are_in_the_next_access_token() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let set = async |claims: &str| {
            world.ratchet(&["users", "set-claims", &person.name, claims]).await
        };
        set(r#"{ "tenant": "acme", "seats": 5 }"#).await.done();
        let tokens = world.api().refresh(&tokens.refresh).await.tokens();
        assert_eq!(parts(&tokens.access).1["tenant"], "acme");
        let reserved = set(r#"{"sub": "x"}"#).await;
        assert_eq!(reserved.code, 5, "{reserved:?}");
        assert!(reserved.err.contains("'sub' is reserved"), "{reserved:?}");
        assert_eq!(set("acme").await.code, 2);
        let shown = world.ratchet(&["--json", "users", "show", &person.name]).await;
        assert_eq!(shown.json()["claims"], json!({"tenant": "acme", "seats": 5}));
        let shown = world.ratchet(&["users", "show", &person.name]).await;
        assert!(shown.done().contains(r#"{"seats":5,"tenant":"acme"}"#), "{shown:?}");
        set("{}").await.done();
        let item = format!("user#{}", person.id);
        let tokens = world.api().refresh(&tokens.refresh).await.tokens();
        assert!(parts(&tokens.access).1["tenant"].is_null());
        assert!(!world.users_item(&item).await.unwrap().contains_key("claims"));
    });
}

#[test]
fn an_account_is_unlocked_without_a_new_password() {
    run(async {
        let world = World::beside("cli-unlock", &[("RATCHET_FAILURE_DELAY_SECONDS", "3600")]).await;
        let person = world.person().await;
        let email = format!("{}@example.com", person.name);
        for name in [&person.name, &email] {
            for _ in 0..5 {
                world.api().authenticate(name, "canary wrong").await;
            }
            let locked = world.api().authenticate(name, &person.password).await;
            assert_eq!(locked.status, 429, "{name}");
        }
        world.ratchet(&["users", "unlock", &person.name.to_uppercase()]).await.done();
        assert_eq!(world.try_sign_in(&person).await.status, 200);
        let by_address = world.api().authenticate(&email, &person.password).await;
        assert_eq!(by_address.status, 200, "sign-in takes either, and each has its counter");
        let table = world.stack().data().users_table.as_str();
        let attempts = Attempts::new(world.stack().dynamodb(), table);
        let left = attempts.find(&AttemptKey::account(&person.name)).await.unwrap();
        assert_eq!(left.map(|failures| failures.count), Some(0));
    });
}
