//! `GET /.well-known/revocations`, and verifiers that use it: log-out ends access tokens too.

use std::{collections::BTreeMap, time::Duration};

use local::stack::StackOptions;
use ratchet_core::{
    access_token::Claims,
    ids::SessionId,
    jws::SignatureAlgorithm,
    revocations::{EndedSession, RevocationList},
};
use ratchet_verify::{Outage, Verifier, VerifyError};
use serde_json::{Value, json};

use crate::support::{
    Answer, Tokens, World,
    items::ids,
    people::now,
    proxy::{Fault, Proxy},
    recorder::Tally,
    ring::of_algorithm,
    run,
    world::cheap,
};

const LIST: &str = "/.well-known/revocations";

/// A stack that publishes ends, with an asymmetric key, and with its own URL as issuer.
async fn publishing(name: &str, settings: &[(&str, &str)]) -> World {
    let shared = World::shared().await;
    let (ring, _) = of_algorithm(SignatureAlgorithm::Es256);
    let secret = shared.secret(name, &ring.to_string()).await;
    let mut options = StackOptions { concurrency: 1, ..StackOptions::beside(shared.stack(), name) };
    options.environment.clear();
    let own = [("RATCHET_KEY_RING_SECRET", secret.as_str()), ("RATCHET_REVOCATIONS", "enabled")];
    let options = own
        .iter()
        .chain(settings)
        .fold(options, |options, (variable, value)| options.with(variable, value));
    World::start(cheap(options)).await
}

/// Another service's verifier, which has not fetched anything yet.
fn protected(world: &World) -> Verifier {
    let verifier = Verifier::new(world.stack().base_url(), "ratchet").unwrap();
    verifier.with_revocations(Outage::Unavailable).unwrap()
}

