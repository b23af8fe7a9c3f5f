//! Dependencies that fail: every cell of the matrix. A fault is a 503 with `Retry-After` within
//! three seconds, never a 401. The same request succeeds once the fault is over.

mod key_ring;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use crate::support::{
    Answer, World,
    items::ids,
    proxy::{Fault, Proxy},
    run,
};

pub(crate) struct Faulty {
    pub(crate) world: World,
    pub(crate) dynamodb: Proxy,
}

pub(crate) async fn faulty(name: &str) -> Faulty {
    let (world, dynamodb) = World::behind_proxy(name, &[]).await;
    Faulty { world, dynamodb }
}

/// Faults that last, so that all tries fail.
pub(crate) const LASTING: [Fault; 11] = [
    Fault::Refuse,
    Fault::Swallow,
    Fault::INTERNAL,
    Fault::Truncate,
    Fault::THROTTLED,
    Fault::CONFLICT,
    Fault::DENIED,
    Fault::EXPIRED_CREDENTIALS,
    Fault::Delay(Duration::from_secs(1)),
    Fault::Delay(Duration::from_secs(5)),
    Fault::Delay(Duration::from_secs(10)),
];

/// Faults that a second try overcomes.
pub(crate) const PASSING: [Fault; 6] = [
    Fault::Refuse,
    Fault::Swallow,
    Fault::INTERNAL,
    Fault::THROTTLED,
    Fault::CONFLICT,
    Fault::Delay(Duration::from_secs(1)),
];

/// The answer while a fault lasts.
pub(crate) async fn unavailable(
    faulty: &Faulty,
    operation: &str,
    fault: Fault,
    request: impl Future<Output = Answer>,
) {
    faulty.dynamodb.break_all(operation, fault);
    let answer = request.await;
    faulty.dynamodb.heal();
    assert_eq!(answer.problem(), (503, "unavailable".to_owned()), "{operation}: {fault:?}");
    assert_eq!(answer.header("retry-after"), "1");
    // On the function's own clock. The deadline is 2.8 s, and the rest allows for a late timer. The
    // time that a client waits also depends on this machine.
    let log = faulty.world.log_text();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let refused = lines.filter(|line| line["status"] == 503 && line["milliseconds"].is_u64());
    let last = refused.max_by_key(|line| line["timestamp"].to_string());
    let took = last.expect("the request's line")["milliseconds"].as_u64().unwrap();
    assert!(took < 3_500, "{operation}: {fault:?} took {took} ms");
}

#[test]
fn rotation_survives_every_fault_of_the_write() {
    run(async {
        let faulty = faulty("faults-rotate").await;
        let api = faulty.world.api();
        for fault in LASTING {
            let (_, tokens) = faulty.world.signed_in().await;
            unavailable(&faulty, "UpdateItem", fault, api.refresh(&tokens.refresh)).await;
            let next = api.refresh(&tokens.refresh).await.tokens();
            let session = faulty.world.session(&next.refresh).await.unwrap();
            assert_eq!(ids(&next.refresh).generation, session.generation, "{fault:?}");
            assert_eq!(session.revoked, None, "{fault:?}");
        }
        for fault in PASSING {
            let (_, tokens) = faulty.world.signed_in().await;
            faulty.dynamodb.break_next("UpdateItem", 1, fault);
            let next = api.refresh(&tokens.refresh).await.tokens();
            assert_eq!(ids(&next.refresh).generation, 1, "{fault:?}");
        }
    });
}

#[test]
fn a_write_whose_answer_was_lost_leads_to_what_it_wrote() {
    run(async {
        let faulty = faulty("faults-applied").await;
        let api = faulty.world.api();
        // The SDK's own second try finds the first one applied.
        let (_, tokens) = faulty.world.signed_in().await;
        faulty.dynamodb.break_next("UpdateItem", 1, Fault::ApplyAndDrop);
        let next = api.refresh(&tokens.refresh).await.tokens();
        assert_eq!(ids(&next.refresh).generation, 1);
        assert_eq!(api.refresh(&tokens.refresh).await.tokens().refresh, next.refresh);
        assert_eq!(api.refresh(&next.refresh).await.status, 200);
        // All tries are applied or find it applied, and no answer ever comes.
        let (_, tokens) = faulty.world.signed_in().await;
        let request = api.refresh(&tokens.refresh);
        unavailable(&faulty, "UpdateItem", Fault::ApplyAndDrop, request).await;
        assert_eq!(faulty.world.session(&tokens.refresh).await.unwrap().generation, 1);
        let next = api.refresh(&tokens.refresh).await.tokens();
        assert_eq!(ids(&next.refresh).generation, 1);
        assert_eq!(api.refresh(&next.refresh).await.status, 200);
    });
}

#[test]
fn no_user_no_answer_but_the_token_stays_good() {
    run(async {
        let faulty = faulty("faults-user").await;
        let api = faulty.world.api();
        let person = faulty.world.person().await;
        for fault in LASTING {
            let tokens = faulty.world.sign_in(&person).await;
            unavailable(&faulty, "GetItem", fault, api.refresh(&tokens.refresh)).await;
            let next = api.refresh(&tokens.refresh).await.tokens();
            assert_eq!(ids(&next.refresh).generation, 1, "{fault:?}: at most one write");
            let sign_in = faulty.world.try_sign_in(&person);
            unavailable(&faulty, "GetItem", fault, sign_in).await;
        }
        // Only writes conflict with transactions.
        for fault in PASSING.into_iter().filter(|fault| *fault != Fault::CONFLICT) {
            faulty.dynamodb.break_next("GetItem", 1, fault);
            assert_eq!(faulty.world.try_sign_in(&person).await.status, 200, "{fault:?}");
        }
    });
}

