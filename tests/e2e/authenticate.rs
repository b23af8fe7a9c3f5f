//! `POST /authenticate`.

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::{
    password::{HashCost, Password, PasswordHasher, PhcHash},
    user::UserStatus,
};
use serde_json::json;

use crate::support::{
    Answer, World, api::visible, items::ids, logs::CANARY, mail::Newcomer, ring::parts, run,
};

#[test]
fn the_right_password_yields_a_token_pair() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let answer = world.try_sign_in(&person).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let body = answer.json();
        assert_eq!(body["token_type"], "Bearer");
        assert_eq!(body["expires_in"], 300);
        // Counted from the moment of the answer.
        for (member, days) in [("refresh_token_expires_in", 30), ("session_expires_in", 90)] {
            let seconds = body[member].as_u64().unwrap();
            assert!((days * 86_400 - 10..=days * 86_400).contains(&seconds), "{member}: {seconds}");
        }
        let refresh_after = body["refresh_after"].as_u64().unwrap();
        assert!((180..=270).contains(&refresh_after), "{refresh_after}");

        let tokens = answer.tokens();
        let (header, claims) = parts(&tokens.access);
        assert_eq!(header["typ"], "at+jwt");
        assert_eq!(claims["iss"], world.stack().base_url());
        assert_eq!(claims["aud"], "ratchet");
        assert_eq!(claims["sub"], person.id.to_string());
        assert_eq!(claims["sid"], ids(&tokens.refresh).session_id.to_string());
        assert_eq!(claims["name"], person.name);
        assert_eq!(claims["roles"], json!(["reader"]));
        assert_eq!(ids(&tokens.refresh).user_id, person.id);
        assert_eq!(ids(&tokens.refresh).generation, 0);
    });
}

#[test]
fn the_older_spelling_and_another_case_of_the_name_are_the_same_sign_in() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let body = json!({"Name": person.name.to_uppercase(), "Password": person.password});
        assert_eq!(world.api().post("/authenticate", body).await.status, 200);
    });
}

#[test]
fn every_sign_in_is_a_session_of_its_own() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let (one, other) = (world.sign_in(&person).await, world.sign_in(&person).await);
        assert_ne!(ids(&one.refresh).session_id, ids(&other.refresh).session_id);
        assert_eq!(world.api().logout(&one.refresh).await.status, 204);
        assert_eq!(world.api().refresh(&other.refresh).await.status, 200);
    });
}

#[test]
fn unknown_name_wrong_password_and_disabled_user_look_the_same_to_the_byte() {
    run(async {
        let world = World::shared().await;
        let active = world.person().await;
        let disabled = world.person_with(|new| new.user.status = UserStatus::Disabled).await;
        let api = world.api();
        let wrong = format!("{CANARY} wrong");
        let unknown = visible(&api.authenticate("nobody-of-that-name", &wrong).await);
        assert_eq!(unknown.0, 401);
        assert!(unknown.2.contains("Incorrect username or password!"), "{}", unknown.2);
        let refusals = [
            api.authenticate(&active.name, &wrong).await,
            api.authenticate(&disabled.name, &disabled.password).await,
            api.authenticate(&disabled.name, &wrong).await,
            api.authenticate("no name at all", &wrong).await,
            api.authenticate("", &wrong).await,
        ];
        for refusal in refusals {
            assert_eq!(visible(&refusal), unknown);
        }
    });
}

#[test]
fn only_who_proves_the_password_learns_that_the_address_is_not_confirmed() {
    run(async {
        let world = World::shared().await;
        let person = world.person_with(|new| new.user.email_confirmed = false).await;
        let right = world.try_sign_in(&person).await;
        assert_eq!(right.problem(), (401, "email_not_confirmed".to_owned()));
        let wrong = world.api().authenticate(&person.name, &format!("{CANARY} no")).await;
        assert_eq!(wrong.problem(), (401, "invalid_credentials".to_owned()));

        let lenient =
            World::beside("unconfirmed", &[("RATCHET_REQUIRE_CONFIRMED_EMAIL", "false")]).await;
        assert_eq!(lenient.try_sign_in(&person).await.status, 200);
    });
}

