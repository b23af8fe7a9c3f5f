//! `POST /refresh`, one client at a time.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;

use crate::support::{
    World,
    items::ids,
    people::now,
    ring::{KID, altered, known, signing_secret},
    run,
};

const WINDOW: Duration = Duration::from_secs(60);

#[test]
fn each_refresh_token_leads_to_the_next() {
    run(async {
        let world = World::shared().await;
        let (_, mut tokens) = world.signed_in().await;
        for generation in 1..=3 {
            let next = world.api().refresh(&tokens.refresh).await.tokens();
            assert_eq!(ids(&next.refresh).generation, generation);
            assert_ne!(next.access, tokens.access);
            tokens = next;
        }
    });
}

#[test]
fn an_answer_is_complete_and_not_stored() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let body = json!({"Refresh_Token": tokens.refresh, "Access_Token": tokens.access});
        let answer = world.api().post("/refresh", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let body = answer.json();
        for name in
            ["expires_in", "refresh_token_expires_in", "session_expires_in", "refresh_after"]
        {
            assert!(body[name].is_u64(), "{name}");
        }
    });
}

#[test]
fn an_expired_access_token_is_told_so_and_is_welcome_when_refreshing() {
    run(async {
        let world = World::beside("short", &[("RATCHET_ACCESS_TOKEN_SECONDS", "1")]).await;
        let (_, tokens) = world.signed_in().await;
        let expired = loop {
            let answer = world.api().get("/users", &tokens.access).await;
            if answer.status == 401 {
                break answer;
            }
            assert_eq!(answer.status, 200);
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        assert_eq!(expired.code(), "expired_access_token");
        assert_eq!(expired.header("is-token-expired"), "true");
        assert!(expired.header("www-authenticate").contains("invalid_token"));
        let body = json!({"refresh_token": tokens.refresh, "access_token": tokens.access});
        // Where the next one lasts longer than this machine takes to present it.
        let api = World::shared().await.api();
        let next = api.post("/refresh", body).await.tokens();
        assert_eq!(api.get("/users", &next.access).await.status, 200);
    });
}

#[test]
fn an_access_token_of_another_user_or_session_is_refused_and_the_session_is_untouched() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let other_session = world.sign_in(&person).await;
        let (_, other_user) = world.signed_in().await;
        let before = world.session(&tokens.refresh).await;
        let (input, _) = tokens.access.rsplit_once('.').unwrap();
        for access in [&other_session.access, &other_user.access, input, "x", &tokens.refresh] {
            let body = json!({"refresh_token": tokens.refresh, "access_token": access});
            let refusal = world.api().post("/refresh", body).await;
            assert_eq!(refusal.problem(), (401, "access_token_mismatch".to_owned()), "{access}");
        }
        assert_eq!(world.session(&tokens.refresh).await, before);
    });
}

#[test]
fn after_a_lost_answer_the_same_token_leads_to_the_same_successor() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let lost = world.api().refresh(&tokens.refresh).await.tokens();
        for _ in 0..3 {
            let again = world.api().refresh(&tokens.refresh).await.tokens();
            assert_eq!(again.refresh, lost.refresh);
        }
        assert_eq!(world.session(&tokens.refresh).await.unwrap().generation, 1);
    });
}

#[test]
fn every_ancestor_within_the_window_leads_to_the_live_token() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let mut chain = vec![tokens.refresh];
        for _ in 0..4 {
            let live = chain.last().unwrap();
            chain.push(world.api().refresh(live).await.tokens().refresh);
        }
        for ancestor in &chain {
            let answer = world.api().refresh(ancestor).await.tokens();
            assert_eq!(&answer.refresh, chain.last().unwrap());
        }
        assert_eq!(world.session(&chain[0]).await.unwrap().generation, 4);
    });
}

