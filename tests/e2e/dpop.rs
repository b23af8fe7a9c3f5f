//! Sessions that are bound to a key of their client (RFC 9449).

use std::time::Duration;

use ratchet_core::{encoding::to_base64url, key_ring::TAG_USE};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{
    Answer, Tokens, World,
    dpop::KeyClient,
    items::ids,
    people::now,
    ring::{known, parts},
    run,
};

/// A person's client with a bound session.
struct Bound<'w> {
    world: &'w World,
    client: KeyClient,
    tokens: Tokens,
}

impl<'w> Bound<'w> {
    async fn new(world: &'w World) -> Self {
        let (client, person) = (KeyClient::new(world).await, world.person().await);
        let tokens = client.sign_in(&person).await;
        Self { world, client, tokens }
    }

    async fn refreshes(&mut self) -> Tokens {
        self.tokens = self.client.refresh(&self.tokens.refresh).await.tokens();
        self.tokens.clone()
    }

    async fn pass(&self, time: Duration) {
        self.world.age_superseded(&self.tokens.refresh, time).await;
    }

    fn events(&self, name: &str) -> usize {
        let id = ids(&self.tokens.refresh).session_id.to_string();
        let name = format!("\"{name}\"");
        let log = self.world.log_text();
        log.lines().filter(|line| line.contains(&id) && line.contains(&name)).count()
    }
}

