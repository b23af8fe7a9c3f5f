//! Rotation of the key ring: the four steps of Secrets Manager against versions of a real secret,
//! and a rotation under a running load.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ratchet_core::{
    entropy::random,
    jws::SignatureAlgorithm,
    key_ring::{KeyRing, MIN_SEED_CHARS, RingDocument, RotationPolicy, rotation::Start},
};
use serde_json::{Value, json};

use crate::support::{Answer, World, people::now, ring::parts, run};

/// A world with its own key ring, generated from a seed as in a deployment.
struct Rotated {
    world: World,
    secret: String,
}

async fn rotated(name: &str, settings: &[(&str, &str)]) -> Rotated {
    let ring = json!({"keys": [], "seed": "s".repeat(MIN_SEED_CHARS), "x-note": "kept"});
    let secret = World::shared().await.secret(&format!("{name}-ring"), &ring.to_string()).await;
    let mut settings = settings.to_vec();
    settings.push(("RATCHET_KEY_RING_SECRET", &secret));
    Rotated { world: World::beside(name, &settings).await, secret }
}

fn token() -> String {
    let number = u128::from_be_bytes(random().expect("random bytes"));
    format!("{number:032x}")
}

/// Invokes one step as Secrets Manager does. Returns the error's text if it fails.
async fn step(world: &World, secret: &str, name: &str, token: &str) -> Result<(), String> {
    let event = json!({"Step": name, "SecretId": secret, "ClientRequestToken": token});
    let answer = world.invoke("rotate_keys", &event).await;
    match answer["errorMessage"].as_str() {
        None => Ok(()),
        Some(message) => Err(message.to_owned()),
    }
}

/// Rotates a key ring as Secrets Manager does, and returns the id of its new version.
pub(crate) async fn all_steps(world: &World, secret: &str) -> String {
    let token = token();
    for name in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
        step(world, secret, name, &token).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    token
}

impl Rotated {
    async fn step(&self, name: &str, token: &str) -> Result<(), String> {
        step(&self.world, &self.secret, name, token).await
    }

    async fn all_steps(&self) -> String {
        all_steps(&self.world, &self.secret).await
    }

    /// Id and ring of the version with a stage.
    async fn version(&self, stage: &str) -> Option<(String, Value)> {
        let client = self.world.stack().services().secrets().client();
        let get = client.get_secret_value().secret_id(&self.secret).version_stage(stage);
        let output = get.send().await.ok()?;
        let ring = serde_json::from_str(output.secret_string()?).ok()?;
        Some((output.version_id()?.to_owned(), ring))
    }

    async fn current(&self) -> (String, Value) {
        self.version("AWSCURRENT").await.expect("a current version")
    }
}

