//! A key ring that cannot be loaded, is old, or is not a key ring.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ratchet_core::{key_ring::NewKey, time::UnixMillis};
use ratchet_store::{KeyRingCache, LoadError};
use serde_json::json;

use crate::support::{
    World, aws,
    people::now,
    proxy::{Fault, Proxy},
    ring::known,
    run,
};

/// A cache of a known ring behind a proxy.
async fn cache(name: &str) -> (KeyRingCache, Proxy, String) {
    counting_cache(name, || ()).await
}

async fn counting_cache(name: &str, not_loaded: fn()) -> (KeyRingCache, Proxy, String) {
    let shared = World::shared().await;
    let secrets = Proxy::before(shared.stack().services().secrets().endpoint()).await;
    let secret = shared.secret(name, &known(&[]).to_string()).await;
    let dynamodb = shared.stack().services().dynamodb().endpoint();
    let settings = aws::settings(dynamodb, &secrets.endpoint()).await;
    (
        KeyRingCache::new(
            settings.secrets_manager(),
            &secret,
            Duration::from_secs(300),
            not_loaded,
        ),
        secrets,
        secret,
    )
}

fn after(begun: UnixMillis, seconds: u64) -> UnixMillis {
    begun.plus(Duration::from_secs(seconds))
}

#[test]
fn a_ring_is_loaded_once_in_five_minutes() {
    run(async {
        let (cache, secrets, _) = cache("ring-life").await;
        let begun = now();
        for seconds in [0, 1, 100, 299] {
            cache.current(after(begun, seconds)).await.unwrap();
        }
        assert_eq!(secrets.calls("GetSecretValue"), 1);
        cache.current(after(begun, 300)).await.unwrap();
        assert_eq!(secrets.calls("GetSecretValue"), 2);
    });
}

#[test]
fn a_ring_in_use_stays_when_no_newer_one_can_be_had() {
    static NOT_LOADED: AtomicUsize = AtomicUsize::new(0);
    run(async {
        let count = || {
            NOT_LOADED.fetch_add(1, Ordering::Relaxed);
        };
        let (cache, secrets, secret) = counting_cache("ring-stale", count).await;
        let begun = now();
        cache.current(begun).await.unwrap();
        for (round, fault) in
            [Fault::Refuse, Fault::Swallow, Fault::DENIED, Fault::Truncate].into_iter().enumerate()
        {
            secrets.break_all("GetSecretValue", fault);
            let later = after(begun, 400 + 100 * u64::try_from(round).unwrap());
            assert!(cache.current(later).await.is_ok(), "{fault:?}");
            assert_eq!(NOT_LOADED.load(Ordering::Relaxed), round + 1, "{fault:?}");
            let calls = secrets.calls("GetSecretValue");
            assert!(cache.current(after(later, 1)).await.is_ok());
            assert_eq!(secrets.calls("GetSecretValue"), calls, "not tried again at once");
            secrets.heal();
        }
        for (round, garbage) in ["", "{}", r#"{"keys":[]}"#].into_iter().enumerate() {
            World::shared().await.replace_secret(&secret, &format!("{garbage} ")).await;
            let later = after(begun, 2_000 + 100 * u64::try_from(round).unwrap());
            assert!(cache.current(later).await.is_ok(), "{garbage:?}");
            assert_eq!(NOT_LOADED.load(Ordering::Relaxed), round + 5, "{garbage:?}");
        }
    });
}

/// Whether a newer ring is loaded for a token of a key that no ring has.
async fn newer(cache: &KeyRingCache, now: UnixMillis) -> Result<bool, LoadError> {
    let reads = AtomicUsize::new(0);
    let unreadable = cache.read(
        now,
        |()| true,
        |_| {
            reads.fetch_add(1, Ordering::Relaxed);
            Err::<(), ()>(())
        },
    );
    unreadable.await?.unwrap_err();
    Ok(reads.into_inner() == 2)
}