#[test]
fn a_token_superseded_before_the_window_ends_the_session() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        let live = world.api().refresh(&next.refresh).await.tokens();
        world.age_superseded(&tokens.refresh, WINDOW).await;
        for token in [&tokens.refresh, &next.refresh, &live.refresh, &tokens.refresh] {
            let refusal = world.api().refresh(token).await;
            assert_eq!(refusal.problem(), (401, "reuse_detected".to_owned()));
            assert!(refusal.body.contains("Invalid attempt!"));
        }
        let revoked = world.session(&live.refresh).await.unwrap().revoked.unwrap();
        assert_eq!(revoked.reason.as_str(), "reuse_detected");
        let id = ids(&live.refresh).session_id.to_string();
        let log = world.log_text();
        let event = log.lines().find(|line| line.contains("reuse_detected") && line.contains(&id));
        let event: serde_json::Value = serde_json::from_str(event.unwrap()).unwrap();
        assert_eq!(event["event"], "reuse_detected");
        assert_eq!(event["kind"], "superseded");
    });
}

#[test]
fn the_live_token_is_good_whatever_the_age_of_the_others() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let live = world.api().refresh(&tokens.refresh).await.tokens();
        world.age_superseded(&tokens.refresh, WINDOW).await;
        assert_eq!(world.api().refresh(&live.refresh).await.status, 200);
    });
}

#[test]
fn expiry_holds_although_the_item_is_still_there() {
    run(async {
        let world = World::shared().await;
        for (attribute, code) in
            [("expires_at", "expired_idle"), ("absolute_expires_at", "expired_absolute")]
        {
            let (_, tokens) = world.signed_in().await;
            let seconds = now().seconds().get();
            world.set_number(&tokens.refresh, attribute, seconds + 60).await;
            let next = world.api().refresh(&tokens.refresh).await.tokens();
            world.set_number(&tokens.refresh, attribute, seconds).await;
            let before = world.session(&tokens.refresh).await;
            for token in [&tokens.refresh, &next.refresh] {
                assert_eq!(world.api().refresh(token).await.problem(), (401, code.to_owned()));
            }
            assert_eq!(world.session(&tokens.refresh).await, before, "nothing is written");
        }
    });
}

#[test]
fn refreshing_slides_the_idle_end_and_never_the_absolute_one() {
    run(async {
        let settings = [("RATCHET_IDLE_SECONDS", "100"), ("RATCHET_ABSOLUTE_SECONDS", "101")];
        let world = World::beside("short-sessions", &settings).await;
        let (_, tokens) = world.signed_in().await;
        let first = world.session(&tokens.refresh).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        let answer = world.api().refresh(&tokens.refresh).await;
        let second = world.session(&tokens.refresh).await.unwrap();
        assert_eq!(second.absolute_expires_at, first.absolute_expires_at);
        assert_eq!(second.expires_at, first.absolute_expires_at);
        assert_eq!(answer.json()["refresh_token_expires_in"], answer.json()["session_expires_in"]);
    });
}

#[test]
fn a_session_that_ttl_deleted_is_unknown() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        world.delete_item(&tokens.refresh).await;
        let refusal = world.api().refresh(&tokens.refresh).await;
        assert_eq!(refusal.problem(), (401, "unknown".to_owned()));
        assert_eq!(world.session(&tokens.refresh).await, None, "no item comes out of nothing");
        assert_eq!(world.api().logout(&tokens.refresh).await.status, 204);
    });
}

#[test]
fn a_table_restored_from_a_backup_raises_no_alarm() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let backup = world.item(&tokens.refresh).await;
        let ahead = world.api().refresh(&tokens.refresh).await.tokens();
        world.put_item(backup).await;
        let refusal = world.api().refresh(&ahead.refresh).await;
        assert_eq!(refusal.problem(), (401, "unknown".to_owned()));
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200, "the session lives");
    });
}

#[test]
fn a_second_history_of_one_session_is_theft() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let backup = world.item(&tokens.refresh).await;
        let first_history = world.api().refresh(&tokens.refresh).await.tokens();
        world.put_item(backup).await;
        let second_history = world.api().refresh(&tokens.refresh).await.tokens();
        let refusal = world.api().refresh(&first_history.refresh).await;
        assert_eq!(refusal.problem(), (401, "reuse_detected".to_owned()));
        assert_eq!(world.api().refresh(&second_history.refresh).await.status, 401);
    });
}

