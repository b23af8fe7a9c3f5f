//! `ratchet keys`.

use std::time::Duration;

use serde_json::{Value, json};

use super::unique;
use crate::support::{
    World,
    proxy::{Fault, Proxy},
    ring::parts,
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
        assert_eq!(states(&first), ["access tokens active", "refresh tokens active"]);
        let (_, before) = world.signed_in().await;

        keys(&["rotate", "--now"]).await.done();
        let rotated = list().await;
        assert_eq!(
            states(&rotated),
            [
                "access tokens verifies",
                "access tokens active",
                "refresh tokens active",
                "refresh tokens published",
            ]
        );
        assert_eq!(rotated[0]["kid"], first[0]["kid"]);
        let old = first[0]["kid"].as_str().unwrap();
        assert_eq!(parts(&before.access).0["kid"], old);
        assert_eq!(world.api().get("/users", &before.access).await.status, 200, "still verifies");

        keys(&["revoke", old]).await.done();
        assert!(list().await.iter().all(|key| key["kid"] != old));
        // Each instance knows after a reload of its own: no later than that the key verifies
        // nothing and signs nothing.
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
        assert_eq!(parts(&after.access).0["kid"], rotated[1]["kid"]);
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
        assert_eq!(listed().await, 2);
        // The SDK asks again, and then the version is the current one already.
        proxy.break_next("UpdateSecretVersionStage", 1, Fault::ApplyAndDrop);
        keys(&["rotate", "--now"]).await.done();
        assert_eq!(listed().await, 4);
        proxy.break_next("UpdateSecretVersionStage", 1, Fault::DENIED);
        assert_eq!(keys(&["rotate", "--now"]).await.code, 1, "nothing was done");
        assert_eq!(listed().await, 4);
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
        // The emulator has no rotation function to invoke: it makes the version and no more. What
        // the function does when it is invoked is `rotation`'s business.
        rotate(&secret, &proxy.endpoint()).await.done();
        assert_eq!((proxy.calls("RotateSecret"), versions().await), (2, 2));
        assert_ne!(rotate(&unique("nothing"), services.secrets().endpoint()).await.code, 0);
    });
}