#[test]
fn requests_go_on_with_the_ring_in_use_while_one_of_them_loads_a_newer_one() {
    run(async {
        let (cache, secrets, _) = cache("ring-behind").await;
        let begun = now();
        let in_use = cache.current(begun).await.unwrap();
        let later = after(begun, 300);
        // In this order the first one loads, and has to wait for the answer.
        let (loading, going_on) = (cache.current(later), cache.current(later));
        let (loaded, gone_on) = tokio::join!(biased; loading, going_on);
        assert!(Arc::ptr_eq(&gone_on.unwrap(), &in_use));
        assert!(!Arc::ptr_eq(&loaded.unwrap(), &in_use));
        assert_eq!(secrets.calls("GetSecretValue"), 2);
    });
}

#[test]
fn after_a_long_rest_requests_wait_for_the_load_of_one() {
    run(async {
        let (cache, secrets, _) = cache("ring-rested").await;
        let begun = now();
        let in_use = cache.current(begun).await.unwrap();
        let later = after(begun, 331);
        let (one, other) = tokio::join!(biased; cache.current(later), cache.current(later));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(Arc::ptr_eq(&one, &other) && !Arc::ptr_eq(&one, &in_use));
        assert_eq!(secrets.calls("GetSecretValue"), 2);
    });
}

#[test]
fn requests_at_the_same_time_all_see_the_ring_that_one_of_them_has_loaded() {
    run(async {
        let (cache, secrets, secret) = cache("ring-together").await;
        let begun = now();
        cache.current(begun).await.unwrap();
        let mut tag = NewKey::tag().unwrap().expose();
        tag["nbf"] = json!(begun.seconds().get());
        World::shared().await.replace_secret(&secret, &known(&[tag]).to_string()).await;
        let later = after(begun, 30);
        let keys = |ring: &ratchet_core::key_ring::KeyRing| ring.tag_keys(later.seconds()).count();
        let look = || async {
            let has_both = |ring: &_| if keys(ring) == 2 { Ok(()) } else { Err(()) };
            cache.read(later, |()| true, has_both).await.unwrap()
        };
        assert_eq!(tokio::join!(look(), look(), look()), (Ok(()), Ok(()), Ok(())));
        assert_eq!(secrets.calls("GetSecretValue"), 2);
    });
}

#[test]
fn requests_that_wait_for_the_first_ring_share_its_fault() {
    run(async {
        let (cache, secrets, _) = cache("ring-first").await;
        secrets.break_all("GetSecretValue", Fault::Refuse);
        let begun = now();
        // In this order the first one loads, and others wait while it tries again.
        let all = tokio::join!(biased; cache.current(begun), cache.current(begun));
        assert!(matches!(all.0, Err(LoadError::Unavailable(_))), "{all:?}");
        assert!(matches!(all.1, Err(LoadError::TriedAMomentAgo)), "{all:?}");
        let tries = secrets.calls("GetSecretValue");
        cache.current(begun).await.unwrap_err();
        assert_eq!(secrets.calls("GetSecretValue"), 2 * tries, "as many as for one alone");
        secrets.heal();
        cache.current(begun).await.unwrap();
    });
}

#[test]
fn an_unknown_key_id_is_a_fault_while_the_ring_is_old_and_no_newer_one_can_be_had() {
    run(async {
        let (cache, secrets, _) = cache("ring-fault").await;
        let begun = now();
        cache.current(begun).await.unwrap();
        secrets.break_all("GetSecretValue", Fault::Refuse);
        let while_fresh = newer(&cache, after(begun, 100)).await;
        assert!(matches!(while_fresh, Ok(false)), "every key that signs is in it");
        for seconds in [400, 401] {
            let later = after(begun, seconds);
            assert!(cache.current(later).await.is_ok(), "known keys verify");
            let unknown = newer(&cache, later).await;
            assert!(matches!(unknown, Err(LoadError::TriedAMomentAgo)), "503, not 401");
        }
    });
}

