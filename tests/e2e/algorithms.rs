//! Access tokens of every algorithm, and the attacks that only asymmetric keys make possible.

use ratchet_core::{
    encoding::{from_base64url, to_base64url},
    jws::SignatureAlgorithm,
    key_ring::{KeyRing, NewKey},
};
use serde_json::{Value, json};

use crate::support::{
    Tokens, World,
    people::now,
    proxy::Proxy,
    ring::{forge, of_algorithm, parts},
    run,
};

/// A world that signs with one algorithm, with its calls to DynamoDB counted.
struct Target {
    world: World,
    dynamodb: Proxy,
    tokens: Tokens,
    key: Value,
}

async fn target(algorithm: SignatureAlgorithm) -> Target {
    let shared = World::shared().await;
    let dynamodb = Proxy::before(shared.stack().services().dynamodb().endpoint()).await;
    let name = format!("algorithm-{}", algorithm.name());
    let (ring, key) = of_algorithm(algorithm);
    let secret = shared.secret(&format!("{name}-ring"), &ring.to_string()).await;
    let settings = [
        ("RATCHET_KEY_RING_SECRET", secret.as_str()),
        ("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb.endpoint()),
    ];
    let world = World::beside(&name, &settings).await;
    let (_, tokens) = world.signed_in().await;
    Target { world, dynamodb, tokens, key }
}

#[test]
fn sign_in_refresh_and_use_with_every_algorithm() {
    run(async {
        for algorithm in
            [SignatureAlgorithm::Es256, SignatureAlgorithm::EdDsa, SignatureAlgorithm::Rs256]
        {
            let target = target(algorithm).await;
            let api = target.world.api();
            let (header, _) = parts(&target.tokens.access);
            assert_eq!(header["alg"], algorithm.name());
            assert_eq!(header["typ"], "at+jwt");
            assert_eq!(api.get("/users", &target.tokens.access).await.status, 200);
            let next = api
                .post(
                    "/refresh",
                    json!({"refresh_token": target.tokens.refresh,
                           "access_token": target.tokens.access}),
                )
                .await
                .tokens();
            assert_eq!(api.get("/users", &next.access).await.status, 200);

            let calls = target.dynamodb.calls("*");
            for (name, token) in attacks(&target, algorithm) {
                let refusal = api.get("/users", &token).await;
                assert_eq!(
                    refusal.problem(),
                    (401, "invalid_access_token".to_owned()),
                    "{algorithm:?}: {name}"
                );
            }
            assert_eq!(target.dynamodb.calls("*"), calls, "garbage is free");
            assert_eq!(api.get("/users", &next.access).await.status, 200, "the next request works");
        }
    });
}

/// The rows 1 to 13 of the attack list, against a key of `algorithm`.
fn attacks(target: &Target, algorithm: SignatureAlgorithm) -> Vec<(String, String)> {
    let genuine = &target.tokens.access;
    let (header, claims) = parts(genuine);
    let (input, signature) = genuine.rsplit_once('.').unwrap();
    let bytes = from_base64url(signature).unwrap();
    let mut attacks: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, token: String| attacks.push((name.to_owned(), token));

    // 6: an HMAC whose key is what everybody can read.
    let mut as_hs256 = header.clone();
    as_hs256["alg"] = json!("HS256");
    for (name, text) in public_texts(&target.key, algorithm) {
        add(&format!("6 HS256 keyed with {name}"), forge(&as_hs256, &claims, &text));
        add(&format!("6 its own alg keyed with {name}"), forge(&header, &claims, &text));
    }
    // 1–5, 7: another algorithm under the right kid, signed for real by the attacker.
    for other in SignatureAlgorithm::ALL {
        let (_, key) = of_algorithm(other);
        add(
            &format!("7 really signed with {}", other.name()),
            signed(&key, &header["kid"], &claims),
        );
    }
    for alg in ["none", "", "RS512", "PS256", "ES384", "ES256K", "Ed448", "EdDsa", "HS512"] {
        let mut other = header.clone();
        other["alg"] = json!(alg);
        add(&format!("1-5 {alg:?}"), format!("{}.{signature}", encoded(&other, &claims)));
        add(&format!("1-5 {alg:?} unsigned"), format!("{}.", encoded(&other, &claims)));
    }
    add("8 signature stripped", input.to_owned());
    add("9 signature empty", format!("{input}."));
    for position in (0..bytes.len()).step_by(5) {
        let mut flipped = bytes.clone();
        flipped[position] ^= 1;
        add(&format!("11 byte {position}"), format!("{input}.{}", to_base64url(&flipped)));
    }
    let edited = claims.to_string().replace("reader", "admins");
    let (head, _) = input.split_once('.').unwrap();
    add("12 edited", format!("{head}.{}.{signature}", to_base64url(edited.as_bytes())));
    for (name, forged) in malleated(algorithm, &bytes) {
        add(&format!("13 {name}"), format!("{input}.{}", to_base64url(&forged)));
    }
    attacks
}

fn encoded(header: &Value, claims: &Value) -> String {
    [header, claims].map(|part| to_base64url(part.to_string().as_bytes())).join(".")
}

/// A token that a key signs for real, under the `kid` of another one.
fn signed(key: &Value, kid: &Value, claims: &Value) -> String {
    let mut key = key.clone();
    key["kid"] = kid.clone();
    let ring = KeyRing::parse(&with_a_tag_key(&key), now().seconds()).unwrap();
    let signer = ring.signer(now().seconds()).unwrap();
    signer.sign("at+jwt", claims.to_string().as_bytes()).unwrap().to_string()
}

fn with_a_tag_key(key: &Value) -> String {
    json!({"keys": [key, NewKey::tag().unwrap().expose()]}).to_string()
}

/// What an attacker has of a public key: the JWK, the JWKS, the DER and the PEM, with the line ends
/// that editors make.
fn public_texts(key: &Value, algorithm: SignatureAlgorithm) -> Vec<(String, Vec<u8>)> {
    let ring = KeyRing::parse(&with_a_tag_key(key), now().seconds()).unwrap();
    let jwk = serde_json::to_value(ring.public_keys(now().seconds()).next().unwrap()).unwrap();
    let member = |name: &str| from_base64url(jwk[name].as_str().unwrap()).unwrap();
    let (prefix, raw) = match algorithm {
        SignatureAlgorithm::Es256 => {
            ("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE", [member("x"), member("y")].concat())
        }
        SignatureAlgorithm::EdDsa => ("MCowBQYDK2VwAyEA", member("x")),
        SignatureAlgorithm::Rs256 => (
            "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA",
            [member("n"), vec![2, 3, 1, 0, 1]].concat(),
        ),
        SignatureAlgorithm::Hs256 => unreachable!("it has no public key"),
    };
    let der = [from_base64url(&prefix.replace('+', "-").replace('/', "_")).unwrap(), raw.clone()];
    let der = der.concat();
    let mut texts = vec![("the raw key".to_owned(), raw), ("the DER".to_owned(), der.clone())];
    let base64 = to_base64url(&der).replace('-', "+").replace('_', "/");
    let padded = format!("{base64}{}", "=".repeat((4 - base64.len() % 4) % 4));
    let lines: Vec<String> = padded
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    let pem = [
        &["-----BEGIN PUBLIC KEY-----".to_owned()],
        &lines[..],
        &["-----END PUBLIC KEY-----".to_owned()],
    ]
    .concat();
    let jwks = json!({"keys": [jwk]});
    for (name, text) in [
        ("the JWK", jwk.to_string()),
        ("the JWKS", jwks.to_string()),
        ("the PEM", pem.join("\n")),
        ("the PEM in one line", padded),
    ] {
        for (ending, end) in [("", ""), (" and LF", "\n"), (" and CRLF", "\r\n")] {
            texts.push((format!("{name}{ending}"), format!("{text}{end}").into_bytes()));
        }
    }
    texts.push(("the PEM with CRLF".to_owned(), format!("{}\r\n", pem.join("\r\n")).into_bytes()));
    texts
}

/// Signatures that lax verifiers take.
fn malleated(algorithm: SignatureAlgorithm, genuine: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forged = vec![
        ("empty", Vec::new()),
        ("zeros", vec![0; genuine.len()]),
        ("ones", vec![0xff; genuine.len()]),
        ("a zero in front", [&[0], genuine].concat()),
        ("a zero behind", [genuine, &[0]].concat()),
        ("twice", [genuine, genuine].concat()),
        ("one byte less", genuine[..genuine.len() - 1].to_vec()),
    ];
    if algorithm == SignatureAlgorithm::Es256 {
        let order = from_base64url("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE").unwrap();
        let (r, s) = genuine.split_at(32);
        let zero = [0; 32];
        forged.extend([
            ("r = 0", [&zero, s].concat()),
            ("s = 0", [r, &zero].concat()),
            ("r = n", [&order, s].concat()),
            ("s = n", [r, order.as_slice()].concat()),
            ("r = s = n", [order.clone(), order].concat()),
            ("DER", der(r, s)),
        ]);
    }
    if algorithm == SignatureAlgorithm::EdDsa {
        // S + L is the same number to those that reduce it (RFC 8032 §8.4).
        let order = from_base64url("7dP1XBpjEljWnPei3vneFAAAAAAAAAAAAAAAAAAAABA").unwrap();
        let (point, scalar) = genuine.split_at(32);
        let mut carry = 0_u16;
        let sum: Vec<u8> = scalar
            .iter()
            .zip(&order)
            .map(|(a, b)| {
                carry += u16::from(*a) + u16::from(*b);
                let [low, high] = carry.to_le_bytes();
                carry = u16::from(high);
                low
            })
            .collect();
        forged.push(("S + L", [point, &sum].concat()));
        let mut identity = vec![0; 64];
        identity[0] = 1;
        forged.push(("the identity and S = 0", identity));
    }
    forged
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len() - 1);
        let mut body = number[start..].to_vec();
        if body[0] >= 0x80 {
            body.insert(0, 0);
        }
        [&[2, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}