/// The verdict of a verifier, after retries if this machine was too slow to fetch the documents.
async fn verdict(verifier: &Verifier, access: &str) -> Result<Claims, VerifyError> {
    for _ in 0..20 {
        let verdict = verifier.verify(access).await;
        if !matches!(verdict, Err(VerifyError::Unavailable(_))) {
            return verdict;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    verifier.verify(access).await
}

async fn list(world: &World) -> Answer {
    Answer::of(world.api().request("GET", LIST)).await
}

/// The claims of a list, unverified.
fn claims(list: &Answer) -> Value {
    assert_eq!(list.status, 200, "{list:?}");
    let payload = list.body.split('.').nth(1).unwrap();
    serde_json::from_slice(&ratchet_core::encoding::from_base64url(payload).unwrap()).unwrap()
}

async fn is_listed(world: &World, tokens: &Tokens) -> bool {
    let hash = json!(EndedSession::from(session(tokens)));
    claims(&list(world).await)["ended"].as_array().unwrap().contains(&hash)
}

fn session(tokens: &Tokens) -> SessionId {
    ids(&tokens.refresh).session_id
}

/// Repeats a check until it holds. Fails if that takes longer than promised.
async fn soon(mut is_so: impl AsyncFnMut() -> bool) {
    let within = Duration::from_secs(30);
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(within, asking).await.expect("so within 30 s");
}

#[test]
fn after_log_out_the_protected_service_refuses_the_access_token_within_the_poll() {
    run(async {
        let world = publishing("revocations", &[]).await;
        let (_, tokens) = world.signed_in().await;
        let (_, other) = world.signed_in().await;
        let verifier = protected(&world);
        assert_eq!(verdict(&verifier, &tokens.access).await.unwrap().sid, session(&tokens));
        world.api().logout(&tokens.refresh).await;
        soon(async || match verdict(&verifier, &tokens.access).await {
            Ok(_) => false,
            Err(VerifyError::Ended) => true,
            Err(error) => panic!("{error}"),
        })
        .await;
        verdict(&verifier, &other.access).await.unwrap();
    });
}

#[test]
fn everything_that_ends_a_session_is_told() {
    run(async {
        let world = publishing("revocations-all", &[("RATCHET_RETRY_WINDOW_SECONDS", "5")]).await;
        let api = world.api();
        let (person, live) = world.signed_in().await;
        let mut ended = Vec::new();

        let tokens = world.sign_in(&person).await;
        let revoked = api.request("POST", "/oauth2/revoke").form(&[("token", &tokens.refresh)]);
        assert_eq!(Answer::of(revoked).await.status, 200);
        ended.push(("/oauth2/revoke", tokens));

        let tokens = world.sign_in(&person).await;
        let path = format!("/users/me/sessions/{}", session(&tokens));
        assert_eq!(api.delete(&path, &live.access).await.status, 204);
        ended.push(("one of the sessions", tokens));

        let tokens = world.sign_in(&person).await;
        let next = api.refresh(&tokens.refresh).await.tokens();
        let next = api.refresh(&next.refresh).await.tokens();
        world.age_superseded(&tokens.refresh, Duration::from_secs(6)).await;
        assert_eq!(api.refresh(&tokens.refresh).await.problem().1, "reuse_detected");
        ended.push(("reuse", next));

        let tokens = world.sign_in(&person).await;
        let others = "/users/me/sessions?except=current";
        assert_eq!(api.delete(others, &live.access).await.status, 204);
        ended.push(("all other sessions", tokens));

        let tokens = world.sign_in(&person).await;
        let change = json!({
            "current": person.password, "new": "a wholly other passphrase", "keep_this_session": true,
        });
        let changed = api.request("POST", "/users/me/password").bearer_auth(&live.access);
        assert_eq!(Answer::of(changed.json(&change)).await.status, 204);
        ended.push(("another password", tokens));

        let (deleted, tokens) = world.signed_in().await;
        let gone = api.request("DELETE", "/users/me").bearer_auth(&tokens.access);
        let gone = gone.json(&json!({"password": deleted.password}));
        assert_eq!(Answer::of(gone).await.status, 204);
        ended.push(("deletion", tokens));

        let (person, tokens) = world.signed_in().await;
        let change = |new: &mut ratchet_store::NewUser| new.user.roles.push("admin".to_owned());
        let admin = world.person_with(change).await;
        let admin = world.sign_in(&admin).await;
        let path = format!("/users/{}", person.id);
        let disable = api.request("PATCH", &path).bearer_auth(&admin.access);
        let disabled = Answer::of(disable.json(&json!({"status": "disabled"}))).await;
        assert_eq!(disabled.status, 200);
        ended.push(("an administrator", tokens));

        for (what, tokens) in &ended {
            soon(async || is_listed(&world, tokens).await).await;
            let refused = verdict(&protected(&world), &tokens.access).await;
            assert!(matches!(refused, Err(VerifyError::Ended)), "{what}: {refused:?}");
        }
        verdict(&protected(&world), &live.access).await.unwrap();
        assert!(!is_listed(&world, &live).await);
    });
}

#[test]
fn a_session_that_makes_room_is_told_of_and_one_that_has_to_be_told_of_stays() {
    run(async {
        let world = publishing("revocations-room", &[("RATCHET_MAX_SESSIONS", "2")]).await;
        let (person, first) = world.signed_in().await;
        let second = world.sign_in(&person).await;
        world.api().logout(&second.refresh).await;
        // Otherwise the ended session would be the first to make room, and its end would be
        // forgotten.
        let third = world.sign_in(&person).await;
        let _fourth = world.sign_in(&person).await;
        for (tokens, listed) in [(&first, true), (&second, true), (&third, false)] {
            if listed {
                soon(async || is_listed(&world, tokens).await).await;
            } else {
                assert!(!is_listed(&world, tokens).await);
            }
        }
        assert_eq!(world.api().refresh(&third.refresh).await.status, 200);
        assert_eq!(world.api().refresh(&first.refresh).await.problem().1, "revoked");
    });
}

#[test]
fn the_list_is_signed_short_lived_and_says_nothing_to_strangers() {
    run(async {
        let world = publishing("revocations-list", &[]).await;
        let (_, tokens) = world.signed_in().await;
        world.api().logout(&tokens.refresh).await;
        soon(async || is_listed(&world, &tokens).await).await;
        let answer = list(&world).await;
        assert_eq!(answer.header("content-type"), "application/jwt");
        assert_eq!(answer.header("cache-control"), "public, max-age=15");
        let jwks = Answer::of(world.api().request("GET", "/.well-known/jwks.json")).await;
        let keys = ratchet_core::key_ring::PublicKeys::parse(jwks.body.as_bytes()).unwrap();
        let issuer = world.stack().base_url();
        let read =
            RevocationList::verify(&answer.body, issuer, |kid| keys.find(kid), now().seconds());
        read.unwrap();
        let said = claims(&answer).to_string();
        assert!(!said.contains(&session(&tokens).to_string()), "{said}");

        let etag = answer.header("etag").to_owned();
        let again = world.api().request("GET", LIST).header("if-none-match", &etag);
        let again = Answer::of(again).await;
        // Another log-out, or a new minute, may have changed the list.
        assert!(again.status == 304 && again.body.is_empty() || again.header("etag") != etag);
        // It is not accepted as an access token.
        let opened = world.api().get("/users", &answer.body).await;
        assert_eq!(opened.problem(), (401, "invalid_access_token".to_owned()));
    });
}

#[test]
fn unless_it_is_enabled_there_is_no_list_and_nothing_is_written_for_it() {
    run(async {
        let world = World::shared().await;
        assert_eq!(list(world).await.problem(), (404, "not_found".to_owned()));
        let (_, tokens) = world.signed_in().await;
        world.api().logout(&tokens.refresh).await;
        let item = world.item(&tokens.refresh).await;
        assert!(item.contains_key("revoked_at") && !item.contains_key("published"), "{item:?}");
    });
}

#[test]
fn a_fault_is_a_503_here_and_loses_no_end() {
    run(async {
        let shared = World::shared().await;
        let dynamodb = Proxy::before(shared.stack().services().dynamodb().endpoint()).await;
        let settings = [("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.endpoint())];
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let world = publishing("revocations-fault", &settings).await;
        let (_, tokens) = world.signed_in().await;
        for fault in [Fault::Refuse, Fault::Error(500, "InternalServerError"), Fault::ApplyAndDrop]
        {
            dynamodb.break_all("UpdateItem", fault);
            assert_eq!(world.api().logout(&tokens.refresh).await.status, 503);
            dynamodb.break_all("Query", fault);
            // Once the cached list is too old.
            soon(async || list(&world).await.status == 503).await;
            dynamodb.heal();
        }
        assert_eq!(world.api().logout(&tokens.refresh).await.status, 204);
        soon(async || is_listed(&world, &tokens).await).await;
        let (calls, begun) = (dynamodb.calls("*"), now());
        for _ in 0..20 {
            list(&world).await;
        }
        let took = usize::try_from(now().get() - begun.get()).unwrap();
        let reads = took / 5_000 + 1;
        assert!(dynamodb.calls("*") <= calls + reads, "one read in five seconds, however many ask");
    });
}

#[test]
fn the_end_of_a_session_is_one_unit_and_one_more_if_it_is_told() {
    run(async {
        for (name, setting, units) in
            [("units-off", "disabled", 1.0), ("units-on", "enabled", 2.0_f64)]
        {
            let shared = World::shared().await;
            let options = StackOptions::beside(shared.stack(), name);
            let options = options.with("RATCHET_REVOCATIONS", setting);
            let tally = Tally::default();
            let world = World::recorded(cheap(options), tally.clone()).await;
            let (_, tokens) = world.signed_in().await;
            tally.take();
            let next = world.api().refresh(&tokens.refresh).await.tokens();
            let of_refresh = |counted: &BTreeMap<(String, String), f64>| {
                counted[&("refresh".to_owned(), "UpdateItem".to_owned())]
            };
            assert_eq!(of_refresh(&tally.take()).to_bits(), 1.0_f64.to_bits());
            world.api().logout(&next.refresh).await;
            assert_eq!(of_refresh(&tally.take()).to_bits(), units.to_bits());
        }
    });
}
