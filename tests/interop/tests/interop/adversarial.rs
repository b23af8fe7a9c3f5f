//! Tokens that must be refused: the part of the attack list that concerns single tokens.

use aws_lc_rs::{hmac, signature::Ed25519KeyPair};
use ratchet_core::{
    encoding::{from_base64url, to_base64url},
    jws::SignatureAlgorithm,
    key_ring::{KeyRing, NewKey, PublicKeys},
    time::UnixSeconds,
};
use serde_json::{Value, json};

use crate::issuer::Issuer;

/// Header and claims of a token.
pub(crate) fn parts(token: &str) -> (Value, Value) {
    let mut parts = token
        .split('.')
        .map(|part| serde_json::from_slice(&from_base64url(part).unwrap()).unwrap_or(Value::Null));
    (parts.next().unwrap(), parts.next().unwrap())
}

/// The signing input: the unchanged header, and the claims with one changed.
pub(crate) fn unsigned(header: &str, claims: &Value, name: &str, value: &Value) -> String {
    format!("{header}.{}", to_base64url(with(claims, name, value).to_string().as_bytes()))
}

fn encoded(header: &Value, claims: &Value) -> String {
    [header, claims].map(|part| to_base64url(part.to_string().as_bytes())).join(".")
}

fn with(object: &Value, name: &str, value: &Value) -> Value {
    let mut changed = object.clone();
    if value.is_null() {
        changed.as_object_mut().unwrap().remove(name);
    } else {
        changed[name] = value.clone();
    }
    changed
}