#[test]
fn a_disabled_or_deleted_user_is_refused_and_the_session_ends() {
    run(async {
        let world = World::shared().await;
        let (disabled, tokens) = world.signed_in().await;
        let status = |name: &str| AttributeValue::S(name.to_owned());
        world.set_user(disabled.id, "status", status("disabled")).await;
        let refusal = world.api().refresh(&tokens.refresh).await;
        assert_eq!(refusal.problem(), (401, "user_disabled".to_owned()));
        world.set_user(disabled.id, "status", status("active")).await;
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 401, "dead stays dead");

        let (deleted, tokens) = world.signed_in().await;
        world.delete_user(deleted.id).await;
        let refusal = world.api().refresh(&tokens.refresh).await;
        assert_eq!(refusal.problem(), (401, "user_disabled".to_owned()));
        assert!(world.session(&tokens.refresh).await.unwrap().revoked.is_some());
    });
}

#[test]
fn roles_are_fresh_at_every_refresh() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let roles = AttributeValue::L(vec![AttributeValue::S("admin".to_owned())]);
        world.set_user(person.id, "roles", roles).await;
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        assert_eq!(crate::support::ring::parts(&next.access).1["roles"], json!(["admin"]));
    });
}

#[test]
fn a_damaged_session_is_a_generic_500_and_stays_as_it_is() {
    run(async {
        let world = World::shared().await;
        for attribute in [
            "generation",
            "token_hash",
            "auth_time",
            "cut_seen",
            "absolute_expires_at",
            "expires_at",
            "source_ip",
            "device",
            "amr",
            "superseded_1",
            "superseded_2",
            "superseded_3",
            "superseded_4",
            "revoked_at",
        ] {
            let (_, tokens) = world.signed_in().await;
            let mut item = world.item(&tokens.refresh).await;
            let damage = match attribute {
                // The key of an index is of its type; there is no reason beside it.
                "revoked_at" => AttributeValue::N("1".to_owned()),
                _ => AttributeValue::Bool(true),
            };
            item.insert(attribute.to_owned(), damage);
            world.put_item(item.clone()).await;
            let answer = world.api().refresh(&tokens.refresh).await;
            assert_eq!(answer.problem(), (500, "internal".to_owned()), "{attribute}");
            assert_eq!(world.item(&tokens.refresh).await, item, "{attribute}");
        }
    });
}

#[test]
fn an_unknown_key_id_makes_the_ring_look_for_a_newer_one() {
    run(async {
        let shared = World::shared().await;
        let secret = shared.secret("rotating-ring", &known(&[]).to_string()).await;
        let world = World::beside("rotating", &[("RATCHET_KEY_RING_SECRET", &secret)]).await;
        let (_, tokens) = world.signed_in().await;
        let newer: Vec<u8> = (1..41).collect();
        let k = ratchet_core::encoding::to_base64url(&newer);
        let further = json!({"kty": "oct", "use": "sig", "kid": "newer", "k": k, "nbf": 1});
        // The functions' ring is fresh, so they are still in the cool-down.
        let signed_by_newer = altered(&tokens.access, &json!({"kid": "newer"}), &json!({}), &newer);
        assert_eq!(world.api().get("/users", &signed_by_newer).await.status, 401);
        world.replace_secret(&secret, &known(&[further]).to_string()).await;
        world.stack().restart("users", 1).unwrap();
        assert_eq!(world.api().get("/users", &signed_by_newer).await.status, 200);
        // Tokens of the first key are still valid.
        let signed_by_first =
            altered(&tokens.access, &json!({"kid": KID}), &json!({}), &signing_secret());
        assert_eq!(world.api().get("/users", &signed_by_first).await.status, 200);
    });
}
