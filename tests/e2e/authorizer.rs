//! The Lambda authorizer that other HTTP APIs use (payload format 2.0, simple responses).

use ratchet_core::custom_claims::CustomClaims;
use ratchet_core::jws::SignatureAlgorithm;
use serde_json::{Value, json};

use crate::support::{
    World,
    items::ids,
    people::now,
    proxy::{Fault, Proxy},
    ring::{altered, of_algorithm, parts},
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
                    "auth_time": parts(&tokens.access).1["auth_time"].to_string(),
                    "amr": "pwd",
                }}),
            );
        }
    });
}

#[test]
fn custom_claims_are_passed_on_as_json() {
    run(async {
        let world = World::shared().await;
        let claims = CustomClaims::within(r#"{"tenant": "acme", "seats": 5}"#).unwrap();
        let person = world.person_with(|new| new.user.claims = claims).await;
        let tokens = world.sign_in(&person).await;
        let event = request(&format!("Bearer {}", tokens.access));
        let decision = world.invoke("authorizer", &event).await;
        assert_eq!(decision["context"]["claims"], r#"{"seats":5,"tenant":"acme"}"#);
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
fn a_recent_authentication_and_its_methods_can_be_required() {
    run(async {
        let (ring, _) = of_algorithm(SignatureAlgorithm::Es256);
        let secret = World::shared().await.secret("authorizer-required", &ring.to_string()).await;
        let required = async |name: &str, max_age: &str, amr: &str| {
            World::beside(
                name,
                &[
                    ("RATCHET_KEY_RING_SECRET", secret.as_str()),
                    ("RATCHET_AUTHORIZER_MAX_AGE", max_age),
                    ("RATCHET_AUTHORIZER_AMR", amr),
                ],
            )
            .await
        };
        let by_code = required("authorizer-amr", "0", "otp hwk").await;
        let recent = required("authorizer-age", "60", "").await;
        let (person, tokens) = by_code.signed_in().await;
        by_code.set_number(&tokens.refresh, "auth_time", 1_700_000_000_000).await;
        let old = by_code.api().refresh(&tokens.refresh).await.tokens();
        let passes = async |world: &World, access: &str| {
            let decision = world.invoke("authorizer", &request(&format!("Bearer {access}"))).await;
            decision["isAuthorized"] == true
        };
        assert!(!passes(&by_code, &old.access).await && !passes(&recent, &old.access).await);
        let body = json!({"password": person.password});
        let stepped_up = by_code.ask("POST", "/users/me/step-up", &old.access, body).await;
        let stepped_up = stepped_up.json()["access_token"].as_str().unwrap().to_owned();
        assert!(!passes(&by_code, &stepped_up).await && passes(&recent, &stepped_up).await);
    });
}

#[test]
fn a_key_ring_that_cannot_be_had_is_no_refusal() {
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

#[test]
fn a_token_of_an_ended_session_is_refused_within_seconds_if_that_is_wanted() {
    run(async {
        // Symmetric keys, too.
        let settings = [("RATCHET_REVOCATIONS", "enabled")];
        let (world, dynamodb) = World::behind_proxy("authorizer-ends", &settings).await;
        let (_, tokens) = world.signed_in().await;
        let (_, other) = world.signed_in().await;
        let [event, others] =
            [&tokens, &other].map(|tokens| request(&format!("Bearer {}", tokens.access)));
        assert_eq!(world.invoke("authorizer", &event).await["isAuthorized"], true);
        assert_eq!(world.api().logout(&tokens.refresh).await.status, 204);
        let within = std::time::Duration::from_secs(60);
        let refused = async {
            while world.invoke("authorizer", &event).await["isAuthorized"] == true {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(within, refused).await.expect("within seconds");
        assert_eq!(world.invoke("authorizer", &event).await, json!({"isAuthorized": false}));
        assert_eq!(world.invoke("authorizer", &others).await["isAuthorized"], true);
        // A fault is not a refusal.
        dynamodb.break_all("Query", Fault::Refuse);
        world.stack().restart("authorizer", 1).unwrap();
        let answer = world.invoke("authorizer", &event).await;
        assert!(
            answer["errorMessage"].as_str().unwrap().contains("ended is not known"),
            "{answer}"
        );
        dynamodb.heal();
        assert_eq!(world.invoke("authorizer", &event).await, json!({"isAuthorized": false}));
        assert_eq!(world.invoke("authorizer", &others).await["isAuthorized"], true);
    });
}

#[test]
fn key_ring_and_ends_are_kept_however_many_requests_come() {
    run(async {
        let shared = World::shared().await;
        let services = shared.stack().services();
        let secrets = Proxy::before(services.secrets().endpoint()).await;
        let dynamodb = Proxy::before(services.dynamodb().endpoint()).await;
        let settings = [
            ("RATCHET_REVOCATIONS", "enabled"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &secrets.endpoint()),
            ("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb.endpoint()),
        ];
        let world = World::beside("authorizer-keeps", &settings).await;
        let (_, tokens) = world.signed_in().await;
        let [genuine, unknown] = [
            tokens.access.clone(),
            altered(&tokens.access, &json!({"kid": "x"}), &json!({}), b"x"),
        ]
        .map(|token| request(&format!("Bearer {token}")));
        assert_eq!(world.invoke("authorizer", &genuine).await["isAuthorized"], true);
        let (loads, reads, begun) = (secrets.calls("*"), dynamodb.calls("*"), now());
        for _ in 0..20 {
            assert_eq!(world.invoke("authorizer", &genuine).await["isAuthorized"], true);
            assert_eq!(world.invoke("authorizer", &unknown).await["isAuthorized"], false);
        }
        let took = usize::try_from(now().get() - begun.get()).unwrap();
        let looks = took / 30_000 + 1;
        assert!(secrets.calls("*") <= loads + looks, "one look for an unknown key in a cool-down");
        assert!(dynamodb.calls("*") <= reads + took / 5_000 + 1, "one read in five seconds");
    });
}