/// Adversarial variants of a genuine token, by name.
#[expect(clippy::too_many_lines, reason = "it is a list")]
pub(crate) fn tokens(issuer: &Issuer, genuine: &str) -> Vec<(String, String)> {
    let (header, claims) = parts(genuine);
    let (input, signature) = genuine.rsplit_once('.').unwrap();
    let now = UnixSeconds::new(claims["iat"].as_u64().unwrap());
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |name: String, token: String| all.push((name, token));

    // Headers with the genuine signature, without one, and with an HMAC under the public key.
    let public = public_jwk(&issuer.key, now);
    let jwks = json!({"keys": [public]}).to_string();
    let alg = issuer.algorithm.name();
    for other in ["none", "None", "NONE", "", "HS256", "HS512", "ES256", "RS256", "PS256", "EdDSA"]
    {
        if other == alg {
            continue;
        }
        let changed = encoded(&with(&header, "alg", &json!(other)), &claims);
        add(format!("alg {other:?}"), format!("{changed}.{signature}"));
        add(format!("alg {other:?} without a signature"), format!("{changed}."));
        for (name, key) in [("the JWKS", &jwks), ("the JWK", &public.to_string())] {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
            let tag = to_base64url(hmac::sign(&key, changed.as_bytes()).as_ref());
            add(format!("alg {other:?} keyed with {name}"), format!("{changed}.{tag}"));
        }
    }
    add("no signature".to_owned(), input.to_owned());
    add("empty signature".to_owned(), format!("{input}."));
    add("JSON".to_owned(), {
        let (protected, payload) = input.split_once('.').unwrap();
        json!({"protected": protected, "payload": payload, "signature": signature}).to_string()
    });
    let bytes = from_base64url(signature).unwrap();
    for (name, forged) in [
        ("zeros", vec![0; bytes.len()]),
        ("ones", vec![0xff; bytes.len()]),
        ("one byte more", [bytes.as_slice(), &[0]].concat()),
        ("one byte less", bytes[1..].to_vec()),
    ] {
        add(format!("signature of {name}"), format!("{input}.{}", to_base64url(&forged)));
    }
    for position in [0, bytes.len() / 2, bytes.len() - 1] {
        let mut flipped = bytes.clone();
        flipped[position] ^= 0x10;
        add(format!("bit flipped in {position}"), format!("{input}.{}", to_base64url(&flipped)));
    }
    add("padding".to_owned(), format!("{genuine}=="));
    add("garbage".to_owned(), "a.b.c".to_owned());
    add("edited claims".to_owned(), {
        let edited = encoded(&header, &with(&claims, "name", &json!("grace")));
        format!("{edited}.{signature}")
    });

    // Claims, signed by the real key.
    let sign = signer(&issuer.key, now);
    let seconds = now.get();
    for (claim, value) in [
        ("exp", json!(seconds - 1)),
        ("exp", json!(null)),
        ("exp", json!("soon")),
        ("exp", json!(-1)),
        ("nbf", json!(seconds + 3_000)),
        ("nbf", json!("0")),
        ("iat", json!(seconds + 3_000)),
        ("iat", json!("now")),
        // Longer than any configuration allows.
        ("exp", json!(seconds + 90_000)),
        ("aud", json!("other")),
        ("aud", json!(null)),
        ("aud", json!([])),
        ("aud", json!(["other", "ratchet"])),
        ("iss", json!("https://localhost")),
        ("iss", json!(format!("{}/", issuer.url))),
        ("iss", json!(null)),
        ("sub", json!(null)),
        ("sub", json!(7)),
        ("sid", json!(null)),
        // Bound to a key (RFC 9449): worthless without a proof.
        ("cnf", json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})),
    ] {
        let changed = with(&claims, claim, &value);
        add(format!("{claim} {value}"), sign("at+jwt", &changed));
    }
    for typ in ["JWT", "at+JWT2", "rv+jwt", ""] {
        add(format!("typ {typ:?}"), sign(typ, &claims));
    }
    // Another key of the same kind under the genuine id, and the genuine key under another id.
    let mut foreign = NewKey::signing(issuer.algorithm).unwrap().expose();
    foreign["kid"] = header["kid"].clone();
    add("a foreign key under our kid".to_owned(), signer(&foreign, now)("at+jwt", &claims));
    let mut renamed = issuer.key.clone();
    renamed["kid"] = json!("unknown");
    add("our key under another kid".to_owned(), signer(&renamed, now)("at+jwt", &claims));

    // Headers that ask for something, really signed.
    if issuer.algorithm == SignatureAlgorithm::EdDsa {
        let seed = from_base64url(issuer.key["d"].as_str().unwrap()).unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        for (name, value) in [
            ("crit", json!(["exp"])),
            ("crit", json!(["b64"])),
            ("crit", json!([])),
            ("b64", json!(false)),
            ("zip", json!("DEF")),
            ("kid", json!(null)),
            ("kid", json!(7)),
            ("typ", json!(null)),
            ("alg", json!("Ed25519")),
            ("alg", json!(null)),
            ("jwk", public.clone()),
            ("jku", json!("https://localhost:1/jwks.json")),
            ("x5u", json!("https://localhost:1/x")),
        ] {
            let input = encoded(&with(&header, name, &value), &claims);
            let signature = to_base64url(pair.sign(input.as_bytes()).as_ref());
            add(format!("{name} {value} in the header"), format!("{input}.{signature}"));
        }
    }
    all
}

fn ring(key: &Value, now: UnixSeconds) -> KeyRing {
    let ring = json!({"keys": [key, NewKey::tag().unwrap().expose()]});
    KeyRing::parse(&ring.to_string(), now).unwrap()
}

fn public_jwk(key: &Value, now: UnixSeconds) -> Value {
    let jwk = serde_json::to_value(ring(key, now).public_keys(now).next().unwrap()).unwrap();
    let kid = jwk["kid"].as_str().unwrap();
    let set = json!({"keys": [jwk]}).to_string();
    assert!(PublicKeys::parse(set.as_bytes()).unwrap().find(kid).is_some());
    jwk
}

fn signer(key: &Value, now: UnixSeconds) -> impl Fn(&str, &Value) -> String {
    let ring = ring(key, now);
    move |typ, claims| {
        let signer = ring.signer(now).unwrap();
        signer.sign(typ, claims.to_string().as_bytes()).unwrap().to_string()
    }
}
