//! Keys, and what support and operators do.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use local::stack::StackOptions;
use ratchet_core::{
    jws::SignatureAlgorithm,
    key_ring::{RingDocument, rotation::Start},
};
use serde_json::{Value, json};

use super::{is_signed_in, problem};
use crate::support::{
    World,
    people::now,
    ring::{of_algorithm, parts},
    run,
    world::cheap,
};

#[test]
fn support_resets_it_and_the_user_gets_a_letter() {
    run(async {
        let world = World::shared().await;
        let enrolled = world.enrolled().await;
        let (person, old) = (&enrolled.person, world.challenge(&enrolled.person).await);
        let shown = world.ratchet(&["--json", "users", "show", &person.name]).await;
        assert!(shown.done().contains("\"second_factor\":true"), "{shown:?}");
        let reset = ["users", "reset-second-factor", person.name.as_str()];
        assert!(world.ratchet(&reset).await.done().contains("no second factor any more"));
        assert!(world.ratchet(&reset).await.done().contains("has no second factor"));
        assert_eq!(world.api().refresh(&enrolled.tokens.refresh).await.code(), "revoked");
        let refused = world.complete(&old, &enrolled.app.code()).await;
        assert_eq!(refused.problem(), problem(401, "invalid_challenge"));
        assert!(world.users_item(&format!("factor#{}", person.id)).await.is_none());
        let tokens = world.sign_in(person).await;
        assert_eq!(parts(&tokens.access).1["amr"], json!(["pwd"]));
        let email = format!("{}@example.com", person.name.to_lowercase());
        let mail = world.mail(&email, 2).await;
        assert!(mail.subject.contains("was removed"), "{}", mail.subject);
    });
}

#[test]
fn it_survives_rotations_and_an_emergency_of_the_key_ring() {
    run(async {
        let shared = World::shared().await;
        let (ring, _) = of_algorithm(SignatureAlgorithm::Es256);
        let secret = shared.secret("factor-ring", &ring.to_string()).await;
        let settings = [
            ("RATCHET_KEY_RING_SECRET", secret.as_str()),
            ("RATCHET_KEY_RING_RELOAD_SECONDS", "1"),
        ];
        let world = World::beside("factor-ring", &settings).await;
        let enrolled = world.enrolled().await;
        let mut document =
            RingDocument::parse(&ring.to_string(), SignatureAlgorithm::Es256).unwrap();
        for start in [Start::WhenSeen, Start::AtOnce] {
            let policy = document.policy_by_hand();
            document = document.rotated(&policy, start, now().seconds()).unwrap();
            world.replace_secret(&secret, &document.to_json()).await;
            tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
            world.forget_steps(enrolled.person.id).await;
            let challenge = world.challenge(&enrolled.person).await;
            let answer = world.complete(&challenge, &enrolled.app.code()).await;
            assert!(is_signed_in(&answer), "{start:?}: {answer:?}");
        }
        // A key that no ring has is a fault, not a wrong code.
        let unknown = AttributeValue::S("unknown".to_owned());
        world.set_factor(enrolled.person.id, "kid", unknown).await;
        let challenge = world.challenge(&enrolled.person).await;
        let answer = world.complete(&challenge, &enrolled.app.code()).await;
        assert_eq!(answer.problem(), problem(503, "unavailable"));
        assert!(world.log_text().contains("does not have the key that sealed a second factor"));
    });
}

#[test]
fn an_export_and_an_import_keep_it_and_export_one_shows_no_secret() {
    run(async {
        let options = StackOptions {
            name: "factor-export".to_owned(),
            services: Some(Arc::clone(World::shared().await.stack().services())),
            concurrency: 1,
            ..StackOptions::default()
        };
        let world = World::start(cheap(options)).await;
        let enrolled = world.enrolled().await;
        let person = &enrolled.person;
        let item = world.users_item(&format!("factor#{}", person.id)).await.unwrap();
        let one = world.ratchet(&["--json", "users", "export-one", &person.name]).await.json();
        let withheld = one["second_factor"]["withheld"].as_array().unwrap();
        assert!(withheld.contains(&json!("secret")) && withheld.contains(&json!("recovery")));
        assert!(one["second_factor"]["enabled_at"].is_string(), "{one}");

        let exported = world.ratchet(&["users", "export", "-"]).await;
        let line = exported.done().lines().find(|line| line.contains(&person.id.to_string()));
        let line: Value = serde_json::from_str(line.unwrap()).unwrap();
        world.ratchet(&["users", "delete", &person.name, "--yes"]).await.done();
        assert!(world.users_item(&format!("factor#{}", person.id)).await.is_none());
        let file = std::env::temp_dir().join(format!("factor-{}.jsonl", person.id));
        let mut damaged = line.clone();
        damaged["second_factor"]["sealed"] = json!("=");
        std::fs::write(&file, format!("{damaged}\n{line}\n")).unwrap();
        let imported = world.ratchet(&["--json", "users", "import", file.to_str().unwrap()]).await;
        let report: Value = serde_json::from_str(&imported.out).unwrap();
        assert_eq!(report, json!({"lines": 2, "created": 1, "present": 0, "refused": 1}));
        std::fs::remove_file(file).unwrap();
        let restored = world.users_item(&format!("factor#{}", person.id)).await.unwrap();
        for name in ["kid", "secret", "last_step", "enabled_at"] {
            assert_eq!(restored[name], item[name], "{name}");
        }
        let challenge = world.challenge(person).await;
        assert!(is_signed_in(&world.complete(&challenge, &enrolled.app.code()).await));
    });
}