#[test]
fn a_hash_cheaper_than_configured_is_replaced_at_sign_in() {
    run(async {
        let world = World::shared().await;
        let password = format!("{CANARY} rehash");
        let cheaper = HashCost { memory_kib: 32, iterations: 1, parallelism: 1 };
        let hash = PasswordHasher::new(cheaper)
            .unwrap()
            .hash(&Password::parse(&password).unwrap())
            .unwrap();
        let person = world.person_with(|new| new.password_hash = hash).await;
        for _ in 0..2 {
            assert_eq!(world.api().authenticate(&person.name, &password).await.status, 200);
            let stored = world.user_text(person.id, "password_hash").await;
            assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        }
    });
}

#[test]
fn a_hash_of_another_system_opens_the_door_once_and_is_replaced() {
    run(async {
        let world = World::shared().await;
        // By Python's bcrypt package.
        let made_elsewhere = "$2b$04$t2hZJO738UQX3yVB7hn77e29pPTQYLs6R..6GBEbAFN/t/yBM1KSi";
        let person = world
            .person_with(|new| new.password_hash = PhcHash::import(made_elsewhere).unwrap())
            .await;
        let wrong = world.api().authenticate(&person.name, "correct horse battery stapler").await;
        assert_eq!(wrong.problem(), (401, "invalid_credentials".to_owned()));
        assert_eq!(world.user_text(person.id, "password_hash").await, made_elsewhere);
        for _ in 0..2 {
            let right =
                world.api().authenticate(&person.name, "correct horse battery staple").await;
            assert_eq!(right.status, 200, "{right:?}");
            let stored = world.user_text(person.id, "password_hash").await;
            assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        }
    });
}

#[test]
fn a_planted_hash_that_asks_for_four_gibibytes_is_refused() {
    run(async {
        let world = World::shared().await;
        let planted = "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$\
                       CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let person =
            world.person_with(|new| new.password_hash = PhcHash::new(planted.to_owned())).await;
        let refusal = world.try_sign_in(&person).await;
        assert_eq!(refusal.problem(), (401, "invalid_credentials".to_owned()));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn memory_that_cannot_be_had_is_a_fault_and_the_next_sign_in_works() {
    run(async {
        let world = World::beside("little-memory", &[]).await;
        let dear = "$argon2id$v=19$m=131072,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$\
                    CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let dear = world.person_with(|new| new.password_hash = PhcHash::new(dear.to_owned())).await;
        let other = world.person().await;
        world.sign_in(&other).await;
        // As much as the function has, and half of what that hash needs.
        let process = world.stack().process_ids("authenticate")[0];
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
        let kib: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
        let limit = |bytes: String| {
            let mut prlimit = std::process::Command::new("prlimit");
            let prlimit = prlimit.args(["--pid", &process.to_string(), &format!("--as={bytes}")]);
            assert!(prlimit.status().unwrap().success());
        };
        limit(format!("{}:", (kib + 65_536) * 1024));
        for _ in 0..2 {
            let answer = world.try_sign_in(&dear).await;
            assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
            assert_eq!(answer.header("retry-after"), "1");
            assert_eq!(world.try_sign_in(&other).await.status, 200, "the next works");
        }
        limit("unlimited:".to_owned());
        let refusal = world.try_sign_in(&dear).await;
        assert_eq!(refusal.problem(), (401, "invalid_credentials".to_owned()));
        assert_eq!(world.stack().process_ids("authenticate")[0], process, "the same process");
    });
}

#[test]
fn what_cannot_be_a_password_or_a_device_is_told_before_any_hashing() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let api = world.api();
        let long_device = json!({
            "name": person.name, "password": person.password, "device": "d".repeat(41),
        });
        for body in [
            json!({"name": person.name, "password": CANARY.repeat(50)}),
            json!({"name": person.name, "password": ""}),
            json!({"name": person.name, "password": format!("{CANARY}\u{7}")}),
            long_device,
            json!({"name": person.name}),
            json!({"password": person.password}),
            json!([]),
        ] {
            let refusal = api.post("/authenticate", body).await;
            assert_eq!(refusal.problem(), (400, "malformed_request".to_owned()));
            assert!(!refusal.body.contains(CANARY), "{}", refusal.body);
        }
        let huge = json!({"name": person.name, "password": "x".repeat(1_000_000)});
        let refusal = api.post("/authenticate", huge).await;
        assert_eq!(refusal.problem(), (413, "payload_too_large".to_owned()));
    });
}