#[test]
fn an_outage_of_the_users_table_costs_nobody_the_session_however_long_it_lasts() {
    run(async {
        let faulty = faulty("faults-users-away").await;
        let api = faulty.world.api();
        let (_, tokens) = faulty.world.signed_in().await;
        for _ in 0..3 {
            unavailable(&faulty, "GetItem", Fault::DENIED, api.refresh(&tokens.refresh)).await;
            faulty.world.age_superseded(&tokens.refresh, Duration::from_hours(1)).await;
        }
        // The first of them was written although it could not be answered.
        assert_eq!(ids(&api.refresh(&tokens.refresh).await.tokens().refresh).generation, 1);
    });
}

#[test]
fn no_session_kept_no_token_out() {
    run(async {
        let faulty = faulty("faults-put").await;
        let person = faulty.world.person().await;
        for fault in LASTING.into_iter().chain([Fault::ApplyAndDrop]) {
            unavailable(&faulty, "PutItem", fault, faulty.world.try_sign_in(&person)).await;
            assert_eq!(faulty.world.try_sign_in(&person).await.status, 200, "{fault:?}");
        }
        for fault in PASSING.into_iter().chain([Fault::ApplyAndDrop]) {
            faulty.dynamodb.break_next("PutItem", 1, fault);
            let tokens = faulty.world.try_sign_in(&person).await.tokens();
            assert_eq!(faulty.world.api().refresh(&tokens.refresh).await.status, 200, "{fault:?}");
        }
    });
}

#[test]
fn log_out_never_says_done_when_it_is_not() {
    run(async {
        let faulty = faulty("faults-revoke").await;
        let api = faulty.world.api();
        for fault in LASTING.into_iter().chain([Fault::ApplyAndDrop]) {
            let (_, tokens) = faulty.world.signed_in().await;
            unavailable(&faulty, "UpdateItem", fault, api.logout(&tokens.refresh)).await;
            assert_eq!(api.logout(&tokens.refresh).await.status, 204, "{fault:?}");
            assert_eq!(api.refresh(&tokens.refresh).await.code(), "revoked", "{fault:?}");
        }
        for fault in PASSING.into_iter().chain([Fault::ApplyAndDrop]) {
            let (_, tokens) = faulty.world.signed_in().await;
            faulty.dynamodb.break_next("UpdateItem", 1, fault);
            assert_eq!(api.logout(&tokens.refresh).await.status, 204, "{fault:?}");
            assert_eq!(api.refresh(&tokens.refresh).await.code(), "revoked", "{fault:?}");
        }
    });
}

#[test]
fn a_damaged_user_is_a_generic_500_for_a_refresh_and_costs_nobody_the_session() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let status = |name: &str| AttributeValue::S(name.to_owned());
        world.set_user(person.id, "status", status("dormant")).await;
        let answer = world.api().refresh(&tokens.refresh).await;
        assert_eq!(answer.problem(), (500, "internal".to_owned()));
        world.set_user(person.id, "status", status("active")).await;
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        assert_eq!(ids(&next.refresh).generation, 1);
    });
}

#[test]
fn a_theft_that_cannot_be_acted_upon_is_a_fault_and_is_acted_upon_next_time() {
    run(async {
        let faulty = faulty("faults-theft").await;
        let api = faulty.world.api();
        let (_, tokens) = faulty.world.signed_in().await;
        let next = api.refresh(&tokens.refresh).await.tokens();
        let next = api.refresh(&next.refresh).await.tokens();
        faulty.world.age_superseded(&tokens.refresh, Duration::from_secs(60)).await;
        // The rotation's own write finds the old item; the second write cannot revoke it.
        faulty.dynamodb.break_all("UpdateItem", Fault::THROTTLED);
        assert_eq!(api.refresh(&tokens.refresh).await.status, 503);
        faulty.dynamodb.heal();
        assert_eq!(api.refresh(&tokens.refresh).await.code(), "reuse_detected");
        assert_eq!(api.refresh(&next.refresh).await.code(), "reuse_detected");
    });
}

#[test]
fn without_a_key_ring_at_start_requests_are_503_until_it_can_be_had() {
    run(async {
        let shared = World::shared().await;
        let secrets = Proxy::before(shared.stack().services().secrets().endpoint()).await;
        for (name, fault) in [
            ("ring-refused", Fault::Refuse),
            ("ring-denied", Fault::DENIED),
            ("ring-expired", Fault::EXPIRED_CREDENTIALS),
            ("ring-throttled", Fault::THROTTLED),
            ("ring-slow", Fault::Delay(Duration::from_secs(10))),
            ("ring-500", Fault::INTERNAL),
            ("ring-truncated", Fault::Truncate),
        ] {
            secrets.break_all("GetSecretValue", fault);
            let endpoint = secrets.endpoint();
            let world =
                World::beside(name, &[("AWS_ENDPOINT_URL_SECRETS_MANAGER", &endpoint)]).await;
            let (_, tokens) = shared.signed_in().await;
            for answer in [
                world.api().refresh(&tokens.refresh).await,
                world.api().logout(&tokens.refresh).await,
                world.api().get("/users", &tokens.access).await,
                world.api().authenticate("nobody", "canary").await,
            ] {
                assert_eq!(answer.problem(), (503, "unavailable".to_owned()), "{name}");
                assert_eq!(answer.header("retry-after"), "1");
            }
            for function in ["authenticate", "refresh", "users"] {
                let metrics = world.metric_lines(function);
                // Without the calls at the start, which belong to no request.
                let counted = metrics
                    .iter()
                    .any(|line| line["requests"].is_u64() && line["key_ring_not_loaded"].is_u64());
                assert!(counted, "{function} counts what the alarm watches: {name}");
            }
            secrets.heal();
            assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200, "{name}");
        }
    });
}
