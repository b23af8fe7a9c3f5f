//! `GET /.well-known/…`: keys and metadata to verify access tokens.

use ratchet_core::{jws::SignatureAlgorithm, key_ring::NewKey};
use serde_json::{Value, json};

use crate::support::{
    Answer, World,
    proxy::Proxy,
    ring::{known, parts},
    run,
};

const JWKS: &str = "/.well-known/jwks.json";

/// The private members of a JWK (RFC 7518 §6), which must not leave the ring.
const PRIVATE: [&str; 8] = ["k", "d", "p", "q", "dp", "dq", "qi", "oth"];

async fn get(world: &World, path: &str) -> Answer {
    Answer::of(world.api().request("GET", path)).await
}

#[test]
fn public_keys_are_published_and_nothing_else_is() {
    run(async {
        let shared = World::shared().await;
        let dynamodb = Proxy::before(shared.stack().services().dynamodb().endpoint()).await;
        let mut keys: Vec<Value> = SignatureAlgorithm::ALL
            .map(|algorithm| NewKey::signing(algorithm).unwrap().expose())
            .to_vec();
        let private: Vec<String> = keys
            .iter()
            .flat_map(|key| PRIVATE.iter().filter_map(|member| key[*member].as_str()))
            .map(str::to_owned)
            .collect();
        keys.push(NewKey::tag().unwrap().expose());
        let ring = json!({"keys": keys}).to_string();
        let secret = shared.secret("published-ring", &ring).await;
        let settings = [
            ("RATCHET_KEY_RING_SECRET", secret.as_str()),
            ("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb.endpoint()),
        ];
        let world = World::beside("published", &settings).await;

        let calls = dynamodb.calls("*");
        let answer = get(&world, JWKS).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "public, max-age=600");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let published = answer.json()["keys"].as_array().unwrap().clone();
        let types: Vec<_> = published.iter().map(|key| key["kty"].as_str().unwrap()).collect();
        assert_eq!(types, ["EC", "OKP", "RSA"], "an `oct` key never appears");
        for key in &published {
            for member in PRIVATE {
                assert!(key.get(member).is_none(), "{member}");
            }
        }
        assert_eq!(private.len(), 1 + 1 + 1 + 6);
        for secret in private {
            assert!(!answer.body.contains(&secret));
        }
        assert_eq!(dynamodb.calls("*"), calls, "only the key ring is read");

        let known = world.api().request("GET", JWKS).header("if-none-match", answer.header("etag"));
        let known = Answer::of(known).await;
        assert_eq!((known.status, known.body.as_str()), (304, ""));
        assert_eq!(known.header("etag"), answer.header("etag"));
        assert_eq!(known.header("cache-control"), "public, max-age=600");
    });
}

#[test]
fn a_ring_of_symmetric_keys_publishes_an_empty_set() {
    run(async {
        let shared = World::shared().await;
        let secret = shared.secret("symmetric-ring", &known(&[]).to_string()).await;
        let world = World::beside("symmetric", &[("RATCHET_KEY_RING_SECRET", &secret)]).await;
        let answer = get(&world, JWKS).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"keys":[]}"#));
    });
}

/// Before any rotation.
#[test]
fn a_new_stack_signs_with_the_configured_algorithm_and_publishes_its_key_at_once() {
    run(async {
        let shared = World::shared().await;
        let worlds = [
            (World::beside("new-es256", &[]).await, "ES256"),
            (World::beside("new-eddsa", &[("RATCHET_SIGNING_ALGORITHM", "EdDSA")]).await, "EdDSA"),
            (World::beside("new-rs256", &[("RATCHET_SIGNING_ALGORITHM", "RS256")]).await, "ES256"),
            (World::beside("new-hs256", &[("RATCHET_SIGNING_ALGORITHM", "HS256")]).await, "HS256"),
        ];
        for (world, algorithm) in &worlds {
            let (_, tokens) = world.signed_in().await;
            let (header, _) = parts(&tokens.access);
            assert_eq!(header["alg"], *algorithm);
            let published = get(world, JWKS).await.json();
            let published = published["keys"].as_array().unwrap();
            let is_published = published.iter().any(|key| key["kid"] == header["kid"]);
            assert_eq!(is_published, *algorithm != "HS256");
            // While a changed algorithm is rolled out, instances accept each other's tokens.
            for other in worlds.iter().map(|(other, _)| other).chain([shared]) {
                let answer = other.api().get("/users", &tokens.access).await;
                assert_eq!(answer.status, 200, "{algorithm}: {answer:?}");
            }
        }
    });
}

#[test]
fn the_metadata_name_the_configured_issuer_whatever_the_host_says() {
    run(async {
        for issuer in
            ["https://auth.example", "https://auth.example/stage", "https://auth.example/"]
        {
            let world = World::beside("metadata", &[("RATCHET_ISSUER", issuer)]).await;
            let base = issuer.trim_end_matches('/');
            for name in ["oauth-authorization-server", "openid-configuration"] {
                let answer = get(&world, &format!("/.well-known/{name}")).await;
                assert_eq!(answer.header("cache-control"), "public, max-age=600");
                let metadata = answer.json();
                assert_eq!(metadata["issuer"], issuer, "to the letter");
                assert_eq!(metadata["jwks_uri"], format!("{base}{JWKS}"));
                assert_eq!(metadata["token_endpoint"], format!("{base}/oauth2/token"));
                assert_eq!(metadata["revocation_endpoint"], format!("{base}/oauth2/revoke"));
                let introspect = format!("{base}/oauth2/introspect");
                assert_eq!(metadata["introspection_endpoint"], introspect);
                let methods = json!(["client_secret_basic", "client_secret_post"]);
                assert_eq!(metadata["introspection_endpoint_auth_methods_supported"], methods);
                assert_eq!(metadata["grant_types_supported"], json!(["refresh_token"]));
                let signs = json!(["ES256", "EdDSA", "RS256"]);
                assert_eq!(metadata["access_token_signing_alg_values_supported"], signs);
                // The members required by OpenID Connect Discovery 1.0 §3 that are true here.
                assert_eq!(metadata["response_types_supported"], json!(["none"]));
                assert_eq!(metadata["subject_types_supported"], json!(["public"]));
                assert_eq!(metadata["id_token_signing_alg_values_supported"], signs);
                // There is no such endpoint.
                assert_eq!(metadata.get("authorization_endpoint"), None);
            }
        }
    });
}

#[test]
fn refusals_of_these_routes_are_not_kept() {
    run(async {
        let world = World::shared().await;
        let refusal = Answer::of(world.api().request("POST", JWKS)).await;
        assert_eq!(refusal.problem(), (405, "method_not_allowed".to_owned()));
        assert_eq!(refusal.header("cache-control"), "no-store");
    });
}
