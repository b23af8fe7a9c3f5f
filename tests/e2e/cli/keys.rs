//! `ratchet keys`.

use std::time::Duration;

use ratchet_core::{
    jws::SignatureAlgorithm,
    key_ring::{KeyRing, KeyUse, RingDocument, RotationPolicy, rotation::Start},
};
use serde_json::{Value, json};

use super::unique;
use crate::support::{
    World,
    people::now,
    proxy::{Fault, Proxy},
    ring::{known, parts},
    run,
};

#[test]
fn keys_are_listed_without_secrets_rotated_at_once_and_revoked() {
    run(async {
        let seed = "q".repeat(64);
        let ring = json!({"keys": [], "seed": seed}).to_string();
        let secret = World::shared().await.secret(&unique("cli-ring"), &ring).await;
        let settings = [
            ("RATCHET_KEY_RING_SECRET", secret.as_str()),
            ("RATCHET_KEY_RING_RELOAD_SECONDS", "1"),
        ];
        let world = World::beside(&unique("cli-keys"), &settings).await;
        let keys = async |arguments: &[&str]| {
            let arguments = [&["--key-ring-secret", secret.as_str(), "keys"], arguments].concat();
            let endpoint = world.stack().services().secrets().endpoint();
            world.ratchet_with(&arguments, "", endpoint).await
        };
        let list = async || -> Vec<Value> {
            let listed = keys(&["list", "--json"]).await;
            assert!(!listed.done().contains(&seed) && !listed.done().contains("\"k\""));
            listed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let states = |listed: &[Value]| -> Vec<String> {
            let of = |key: &Value| format!("{} {}", key["use"], key["state"]).replace('"', "");
            listed.iter().map(of).collect()
        };
        let first = list().await;
        // One first key of each algorithm that can be derived from the seed.
        assert_eq!(
            states(&first),
            [
                "access tokens verifies",
                "access tokens verifies",
                "access tokens active",
                "refresh tokens active",
                "second factors active",
            ]
        );
        let (_, before) = world.signed_in().await;

        keys(&["rotate", "--now"]).await.done();
        let rotated = list().await;
        assert_eq!(
            states(&rotated),
            [
                "access tokens verifies",
                "access tokens verifies",
                "access tokens verifies",
                "access tokens active",
                "refresh tokens active",
                "refresh tokens published",
                "second factors active",
                "second factors published",
            ]
        );
        let sealing = rotated[6]["kid"].as_str().unwrap();
        let kept = keys(&["revoke", sealing]).await;
        assert_eq!(kept.code, 5, "what it has sealed could not be opened: {kept:?}");
        assert_eq!(list().await, rotated);
        assert_eq!(rotated[2]["kid"], first[2]["kid"]);
        let old = first[2]["kid"].as_str().unwrap();
        assert_eq!(parts(&before.access).0["kid"], old);
        assert_eq!(world.api().get("/users", &before.access).await.status, 200, "still verifies");

        keys(&["revoke", old]).await.done();
        assert!(list().await.iter().all(|key| key["kid"] != old));
        // Each instance learns of it at its next reload. From then on the key neither verifies nor
        // signs.
        let refused = async {
            while world.api().get("/users", &before.access).await.status != 401 {}
            let mut tokens = before;
            loop {
                tokens = world.api().refresh(&tokens.refresh).await.tokens();
                if parts(&tokens.access).0["kid"] != old {
                    break tokens;
                }
            }
        };
        let after = tokio::time::timeout(Duration::from_secs(120), refused)
            .await
            .expect("out of use after a reload");
        assert_eq!(parts(&after.access).0["kid"], rotated[3]["kid"]);
        let accepted =
            async { while world.api().get("/users", &after.access).await.status != 200 {} };
        tokio::time::timeout(Duration::from_secs(120), accepted).await.expect("a good token");

        assert_eq!(keys(&["revoke", old]).await.code, 3, "gone already");
        let nameless = world.ratchet(&["keys", "list"]).await;
        assert_eq!(nameless.code, 2, "{}", nameless.err);
    });
}

#[test]
fn an_answer_that_is_lost_leaves_no_doubt_about_the_keys() {
    run(async {
        let world = World::shared().await;
        let proxy = Proxy::before(world.stack().services().secrets().endpoint()).await;
        let ring = json!({"keys": [], "seed": "l".repeat(64)}).to_string();
        let secret = world.secret(&unique("cli-lost"), &ring).await;
        let keys = async |arguments: &[&str]| {
            let arguments = [&["--key-ring-secret", secret.as_str(), "keys"], arguments].concat();
            world.ratchet_with(&arguments, "", &proxy.endpoint()).await
        };
        let listed = async || keys(&["list", "--json"]).await.done().lines().count();
        assert_eq!(listed().await, 5);
        // The SDK asks again, and then the version is the current one already.
        proxy.break_next("UpdateSecretVersionStage", 1, Fault::ApplyAndDrop);
        keys(&["rotate", "--now"]).await.done();
        assert_eq!(listed().await, 8);
        proxy.break_next("UpdateSecretVersionStage", 1, Fault::DENIED);
        assert_eq!(keys(&["rotate", "--now"]).await.code, 1, "nothing was done");
        assert_eq!(listed().await, 8);
    });
}

/// The documented command that once left no signing key for 27 hours.
#[test]
fn revoking_the_published_key_leaves_the_signer_in_place_until_another_one_follows() {
    run(async {
        let world = World::shared().await;
        let services = world.stack().services();
        let (now, lead) = (now().seconds(), Duration::from_secs(990));
        let rotation = RotationPolicy {
            algorithm: SignatureAlgorithm::Es256,
            lead,
            access_tokens: Duration::from_secs(300),
            sessions: Duration::from_hours(90 * 24),
        };
        let seeded = json!({"keys": [], "seed": "r".repeat(64)}).to_string();
        let mut ring = RingDocument::parse(&seeded, SignatureAlgorithm::Es256).unwrap();
        let rotation = ring.adopt_policy(&rotation);
        let rotated = ring.rotated(&rotation, Start::WhenSeen, now).unwrap();
        let secret = world.secret(&unique("cli-revoked"), &rotated.to_json()).await;
        let waiting = rotated.summaries().find(|key| key.life.not_before > now).unwrap();

        let endpoint = services.secrets().endpoint();
        let arguments = ["--key-ring-secret", &secret, "keys", "revoke", &waiting.kid];
        world.ratchet_with(&arguments, "", endpoint).await.done();
        let client = services.secrets().client();
        let current = client.get_secret_value().secret_id(&secret).send().await.unwrap();
        let current = current.secret_string().unwrap();
        for minutes in 0..60 * 24 * 3 {
            let at = now.plus(Duration::from_mins(minutes));
            if let Err(error) = KeyRing::parse(current, at) {
                panic!("after {minutes} minutes: {error}");
            }
        }
        let document = RingDocument::parse(current, SignatureAlgorithm::Es256).unwrap();
        let next = document.summaries().filter(|key| key.use_ == KeyUse::Signing).last().unwrap();
        let begins = next.life.not_before.seconds_since(now);
        assert!((990..1_100).contains(&begins), "by the ring's lead, not the longest: {begins}");
    });
}

#[test]
fn a_ring_without_a_signer_is_listed_and_mended() {
    run(async {
        let world = World::shared().await;
        let ended = now().seconds().get() - 100;
        let mut ring = known(&[]);
        ring["keys"][0]["exp"] = json!(ended);
        let secret = world.secret(&unique("cli-mended"), &ring.to_string()).await;
        let endpoint = world.stack().services().secrets().endpoint();
        let keys = async |arguments: &[&str]| {
            let arguments = [&["--key-ring-secret", secret.as_str(), "keys"], arguments].concat();
            world.ratchet_with(&arguments, "", endpoint).await
        };
        let listed = keys(&["list"]).await;
        assert!(listed.err.contains("no key of the ring can sign access tokens"), "{}", listed.err);
        assert!(listed.done().contains("expired"));
        keys(&["rotate", "--now"]).await.done();
        let listed = keys(&["list"]).await;
        assert!(!listed.err.contains("no key of the ring can"), "{}", listed.err);
        assert!(listed.done().contains("active"));
    });
}

#[test]
fn a_rotation_without_haste_is_asked_of_secrets_manager() {
    run(async {
        let world = World::shared().await;
        let services = world.stack().services();
        let proxy = Proxy::before(services.secrets().endpoint()).await;
        let ring = json!({"keys": [], "seed": "q".repeat(64)}).to_string();
        let secret = world.secret(&unique("cli-asked"), &ring).await;
        let rotate = async |secret: &str, endpoint: &str| {
            let arguments = ["--key-ring-secret", secret, "keys", "rotate"];
            world.ratchet_with(&arguments, "", endpoint).await
        };
        let versions = async || {
            let client = services.secrets().client();
            let list = client.list_secret_version_ids().secret_id(&secret).include_deprecated(true);
            list.send().await.unwrap().versions().len()
        };
        assert_eq!(versions().await, 1);
        proxy.break_all("RotateSecret", Fault::DENIED);
        assert_eq!(rotate(&secret, &proxy.endpoint()).await.code, 1);
        assert_eq!(versions().await, 1);
        proxy.heal();
        // The emulator has no rotation function to invoke, so it only creates the version. The
        // tests in `rotation` invoke the function.
        rotate(&secret, &proxy.endpoint()).await.done();
        assert_eq!((proxy.calls("RotateSecret"), versions().await), (2, 2));
        assert_ne!(rotate(&unique("nothing"), services.secrets().endpoint()).await.code, 0);
    });
}