fn kids(ring: &Value) -> BTreeSet<String> {
    let keys = ring["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn four_steps_publish_a_key_that_signs_later_and_refuse_nothing() {
    run(async {
        let settings =
            [("RATCHET_SIGNING_ALGORITHM", "ES256"), ("RATCHET_KEY_RING_RELOAD_SECONDS", "1")];
        let rotated = rotated("four-steps", &settings).await;
        let api = rotated.world.api();
        let (person, before) = rotated.world.signed_in().await;
        let first = parts(&before.access).0["kid"].as_str().unwrap().to_owned();
        let token = rotated.all_steps().await;

        let (version, ring) = rotated.current().await;
        assert_eq!(version, token);
        assert!(ring.get("seed").is_none(), "the derived keys stand for themselves");
        assert_eq!(ring["x-note"], "kept");
        let now = now().seconds();
        let parsed = KeyRing::parse(&ring.to_string(), now).unwrap();
        assert_eq!(parsed.signer(now).unwrap().kid(), first, "not yet");
        let later = now.plus(Duration::from_secs(700));
        let next = parsed.signer(later).unwrap();
        assert_eq!(next.algorithm().name(), "ES256");
        assert_ne!(next.kid(), first);
        assert_eq!(ring["policy"]["lead"], 662, "for the command line");

        // Published at once, and earlier tokens stay valid.
        let published = loop {
            let answer = Answer::of(api.request("GET", "/.well-known/jwks.json")).await.json();
            let keys = answer["keys"].as_array().unwrap().clone();
            if let Some(key) = keys.into_iter().find(|key| key["kid"] == next.kid()) {
                break key;
            }
        };
        assert_eq!(published["alg"], "ES256");
        assert_eq!(api.get("/users", &before.access).await.status, 200);
        let after = api.refresh(&before.refresh).await.tokens();
        assert_eq!(parts(&after.access).0["kid"], first);
        assert_eq!(api.authenticate(&person.name, &person.password).await.status, 200);
    });
}

#[test]
fn every_step_may_come_twice_at_once_and_after_a_kill() {
    run(async {
        let rotated = rotated("twice", &[]).await;
        let token = token();
        let (first, _) = rotated.current().await;
        for step in ["setSecret", "testSecret", "finishSecret"] {
            let error = rotated.step(step, &token).await.unwrap_err();
            assert!(error.contains("createSecret comes first"), "{error}");
        }
        // Two at the same time: one of them creates the version, and both succeed.
        let both = tokio::join!(
            rotated.step("createSecret", &token),
            rotated.step("createSecret", &token)
        );
        assert_eq!(both, (Ok(()), Ok(())));
        let (pending, ring) = rotated.version("AWSPENDING").await.unwrap();
        assert_eq!(pending, token);
        assert_eq!(rotated.current().await.0, first, "nothing has changed yet");
        rotated.world.stack().restart("rotate_keys", 1).unwrap();
        for step in ["createSecret", "setSecret", "setSecret", "testSecret", "testSecret"] {
            rotated.step(step, &token).await.unwrap();
        }
        assert_eq!(rotated.version("AWSPENDING").await.unwrap().1, ring, "made once");
        rotated.step("finishSecret", &token).await.unwrap();
        rotated.step("finishSecret", &token).await.unwrap();
        for step in ["createSecret", "setSecret", "testSecret"] {
            rotated.step(step, &token).await.unwrap();
        }
        assert_eq!(rotated.current().await, (token, ring));
        assert!(rotated.version("AWSPENDING").await.is_none());

        // Another rotation while the new key waits does not add a second one.
        let (_, before) = rotated.current().await;
        rotated.all_steps().await;
        assert_eq!(kids(&rotated.current().await.1), kids(&before));
    });
}

#[test]
fn a_ring_that_was_changed_meanwhile_is_not_undone() {
    run(async {
        let rotated = rotated("changed", &[]).await;
        let first = token();
        rotated.step("createSecret", &first).await.unwrap();
        let (_, mut changed) = rotated.current().await;
        changed["x-note"] = json!("changed");
        rotated.world.replace_secret(&rotated.secret, &changed.to_string()).await;
        let error = rotated.step("finishSecret", &first).await.unwrap_err();
        assert!(error.contains("changed during its rotation"), "{error}");
        assert_eq!(rotated.current().await.1, changed);
        assert!(rotated.version("AWSPENDING").await.is_none(), "withdrawn: the next one can begin");
        rotated.all_steps().await;
        assert_eq!(rotated.current().await.1["x-note"], "changed");
    });
}

#[test]
fn a_ring_that_waited_too_long_is_not_published_and_the_next_rotation_succeeds() {
    run(async {
        let rotated = rotated("late", &[]).await;
        let late = token();
        rotated.step("createSecret", &late).await.unwrap();
        let (before, _) = rotated.current().await;
        // As if finishSecret came a quarter of an hour later: the new key would sign at once.
        let (_, mut pending) = rotated.version("AWSPENDING").await.unwrap();
        let soon = now().seconds().get() + 60;
        for key in pending["keys"].as_array_mut().unwrap() {
            if key["nbf"].is_u64() {
                key["nbf"] = json!(soon);
            }
        }
        let another = token();
        let client = rotated.world.stack().services().secrets().client();
        let put = client.put_secret_value().secret_id(&rotated.secret);
        let put = put.client_request_token(&another).secret_string(pending.to_string());
        put.version_stages("AWSPENDING").send().await.unwrap();
        let error = rotated.step("finishSecret", &another).await.unwrap_err();
        assert!(error.contains("took too long"), "{error}");
        assert_eq!(rotated.current().await.0, before);
        assert!(rotated.version("AWSPENDING").await.is_none(), "withdrawn: the next one can begin");
        rotated.all_steps().await;
    });
}

#[test]
fn the_schedule_mends_a_ring_without_a_signer() {
    run(async {
        let rotated = rotated("mended", &[]).await;
        let (_, seeded) = rotated.current().await;
        let now = now().seconds();
        let ring = RingDocument::parse(&seeded.to_string(), SignatureAlgorithm::Es256).unwrap();
        let policy = RotationPolicy::longest(SignatureAlgorithm::Es256);
        let ring = ring.rotated(&policy, Start::WhenSeen, now).unwrap();
        let mut broken: Value = serde_json::from_str(&ring.to_json()).unwrap();
        for key in broken["keys"].as_array_mut().unwrap() {
            if key["use"] == "sig" && key["exp"].is_u64() {
                key["exp"] = json!(now.get() - 10);
            }
        }
        assert!(KeyRing::parse(&broken.to_string(), now).is_err(), "no key signs");
        rotated.world.replace_secret(&rotated.secret, &broken.to_string()).await;
        rotated.all_steps().await;
        let (_, mended) = rotated.current().await;
        if let Err(error) = KeyRing::parse(&mended.to_string(), now) {
            panic!("{error}");
        }
    });
}

#[test]
fn no_other_secret_is_touched_and_no_error_shows_a_ring() {
    run(async {
        let rotated = rotated("other-secret", &[]).await;
        let event = include_str!("../../events/rotate_keys/another-secret.json");
        let event = serde_json::from_str(event).unwrap();
        let answer = rotated.world.invoke("rotate_keys", &event).await;
        let message = answer["errorMessage"].as_str().unwrap();
        assert!(message.contains("no other secret"), "{message}");
        rotated.world.replace_secret(&rotated.secret, r#"{"keys":[{"kty":"oct"}]}"#).await;
        let error = rotated.step("createSecret", &token()).await.unwrap_err();
        assert!(error.contains("key 0 of the key ring"), "{error}");
        assert!(!error.contains("oct"));
    });
}

#[test]
fn a_rotation_in_the_middle_of_refreshing_loses_no_request_and_refuses_no_token() {
    run(async {
        // The lead is 13 s: others keep the keys for 10 s, functions the ring for 1 s, and a tenth.
        // Making the key and the steps take some of it.
        let settings = [
            ("RATCHET_SIGNING_ALGORITHM", "RS256"),
            ("RATCHET_KEY_RING_RELOAD_SECONDS", "1"),
            ("RATCHET_JWKS_MAX_AGE_SECONDS", "10"),
        ];
        let rotated = rotated("under-load", &settings).await;
        let done = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for _ in 0..4 {
            let (_, mut tokens) = rotated.world.signed_in().await;
            let (api, done) = (rotated.world.api(), Arc::clone(&done));
            clients.push(tokio::spawn(async move {
                let mut algorithms = Vec::new();
                let mut requests = 0;
                // A few more when the new key signs, so that every client has used it.
                let mut more = 5;
                while more > 0 {
                    more -= usize::from(done.load(Ordering::Relaxed));
                    let old = tokens;
                    let answer = api.refresh(&old.refresh).await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    tokens = answer.tokens();
                    for access in [&old.access, &tokens.access] {
                        let answer = api.get("/users?limit=1", access).await;
                        assert_eq!(answer.status, 200, "{answer:?}");
                    }
                    requests += 3;
                    algorithms.push(parts(&tokens.access).0["alg"].as_str().unwrap().to_owned());
                    // At most four rotations fit into a retry window; the rest reads.
                }
                algorithms.dedup();
                (algorithms, requests)
            }));
        }
        rotated.all_steps().await;
        let signs = async {
            loop {
                let (_, tokens) = rotated.world.signed_in().await;
                if parts(&tokens.access).0["alg"] == "RS256" {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(120), signs).await.expect("the new key signs");
        done.store(true, Ordering::Relaxed);
        let mut total = 0;
        for client in clients {
            let (algorithms, requests) = client.await.unwrap();
            assert_eq!(algorithms, ["ES256", "RS256"], "one change and no way back");
            total += requests;
        }
        assert!(total > 100, "{total} requests are no load");
        eprintln!("{total} requests, none lost, during a rotation from ES256 to RS256");
    });
}