#[test]
fn a_refresh_token_of_a_key_that_could_not_be_loaded_is_a_fault_and_signs_nobody_out() {
    run(async {
        let shared = World::shared().await;
        let secrets = Proxy::before(shared.stack().services().secrets().endpoint()).await;
        let secret = shared.secret("ring-tags", &known(&[]).to_string()).await;
        let settings = [
            ("RATCHET_KEY_RING_SECRET", secret.as_str()),
            ("RATCHET_KEY_RING_RELOAD_SECONDS", "1"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &secrets.endpoint()),
        ];
        let behind = World::beside("ring-tags-behind", &settings).await;
        let (_, before) = behind.signed_in().await;
        secrets.break_all("GetSecretValue", Fault::Refuse);

        let mut tag = NewKey::tag().unwrap().expose();
        tag["nbf"] = json!(now().seconds().get());
        shared.replace_secret(&secret, &known(&[tag]).to_string()).await;
        let ahead = World::beside("ring-tags-ahead", &settings[..1]).await;
        let (_, tokens) = ahead.signed_in().await;
        // A ring that was loaded within the last second does not count as old.
        tokio::time::sleep(Duration::from_millis(1_100)).await;

        for answer in [
            behind.api().refresh(&tokens.refresh).await,
            behind.api().logout(&tokens.refresh).await,
        ] {
            assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
        }
        let known = behind.api().refresh(&before.refresh).await;
        assert_eq!(known.status, 200, "what the ring in use knows goes on: {known:?}");
        let garbage = behind.api().refresh("rt1_garbage").await;
        assert_eq!(garbage.problem(), (401, "malformed".to_owned()), "of no key at all");
        secrets.heal();
        let refreshed = async {
            loop {
                let answer = behind.api().refresh(&tokens.refresh).await;
                if answer.status != 503 {
                    break answer;
                }
            }
        };
        let refreshed = tokio::time::timeout(Duration::from_secs(120), refreshed).await;
        let next = refreshed.expect("within the cool-down of a second").tokens();
        assert_eq!(behind.api().logout(&next.refresh).await.status, 204);
    });
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_an_old_ring() {
    run(async {
        let (cache, secrets, _) = cache("ring-set-back").await;
        let ahead = after(now(), 600);
        cache.current(ahead).await.unwrap();
        let waited = UnixMillis::new(ahead.get() - 100);
        newer(&cache, waited).await.unwrap();
        assert_eq!(secrets.calls("GetSecretValue"), 1, "it waited for the load");
        newer(&cache, UnixMillis::new(ahead.get() - 60_000)).await.unwrap();
        assert_eq!(secrets.calls("GetSecretValue"), 2);
        cache.current(UnixMillis::new(ahead.get() - 600_000)).await.unwrap();
        assert_eq!(secrets.calls("GetSecretValue"), 3);
    });
}

#[test]
fn unknown_key_ids_cost_one_load_in_a_cool_down() {
    run(async {
        let (cache, secrets, _) = cache("ring-unknown").await;
        let begun = now();
        cache.current(begun).await.unwrap();
        assert!(!newer(&cache, after(begun, 1)).await.unwrap(), "just loaded");
        assert!(newer(&cache, after(begun, 30)).await.unwrap());
        for seconds in 31..59 {
            assert!(!newer(&cache, after(begun, seconds)).await.unwrap());
        }
        assert_eq!(secrets.calls("GetSecretValue"), 2);
    });
}

#[test]
fn a_ring_that_cannot_be_used_keeps_the_functions_from_starting() {
    run(async {
        let shared = World::shared().await;
        for (name, ring, message) in [
            ("ring-garbage", "garbage", "no JWK Set"),
            ("ring-empty", r#"{"keys":[]}"#, "may sign access tokens"),
            ("ring-short", r#"{"keys":[{"kty":"oct","use":"sig","k":"c2hvcnQ"}]}"#, "too short"),
        ] {
            let secret = shared.secret(name, ring).await;
            let options = local::stack::StackOptions {
                concurrency: 1,
                ..local::stack::StackOptions::beside(shared.stack(), name)
            };
            let options = options.with("RATCHET_KEY_RING_SECRET", &secret);
            let error = local::stack::Stack::start(options).await.unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let options = local::stack::StackOptions::beside(shared.stack(), "ring-missing");
        let options = options.with("RATCHET_KEY_RING_SECRET", "no-such-secret");
        let error = local::stack::Stack::start(options).await.unwrap_err().to_string();
        assert!(error.contains("no-such-secret"), "{error}");
    });
}
