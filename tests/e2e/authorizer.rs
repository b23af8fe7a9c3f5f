//! The Lambda authorizer that other HTTP APIs use (payload format 2.0, simple responses).

use ratchet::jws::SignatureAlgorithm;
use serde_json::{Value, json};

use crate::support::{
    World,
    items::ids,
    proxy::{Fault, Proxy},
    ring::of_algorithm,
    run,
};

/// What a gateway sends, with one identity source.
fn request(authorization: &str) -> Value {
    let mut event = sample("forged-token");
    event["identitySource"] = json!([authorization]);
    event
}

fn sample(name: &str) -> Value {
    let text = match name {
        "forged-token" => include_str!("../../events/authorizer/forged-token.json"),
        _ => include_str!("../../events/authorizer/without-token.json"),
    };
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_genuine_token_of_every_algorithm_passes_with_who_it_is_for() {
    run(async {
        for algorithm in SignatureAlgorithm::ALL {
            let name = format!("authorizer-{}", algorithm.name());
            let (ring, _) = of_algorithm(algorithm);
            let secret = World::shared().await.secret(&name, &ring.to_string()).await;
            let world = World::beside(&name, &[("RATCHET_KEY_RING_SECRET", &secret)]).await;
            let (person, tokens) = world.signed_in().await;
            let event = request(&format!("Bearer {}", tokens.access));
            let decision = world.invoke("authorizer", &event).await;
            let session = ids(&tokens.refresh).session_id;
            assert_eq!(
                decision,
                json!({"isAuthorized": true, "context": {
                    "sub": person.id.to_string(),
                    "sid": session.to_string(),
                    "name": person.name,
                    "client_id": "first-party",
                    "roles": "reader",
                }}),
            );
        }
    });
}

#[test]
fn everything_else_is_refused() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let refused = json!({"isAuthorized": false});
        for name in ["forged-token", "without-token"] {
            assert_eq!(world.invoke("authorizer", &sample(name)).await, refused, "{name}");
        }
        let (input, _) = tokens.access.rsplit_once('.').unwrap();
        for authorization in [
            tokens.access.clone(),
            format!("Basic {}", tokens.access),
            format!("Bearer {input}."),
            format!("Bearer {}", tokens.refresh),
            "Bearer ".to_owned(),
            "Bearer".to_owned(),
        ] {
            let decision = world.invoke("authorizer", &request(&authorization)).await;
            assert_eq!(decision, refused);
        }
        assert_eq!(world.invoke("authorizer", &json!([])).await, refused);
    });
}

#[test]
fn a_key_ring_that_can_not_be_had_is_no_refusal() {
    run(async {
        let shared = World::shared().await;
        let secrets = Proxy::before(shared.stack().services().secrets().endpoint()).await;
        let world = World::beside(
            "authorizer-fault",
            &[
                ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &secrets.endpoint()),
                ("RATCHET_KEY_RING_RELOAD_SECONDS", "1"),
            ],
        )
        .await;
        let (_, tokens) = world.signed_in().await;
        secrets.break_all("GetSecretValue", Fault::Refuse);
        world.stack().restart("authorizer", 1).unwrap();
        let event = request(&format!("Bearer {}", tokens.access));
        let answer = world.invoke("authorizer", &event).await;
        assert!(answer["errorMessage"].as_str().unwrap().contains("could not be loaded"));
        secrets.heal();
        assert_eq!(world.invoke("authorizer", &event).await["isAuthorized"], true);
    });
}