fn form(token: &str) -> [(&'static str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", token)]
}

#[test]
fn a_sign_in_with_a_proof_binds_the_session_to_its_key() {
    run(async {
        let world = World::shared().await;
        let client = KeyClient::new(world).await;
        let person = world.person().await;
        let answer = client.try_sign_in(&person).await;
        assert_eq!(answer.json()["token_type"], "DPoP");
        assert!(answer.header("dpop-nonce").starts_with("dn1_"), "{answer:?}");
        let tokens = answer.tokens();
        let session = world.session(&tokens.refresh).await.unwrap();
        let (_, claims) = parts(&tokens.access);
        assert_eq!(claims["cnf"], json!({"jkt": session.jkt.unwrap().to_string()}));

        let next = client.refresh(&tokens.refresh).await;
        assert_eq!(next.json()["token_type"], "DPoP");
        let next = next.tokens();
        assert_eq!(ids(&next.refresh).generation, 1);
        let grant = form(&next.refresh);
        let grant = |request: RequestBuilder| request.form(&grant);
        let third = client.send(("POST", "/oauth2/token"), None, grant).await.tokens();
        assert_eq!(client.get("/users", &third.access).await.status, 200);
        assert_eq!(client.get("/users/me", &third.access).await.status, 200);
        assert_eq!(client.get("/users/me/sessions", &third.access).await.status, 200);
        let log_out = json!({"refresh_token": third.refresh});
        assert_eq!(client.post("/logout", &log_out).await.status, 204);
        assert_eq!(client.refresh(&third.refresh).await.code(), "revoked");
    });
}

#[test]
fn the_first_proof_is_answered_with_a_nonce_and_counts_nothing() {
    run(async {
        let world = World::shared().await;
        let (client, person) = (KeyClient::new(world).await, world.person().await);
        let body = json!({"name": person.name, "password": person.password});
        let without = |path: &str| {
            let request = client.api.request("POST", path);
            request.header("dpop", client.proof("POST", path, None))
        };
        let answer = Answer::of(without("/authenticate").json(&body)).await;
        assert_eq!(answer.problem(), (400, "use_dpop_nonce".to_owned()));
        assert!(answer.header("dpop-nonce").starts_with("dn1_"), "{answer:?}");

        let mut bound = Bound::new(world).await;
        let tokens = bound.tokens.clone();
        let first = KeyClient::new(world).await;
        let stale = first.claims("POST", "/oauth2/token", None);
        let proof = bound.client.sign(&bound.client.header(), &stale);
        let request = first.api.request("POST", "/oauth2/token").form(&form(&tokens.refresh));
        let answer = Answer::of(request.header("dpop", proof)).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("use_dpop_nonce")));
        assert_eq!(bound.events("key_not_proved"), 0);

        let stale = first.claims("GET", "/users", Some(&tokens.access));
        let proof = bound.client.sign(&bound.client.header(), &stale);
        let request = first.api.request("GET", "/users").header("dpop", proof);
        let request = request.header("authorization", format!("DPoP {}", tokens.access));
        let answer = Answer::of(request).await;
        assert_eq!(answer.problem(), (401, "use_dpop_nonce".to_owned()));
        assert!(answer.header("www-authenticate").contains(r#"error="use_dpop_nonce""#));
        assert!(answer.header("dpop-nonce").starts_with("dn1_"), "{answer:?}");
        bound.refreshes().await;
    });
}

/// Proofs that are refused, each with what is wrong with it.
fn refused_proofs(
    owner: &KeyClient,
    thief: &KeyClient,
    (method, path): (&str, &str),
    access_token: Option<&str>,
) -> Vec<(&'static str, Vec<String>)> {
    let claims = || owner.claims(method, path, access_token);
    let with = |mut value: Value, name: &str, changed: Value| {
        value[name] = changed;
        value
    };
    let signed = |claims: &Value| vec![owner.sign(&owner.header(), claims)];
    let with_claim = |name, value| signed(&with(claims(), name, value));
    let with_header = |name, value| vec![owner.sign(&with(owner.header(), name, value), &claims())];
    let seconds = now().seconds().get();
    let secret = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let good = || owner.proof(method, path, access_token);
    let unsigned = good().rsplit_once('.').unwrap().0.to_owned();
    let mut proofs = vec![
        ("another key", vec![thief.sign(&thief.header(), &claims())]),
        ("another method", with_claim("htm", json!("PUT"))),
        ("another path", with_claim("htu", json!("http://127.0.0.1/elsewhere"))),
        ("the Host header", with_claim("htu", json!(format!("http://evil.example{path}")))),
        ("an old time", with_claim("iat", json!(seconds - 120))),
        ("a future time", with_claim("iat", json!(seconds + 120))),
        ("a forged nonce", with_claim("nonce", json!("dn1_AAAAAGoYpQAAAAAAAAAAAAAAAAAAAAAA"))),
        ("no id", with_claim("jti", json!(""))),
        ("a private key", with_header("jwk", with(owner.jwk(), "d", json!(secret)))),
        ("a symmetric key", with_header("jwk", json!({"kty": "oct", "k": secret}))),
        ("no algorithm", with_header("alg", json!("none"))),
        ("another algorithm", with_header("alg", json!("HS256"))),
        ("another type", with_header("typ", json!("at+jwt"))),
        ("another key in the header", with_header("jwk", thief.jwk())),
        ("a critical member", with_header("crit", json!(["x"]))),
        ("no signature", vec![format!("{unsigned}.")]),
        // The gateway joins headers of one name with commas.
        ("two proofs", vec![format!("{},{}", good(), good())]),
        ("no proof", vec![]),
        ("garbage", vec!["garbage".to_owned()]),
    ];
    if access_token.is_some() {
        proofs.push(("another access token", with_claim("ath", json!(secret))));
        proofs.push(("no access token", with_claim("ath", Value::Null)));
    }
    proofs
}

#[test]
fn a_refused_proof_changes_nothing_and_does_not_refresh() {
    run(async {
        let world = World::shared().await;
        let mut bound = Bound::new(world).await;
        bound.refreshes().await;
        let token = bound.tokens.refresh.clone();
        let before = world.item(&token).await;
        let thief = KeyClient::new(world).await;
        for path in ["/refresh", "/logout", "/oauth2/token", "/oauth2/revoke"] {
            for (what, proofs) in refused_proofs(&bound.client, &thief, ("POST", path), None) {
                let request = world.api().request("POST", path);
                let request = match path {
                    "/refresh" | "/logout" => request.json(&json!({"refresh_token": token})),
                    "/oauth2/token" => request.form(&form(&token)),
                    _ => request.form(&[("token", &token)]),
                };
                let request = proofs.iter().fold(request, |r, proof| r.header("dpop", proof));
                let answer = Answer::of(request).await;
                let expected =
                    if what == "a forged nonce" { "use_dpop_nonce" } else { "invalid_dpop_proof" };
                assert_eq!(answer.status, 400, "{path} with {what}: {answer:?}");
                assert!(answer.body.contains(expected), "{path} with {what}: {answer:?}");
                if path.starts_with("/oauth2/") {
                    let said = answer.json()["error_description"].to_string();
                    assert!(said.contains(' ') && said.ends_with(".\""), "{said}");
                }
                assert_eq!(world.item(&token).await, before, "{path} with {what}");
            }
        }
        assert!(bound.events("key_not_proved") > 50);
        bound.refreshes().await;
    });
}

#[test]
fn a_refused_proof_opens_no_protected_route() {
    run(async {
        let world = World::shared().await;
        let mut bound = Bound::new(world).await;
        let (access, thief) = (bound.tokens.access.clone(), KeyClient::new(world).await);
        for path in ["/users", "/users/me", "/users/me/sessions"] {
            let refused = refused_proofs(&bound.client, &thief, ("GET", path), Some(&access));
            for (what, proofs) in refused {
                let request = world.api().request("GET", path);
                let request = request.header("authorization", format!("DPoP {access}"));
                let request = proofs.iter().fold(request, |r, proof| r.header("dpop", proof));
                let answer = Answer::of(request).await;
                assert_eq!(answer.status, 401, "{path} with {what}: {answer:?}");
                assert!(answer.header("www-authenticate").starts_with("DPoP "), "{answer:?}");
            }
            let bearer = world.api().get(path, &access).await;
            assert_eq!(bearer.problem(), (401, "invalid_dpop_proof".to_owned()), "{path}");
        }
        assert_eq!(bound.client.get("/users", &access).await.status, 200);
        bound.refreshes().await;
    });
}

#[test]
fn a_stolen_token_of_any_age_changes_nothing_without_the_key() {
    run(async {
        let world = World::shared().await;
        let mut bound = Bound::new(world).await;
        let mut stolen = vec![bound.tokens.refresh.clone()];
        for _ in 0..6 {
            stolen.push(bound.refreshes().await.refresh);
            bound.pass(Duration::from_mins(2)).await;
        }
        let before = world.item(&bound.tokens.refresh).await;
        let thief = KeyClient::new(world).await;
        for token in &stolen {
            assert_eq!(world.api().refresh(token).await.problem().1, "invalid_dpop_proof");
            assert_eq!(thief.refresh(token).await.problem().1, "invalid_dpop_proof");
            assert_eq!(world.api().logout(token).await.problem().1, "invalid_dpop_proof");
        }
        assert_eq!(world.item(&bound.tokens.refresh).await, before);
        assert_eq!(bound.events("reuse_detected"), 0);
        assert_eq!(ids(&bound.refreshes().await.refresh).generation, 7);
    });
}

#[test]
fn the_owner_of_the_key_is_led_to_the_live_token_from_any_earlier_one() {
    run(async {
        let world = World::shared().await;
        let mut bound = Bound::new(world).await;
        let mut earlier = vec![bound.tokens.refresh.clone()];
        for _ in 0..7 {
            bound.refreshes().await;
            earlier.push(bound.tokens.refresh.clone());
            bound.pass(Duration::from_hours(24)).await;
        }
        for token in earlier.iter().rev().skip(1) {
            let answer = bound.client.refresh(token).await;
            assert_eq!(answer.tokens().refresh, bound.tokens.refresh, "generation of {token}");
        }
        assert_eq!(bound.events("refreshed_by_owner"), 7);
        assert_eq!(bound.events("suspicious_convergence"), 0);
        // Parallel requests get the same next token.
        let token = bound.tokens.refresh.clone();
        let (one, other) = tokio::join!(bound.client.refresh(&token), bound.client.refresh(&token));
        assert_eq!(one.tokens().refresh, other.tokens().refresh);
    });
}

#[test]
fn a_bound_session_goes_on_when_another_key_tags() {
    run(async {
        let shared = World::shared().await;
        let next: Vec<u8> = (60..100).collect();
        let next = json!({
            "kty": "oct", "use": TAG_USE, "nbf": 1_700_000_000, "k": to_base64url(&next),
        });
        let (before, after) = (known(&[]).to_string(), known(&[next]).to_string());
        let secret = shared.secret("dpop-before", &before).await;
        let first = World::beside("dpop-before", &[("RATCHET_KEY_RING_SECRET", &secret)]).await;
        let secret = shared.secret("dpop-after", &after).await;
        let second = World::beside("dpop-after", &[("RATCHET_KEY_RING_SECRET", &secret)]).await;

        let mut bound = Bound::new(&first).await;
        let oldest = bound.tokens.refresh.clone();
        for _ in 0..6 {
            bound.refreshes().await;
            bound.pass(Duration::from_mins(2)).await;
        }
        // The second stack tags with the new key, and knows the old one.
        bound.client.api = second.api();
        let led = bound.client.refresh(&oldest).await.tokens();
        assert_eq!(ids(&led.refresh), ids(&bound.tokens.refresh));
        bound.tokens = led;
        let before = bound.refreshes().await;
        assert_eq!(ids(&before.refresh).generation, 7);
        assert_eq!(ids(&bound.client.refresh(&oldest).await.tokens().refresh).generation, 7);
    });
}

#[test]
fn a_session_that_is_bound_to_no_key_ignores_proofs() {
    run(async {
        let world = World::shared().await;
        let (_, mut tokens) = world.signed_in().await;
        let client = KeyClient::new(world).await;
        let stale = client.proof("POST", "/refresh", None);
        client.remember(&client.refresh("rt1_x").await);
        let fresh = client.proof("POST", "/refresh", None);
        for proofs in [vec![], vec![&fresh], vec![&stale]] {
            let request = world.api().request("POST", "/refresh");
            let request = request.json(&json!({"refresh_token": tokens.refresh}));
            let request =
                proofs.iter().fold(request, |request, proof| request.header("dpop", *proof));
            let answer = Answer::of(request).await;
            assert_eq!(answer.json()["token_type"], "Bearer");
            assert_eq!(
                ids(&answer.tokens().refresh).generation,
                ids(&tokens.refresh).generation + 1
            );
            tokens = answer.tokens();
            world.age_superseded(&tokens.refresh, Duration::from_mins(2)).await;
        }
        let request = world.api().request("GET", "/users").bearer_auth(&tokens.access);
        assert_eq!(Answer::of(request.header("dpop", "garbage")).await.status, 200);
        let request = world.api().request("GET", "/users").header("dpop", &fresh);
        let request = request.header("authorization", format!("DPoP {}", tokens.access));
        assert_eq!(Answer::of(request).await.problem(), (401, "invalid_dpop_proof".to_owned()));
        assert_eq!(world.api().logout(&tokens.refresh).await.status, 204);
    });
}

#[test]
fn a_deployment_may_require_proofs_or_ignore_them() {
    run(async {
        let shared = World::shared().await;
        let mut bound = Bound::new(shared).await;
        let person = shared.person().await;

        let required = World::beside("dpop-required", &[("RATCHET_DPOP", "required")]).await;
        let refused = required.try_sign_in(&person).await;
        assert_eq!(refused.problem(), (400, "invalid_dpop_proof".to_owned()));
        let tokens = KeyClient::new(&required).await.sign_in(&person).await;
        assert!(required.session(&tokens.refresh).await.unwrap().jkt.is_some());

        let disabled = World::beside("dpop-disabled", &[("RATCHET_DPOP", "disabled")]).await;
        let client = KeyClient::new(&disabled).await;
        assert_eq!(client.try_sign_in(&person).await.json()["token_type"], "Bearer");
        let path = "/.well-known/oauth-authorization-server";
        let supported = "dpop_signing_alg_values_supported";
        let metadata = Answer::of(shared.api().request("GET", path)).await.json();
        assert_eq!(metadata[supported], json!(["ES256", "EdDSA", "RS256"]));
        let metadata = Answer::of(disabled.api().request("GET", path)).await.json();
        assert_eq!(metadata[supported], Value::Null);
        // What is bound stays bound.
        let thief = disabled.api().refresh(&bound.tokens.refresh).await;
        assert_eq!(thief.problem(), (400, "invalid_dpop_proof".to_owned()));
        bound.refreshes().await;
    });
}

#[test]
fn the_authorizer_wants_a_proof_for_the_protected_url() {
    run(async {
        let world = World::shared().await;
        let bound = Bound::new(world).await;
        let token = &bound.tokens.access;
        let text = include_str!("../../events/authorizer/forged-token.json");
        let mut event: Value = serde_json::from_str(text).unwrap();
        let domain = event["requestContext"]["domainName"].as_str().unwrap().to_owned();
        let path = event["rawPath"].as_str().unwrap().to_owned();
        let method = event["requestContext"]["http"]["method"].as_str().unwrap().to_owned();
        let mut claims = bound.client.claims(&method, "", Some(token));
        claims["htu"] = json!(format!("https://{domain}{path}"));
        let proof = bound.client.sign(&bound.client.header(), &claims);
        claims["htu"] = json!("https://elsewhere.example/");
        let elsewhere = bound.client.sign(&bound.client.header(), &claims);
        for (scheme, proof, passes) in [
            ("DPoP", Some(&proof), true),
            ("DPoP", Some(&elsewhere), false),
            ("DPoP", None, false),
            ("Bearer", Some(&proof), false),
        ] {
            event["identitySource"] = json!([format!("{scheme} {token}")]);
            event["headers"]["dpop"] = json!(proof);
            let decision = world.invoke("authorizer", &event).await;
            assert_eq!(decision["isAuthorized"], json!(passes), "{scheme} {proof:?}: {decision}");
        }
    });
}

#[test]
fn a_browser_keeps_its_bound_token_in_the_cookie_and_proves_its_key_beside_it() {
    run(async {
        let settings = [
            ("RATCHET_CORS_ORIGINS", "https://app.example"),
            ("RATCHET_ISSUER", "https://issuer.example"),
        ];
        let world = World::beside("dpop-cookie", &settings).await;
        let (client, person) = (KeyClient::new(&world).await, world.person().await);
        let page = |request: RequestBuilder| {
            request.header("origin", "https://app.example").header("x-ratchet", "1")
        };
        let body = json!({"name": person.name, "password": person.password, "mode": "cookie"});
        let signed_in = client.send(("POST", "/authenticate"), None, |r| page(r).json(&body)).await;
        assert_eq!(signed_in.json()["token_type"], "DPoP");
        let exposed = signed_in.header("access-control-expose-headers");
        assert!(exposed.contains("dpop-nonce") && exposed.contains("date"), "{exposed}");
        let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
        let without = page(world.api().request("POST", "/refresh").json(&json!({})));
        let without = Answer::of(without.header("cookie", &cookie)).await;
        assert_eq!(without.problem(), (400, "invalid_dpop_proof".to_owned()));
        assert_eq!(without.header("set-cookie"), "", "the cookie stays");
        let with = |r: RequestBuilder| page(r).header("cookie", &cookie).json(&json!({}));
        assert_eq!(client.send(("POST", "/refresh"), None, with).await.status, 200);
        let out = |r: RequestBuilder| page(r).header("cookie", &cookie).json(&json!({}));
        assert_eq!(client.send(("POST", "/logout"), None, out).await.status, 204);
    });
}
