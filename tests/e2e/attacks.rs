//! The list of attacks on tokens, row by row, over HTTP. Refusals cost no call to DynamoDB.

use std::{collections::HashMap, time::Duration};

use ratchet_core::encoding::{from_base64url, to_base64url};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{
    Answer, Tokens, World,
    api::visible,
    people::now,
    proxy::Proxy,
    ring::{KID, altered, forge, known, parts, sign, signing_secret},
    run,
};

/// A world with a known signing key, whose calls are counted.
struct Target {
    world: World,
    dynamodb: Proxy,
    secrets: Proxy,
    tokens: Tokens,
}

async fn target(name: &str) -> Target {
    let shared = World::shared().await;
    let services = shared.stack().services();
    let dynamodb = Proxy::before(services.dynamodb().endpoint()).await;
    let secrets = Proxy::before(services.secrets().endpoint()).await;
    let secret = shared.secret(&format!("{name}-ring"), &known(&[]).to_string()).await;
    let world = World::beside(
        name,
        &[
            ("RATCHET_KEY_RING_SECRET", &secret),
            ("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb.endpoint()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &secrets.endpoint()),
        ],
    )
    .await;
    let (_, tokens) = world.signed_in().await;
    Target { world, dynamodb, secrets, tokens }
}

impl Target {
    fn with(&self, header: &Value, claims: &Value) -> String {
        altered(&self.tokens.access, header, claims, &signing_secret())
    }
}

#[expect(clippy::too_many_lines, reason = "it is a list")]
fn access_token_attacks(target: &Target, canary: &str) -> Vec<(String, String)> {
    let genuine = &target.tokens.access;
    let (header, claims) = parts(genuine);
    let (input, signature) = genuine.rsplit_once('.').unwrap();
    let (head, payload) = input.split_once('.').unwrap();
    let secret = signing_secret();
    let seconds = now().seconds().get();
    let none = json!({});
    let mut attacks: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, token: String| attacks.push((name.to_owned(), token));

    for alg in ["none", "None", "NONE", "nOnE", "", "hs256", "HS384", "HS512", "RS256", "ES256"] {
        add(&format!("1-7 alg {alg:?}"), target.with(&json!({"alg": alg}), &none));
        let unsigned = forge(&json!({"alg": alg, "typ": "at+jwt", "kid": KID}), &claims, &secret);
        let (unsigned, _) = unsigned.rsplit_once('.').unwrap();
        add(&format!("1-4 alg {alg:?} unsigned"), format!("{unsigned}."));
    }
    add("3 alg missing", target.with(&json!({"alg": null}), &none));
    for jwks in ["{\"keys\":[]}", "{\"keys\":[]}\n", "{\"keys\":[]}\r\n"] {
        add("6 signed with public text", forge(&header, &claims, jwks.as_bytes()));
    }
    add("8 signature stripped", input.to_owned());
    add("9 signature empty", format!("{input}."));
    let other = target.with(&none, &json!({"jti": "other"}));
    add("10 signature of another token", format!("{input}.{}", other.rsplit_once('.').unwrap().1));
    for position in (0..genuine.len()).step_by(7) {
        let mut flipped = genuine.clone().into_bytes();
        flipped[position] ^= 1;
        // Bits that make a character unfit for a header line are another refusal.
        if let Some(flipped) = String::from_utf8(flipped)
            .ok()
            .filter(|text| text.chars().all(|c| c.is_ascii_graphic()))
        {
            add(&format!("11 bit flipped at {position}"), flipped);
        }
    }
    let edited = to_base64url(claims.to_string().replace("reader", "admins").as_bytes());
    add("12 payload edited", format!("{head}.{edited}.{signature}"));
    let zeroes = to_base64url(&[0; 64]);
    let es256 = forge(&json!({"alg": "ES256", "typ": "at+jwt", "kid": KID}), &claims, &secret);
    add("13 r = s = 0", format!("{}.{zeroes}", es256.rsplit_once('.').unwrap().0));
    add("14 embedded jwk", target.with(&json!({"jwk": {"kty": "oct", "k": "AA"}}), &none));
    for name in ["jku", "x5u"] {
        add(&format!("15 {name}"), target.with(&json!({name: canary}), &none));
        add(&format!("15 {name} alone"), target.with(&json!({name: canary, "kid": null}), &none));
    }
    add("16 unknown kid", target.with(&json!({"kid": "unknown"}), &none));
    add("16 kid missing", target.with(&json!({"kid": null}), &none));
    add("18 kid of 3 KiB", target.with(&json!({"kid": "k".repeat(3_000)}), &none));
    add("19 crit", target.with(&json!({"crit": ["exp"]}), &none));
    add("20 b64", target.with(&json!({"b64": false, "crit": ["b64"]}), &none));
    add("20 b64 alone", target.with(&json!({"b64": false}), &none));
    add("21 zip", target.with(&json!({"zip": "DEF"}), &none));
    for typ in [json!("JWT"), json!(null), json!("at+JWT"), json!("rt+jwt")] {
        add(&format!("22 typ {typ}"), target.with(&json!({"typ": typ}), &none));
    }
    add("23 a refresh token", target.tokens.refresh.clone());
    for (name, value) in [
        ("25 exp", json!(null)),
        ("26 exp", json!((seconds + 100).to_string())),
        ("26 exp", json!(1_900_000_000.5)),
        ("26 exp", json!(-1)),
        ("26 exp", json!(1e300)),
        ("26 exp", json!(u64::MAX)),
        ("27 nbf", json!(seconds + 600)),
        ("27 nbf", json!("0")),
        ("28 iat", json!(seconds + 100)),
        ("29 exp", json!(seconds + 90_000)),
        ("30 aud", json!(null)),
        ("30 aud", json!("other")),
        ("30 aud", json!(["ratchet", "other"])),
        ("30 aud", json!(["ratchet", 7])),
        ("30 aud", json!([])),
        ("31 iss", json!(null)),
        ("31 iss", json!("https://other.example")),
        ("31 iss", json!("http://127.0.0.1")),
        ("32 sub", json!(null)),
        ("32 sub", json!("")),
        ("32 sub", json!(7)),
        ("32 sub", json!({"a": []})),
        ("sid", json!(null)),
        ("jti", json!(null)),
    ] {
        let (_, claim) = name.rsplit_once(' ').unwrap_or(("", name));
        add(&format!("{name} {value}"), target.with(&none, &json!({claim: value})));
    }
    add(
        "33 JSON serialisation",
        json!({"payload": payload, "protected": head, "signature": signature}).to_string(),
    );
    let deep = format!("{{\"sub\":{}{}}}", "[".repeat(1_400), "]".repeat(1_400));
    add("35 nested", sign(&format!("{head}.{}", to_base64url(deep.as_bytes())), &secret));
    add(
        "36 invalid UTF-8",
        sign(&format!("{head}.{}", to_base64url(b"{\"sub\":\"\xff\"}")), &secret),
    );
    let mut bytes = from_base64url(head).unwrap();
    bytes.push(0xff);
    add(
        "36 invalid UTF-8 in the header",
        sign(&format!("{}.{payload}", to_base64url(&bytes)), &secret),
    );
    for weak in [
        "secret",
        "password",
        "your-256-bit-secret",
        "changeme",
        "",
        "a-string-secret-at-least-256-bits-long",
    ] {
        add(&format!("37 signed with {weak:?}"), forge(&header, &claims, weak.as_bytes()));
    }
    attacks
}

/// Whether a token could have been good before: its `kid` is not known, or our key signed a time that
/// is ahead, another issuer or another audience.
fn is_hinted_at_refreshing(name: &str, token: &str) -> bool {
    let header = token.split('.').next().and_then(from_base64url);
    let header: Option<Value> = header.and_then(|json| serde_json::from_slice(&json).ok());
    let row = name.split(' ').next().unwrap();
    match row {
        "11" => header.is_some_and(|header| header["kid"].as_str().is_some_and(|kid| kid != KID)),
        "16" | "28" => true,
        "27" => !name.ends_with('"'),
        "30" | "31" => name.ends_with('"'),
        _ => false,
    }
}

#[test]
fn every_forged_access_token_is_refused_without_a_call_to_dynamodb() {
    run(async {
        let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let canary_url = format!("http://{}/jwks.json", canary.local_addr().unwrap());
        let target = target("attacks").await;
        let api = target.world.api();
        let unchanged = target.with(&json!({}), &json!({}));
        assert_eq!(api.get("/users", &unchanged).await.status, 200, "the test's own signing works");

        let calls = target.dynamodb.calls("*");
        let loads = target.secrets.calls("GetSecretValue");
        let mut classes = HashMap::new();
        for (name, token) in access_token_attacks(&target, &canary_url) {
            let refusal = api.get("/users", &token).await;
            let (status, code) = refusal.problem();
            assert_eq!(status, 401, "{name}");
            let expected = if is_hinted_at_refreshing(&name, &token) {
                "stale_access_token"
            } else {
                "invalid_access_token"
            };
            assert_eq!(code, expected, "{name}");
            assert_eq!(refusal.header("is-token-expired"), "", "{name}");
            let seen = visible(&refusal);
            assert_eq!(&seen, classes.entry(code).or_insert_with(|| seen.clone()), "{name}");
        }
        assert_eq!(classes.len(), 2);
        assert_eq!(target.dynamodb.calls("*"), calls, "garbage is free");
        assert!(target.secrets.calls("GetSecretValue") <= loads + 1, "one reload per cool-down");
        let listened = tokio::time::timeout(Duration::from_millis(100), canary.accept()).await;
        assert!(listened.is_err(), "URLs in a token are not fetched");
        assert_eq!(api.get("/users", &unchanged).await.status, 200, "the next request works");
    });
}

#[test]
fn an_expired_token_is_refused_to_the_second_and_says_so() {
    run(async {
        let target = target("expired").await;
        let seconds = now().seconds().get();
        let claims = json!({"exp": seconds, "iat": seconds - 300});
        let refusal = target.world.api().get("/users", &target.with(&json!({}), &claims)).await;
        assert_eq!(refusal.problem(), (401, "expired_access_token".to_owned()));
        assert_eq!(refusal.header("is-token-expired"), "true");
    });
}

/// Row 29: a token that was issued with a longer life than configured now does not live longer.
#[test]
fn a_token_of_a_longer_life_than_configured_is_expired_when_it_is_too_old() {
    run(async {
        let target = target("longer").await;
        let seconds = now().seconds().get();
        let at_age = async |age: u64| {
            let claims = json!({"exp": seconds + 1_000, "iat": seconds - age});
            target.world.api().get("/users", &target.with(&json!({}), &claims)).await
        };
        assert_eq!(
            at_age(200).await.status,
            200,
            "an instance with the former configuration issued it"
        );
        let refusal = at_age(300).await;
        assert_eq!(refusal.problem(), (401, "expired_access_token".to_owned()));
        assert_eq!(refusal.header("is-token-expired"), "true");
    });
}

#[test]
fn a_token_of_another_stage_is_refused() {
    run(async {
        let target = target("stage").await;
        let (_, foreign) = World::shared().await.signed_in().await;
        let refusal = target.world.api().get("/users", &foreign.access).await;
        assert_eq!(refusal.code(), "stale_access_token");
        let refusal = target.world.api().refresh(&foreign.refresh).await;
        assert_eq!(refusal.code(), "malformed");
    });
}

#[test]
fn a_huge_token_is_refused() {
    run(async {
        let target = target("huge").await;
        let calls = target.dynamodb.calls("*");
        let huge = json!({"refresh_token": "a".repeat(1_000_000)});
        assert_eq!(target.world.api().post("/refresh", huge).await.code(), "payload_too_large");
        let long = format!("{}{}", target.tokens.access, "A".repeat(5_000));
        assert_eq!(target.world.api().get("/users", &long).await.status, 401);
        assert_eq!(target.dynamodb.calls("*"), calls);
    });
}

#[test]
fn every_forged_refresh_token_is_refused_without_a_call_to_dynamodb() {
    run(async {
        let target = target("refresh-attacks").await;
        let api = target.world.api();
        let genuine = &target.tokens.refresh;
        let body = genuine.strip_prefix("rt1_").unwrap();
        let swapped: String = genuine
            .chars()
            .map(|c| {
                if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
            })
            .collect();
        let mut attacks: Vec<(String, String)> = [
            ("44 truncated", genuine[..genuine.len() - 1].to_owned()),
            ("44 extended", format!("{genuine}A")),
            ("44 padded", format!("{genuine}=")),
            ("44 after a space", format!(" {genuine}")),
            ("44 before a line end", format!("{genuine}\n")),
            ("44 of another version", format!("rt2_{body}")),
            ("44 in upper case", format!("RT1_{body}")),
            ("44 without a version", body.to_owned()),
            ("44 cases swapped", swapped),
            ("44 blank", " ".to_owned()),
            ("23 an access token", target.tokens.access.clone()),
            ("44 zeroes", "\u{0}".repeat(116)),
            ("44 no ASCII", "é".repeat(58)),
        ]
        .map(|(name, token)| (name.to_owned(), token))
        .to_vec();
        let bytes = from_base64url(body).unwrap();
        for bit in (0..bytes.len() * 8).step_by(3) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            attacks.push((format!("bit {bit}"), format!("rt1_{}", to_base64url(&flipped))));
        }
        let calls = target.dynamodb.calls("*");
        let mut class = None;
        for (name, attack) in &attacks {
            let refusal = api.refresh(attack).await;
            assert_eq!(refusal.problem(), (401, "malformed".to_owned()), "{name}");
            assert!(refusal.body.contains("Invalid attempt!"));
            let seen = visible(&refusal);
            assert_eq!(&seen, class.get_or_insert_with(|| seen.clone()), "{name}");
            assert_eq!(api.logout(attack).await.status, 400, "{name}");
        }
        assert_eq!(target.dynamodb.calls("*"), calls, "garbage is free");
        assert_eq!(api.refresh(genuine).await.status, 200, "the session is untouched");
    });
}

#[test]
fn a_refresh_token_in_the_query_or_by_get_is_not_read() {
    run(async {
        let target = target("query").await;
        let path = format!("/refresh?refresh_token={}", target.tokens.refresh);
        let api = target.world.api();
        let calls = target.dynamodb.calls("*");
        assert_eq!(Answer::of(api.request("GET", &path)).await.status, 405);
        let post = api.request("POST", &path).json(&json!({}));
        assert_eq!(Answer::of(post).await.status, 400);
        assert_eq!(target.dynamodb.calls("*"), calls);
    });
}