#[test]
fn the_oldest_session_ends_when_there_is_one_too_many() {
    run(async {
        let world = World::beside("three-sessions", &[("RATCHET_MAX_SESSIONS", "3")]).await;
        let person = world.person().await;
        let mut tokens = Vec::new();
        for _ in 0..5 {
            tokens.push(world.sign_in(&person).await);
        }
        for (position, tokens) in tokens.iter().enumerate() {
            let answer = world.api().refresh(&tokens.refresh).await;
            assert_eq!(answer.status, if position < 2 { 401 } else { 200 }, "{position}");
        }
        assert_eq!(world.sessions().list(person.id).await.unwrap().sessions.len(), 3);
    });
}

#[test]
fn a_damaged_user_is_a_generic_500_and_the_next_sign_in_works() {
    run(async {
        let world = World::shared().await;
        let (damaged, healthy) = (world.person().await, world.person().await);
        world.set_user(damaged.id, "status", AttributeValue::Bool(true)).await;
        let answer = world.try_sign_in(&damaged).await;
        assert_eq!(answer.problem(), (500, "internal".to_owned()));
        assert_eq!(world.try_sign_in(&healthy).await.status, 200);
    });
}

#[test]
fn the_body_must_be_json() {
    run(async {
        let api = World::shared().await.api();
        let form = api.request("POST", "/authenticate").form(&[("name", "x"), ("password", "y")]);
        let refusal = Answer::of(form).await;
        assert_eq!(refusal.problem(), (415, "unsupported_media_type".to_owned()));
    });
}

#[test]
fn the_confirmed_address_signs_in_and_an_unconfirmed_one_is_refused_as_an_unknown_one() {
    run(async {
        let shared = World::shared().await;
        let (world, proxy) = World::behind_proxy("sign-in-by-address", &[]).await;
        let (member, waits, unknown) = (shared.member().await, Newcomer::new(), Newcomer::new());
        assert_eq!(shared.register(&waits).await.status, 202);
        // A user has the address, and has not confirmed it.
        let made = shared.person_with(|new| new.user.email_confirmed = false).await;
        let made = (format!("{}@example.com", made.name), made.password);
        for address in [member.email.clone(), format!(" {} ", member.email.to_uppercase())] {
            let tokens = world.api().authenticate(&address, &member.password).await.tokens();
            let me = world.api().get("/users/me", &tokens.access).await.json();
            assert_eq!(me["name"], member.name.as_str(), "{address}");
        }
        let mut seen = Vec::new();
        for (address, password) in [
            (&member.email, &unknown.password),
            (&waits.email, &waits.password),
            (&made.0, &made.1),
            (&unknown.email, &unknown.password),
        ] {
            let operations = ["GetItem", "UpdateItem", "PutItem", "Query"];
            let before = operations.map(|operation| proxy.calls(operation));
            let answer = world.api().authenticate(address, password).await;
            assert_eq!(answer.code(), "invalid_credentials", "{address}");
            let calls = operations.map(|operation| proxy.calls(operation));
            let calls: Vec<_> =
                calls.iter().zip(before).map(|(after, before)| after - before).collect();
            seen.push((visible(&answer), calls));
        }
        for other in &seen {
            assert_eq!(other, &seen[0]);
        }
        assert_eq!(seen[0].1, [4, 2, 0, 0], "as a name and as an address; two counters");
    });
}
