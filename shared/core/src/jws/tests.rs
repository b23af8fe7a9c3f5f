use std::{fs, path::Path};

use serde_json::Value;

use super::*;
use crate::key_ring::Jwk;

/// Marked invalid by Wycheproof, but the same text as vector 357, which is valid: the padding that
/// they are about was lost when they were written down.
const SAME_AS_A_VALID_ONE: [u64; 2] = [367, 370];

/// Marked valid by Wycheproof, but with a `?` inside base64url: refusing them is right.
const REFUSED_ON_PURPOSE: [u64; 2] = [372, 373];

fn verify(token: &str, jwk: &Value) -> bool {
    let Ok(jwk) = serde_json::from_value::<Jwk>(jwk.clone()) else { return false };
    let Ok(key) = jwk.verification_key() else { return false };
    UnverifiedToken::parse(token).and_then(|token| token.verify(&key)).is_ok()
}

#[test]
fn wycheproof_jws_vectors() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/vectors/json_web_signature_test.json");
    let Ok(text) = fs::read_to_string(&path) else {
        eprintln!("skipped: the Wycheproof vectors are not beside this checkout");
        return;
    };
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let key = if group["public"].is_object() { &group["public"] } else { &group["private"] };
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let token = test["jws"].as_str().map_or_else(|| test["jws"].to_string(), str::to_owned);
            let accepted = verify(&token, key);
            match test["result"].as_str().unwrap() {
                "valid" if ours(key) => {
                    valid += 1;
                    assert_eq!(accepted, !REFUSED_ON_PURPOSE.contains(&id), "{id}: {test}");
                }
                "valid" => {}
                _ if SAME_AS_A_VALID_ONE.contains(&id) => assert!(accepted),
                _ => {
                    invalid += 1;
                    assert!(!accepted, "{id}: {test}");
                }
            }
        }
    }
    assert!(valid >= 20 && invalid >= 350, "only {valid} valid and {invalid} invalid vectors ran");
    eprintln!("{valid} valid and {invalid} invalid vectors");
}

/// Whether the key is for one of our algorithms.
fn ours(key: &Value) -> bool {
    SignatureAlgorithm::ALL.iter().any(|algorithm| key["alg"] == algorithm.name())
}

#[test]
fn headers_with_anything_we_do_not_understand_are_malformed() {
    for header in [
        r#"{"alg":"HS256","kid":"k","crit":["exp"]}"#,
        r#"{"alg":"HS256","kid":"k","crit":null}"#,
        r#"{"alg":"HS256","kid":"k","b64":false}"#,
        r#"{"alg":"HS256","kid":"k","zip":"DEF"}"#,
        r#"{"alg":"HS256","kid":"k","jku":"http://127.0.0.1/"}"#,
        r#"{"alg":"HS256","kid":"k","x5u":"http://127.0.0.1/"}"#,
        r#"{"alg":"HS256","kid":"k","x5c":[]}"#,
        r#"{"alg":"HS256","kid":"k","jwk":{"kty":"oct","k":"AA"}}"#,
        r#"{"alg":"HS256","alg":"none","kid":"k"}"#,
        r#"{"kid":"k"}"#,
        r#"{"alg":["HS256"]}"#,
        r#"["HS256"]"#,
        "",
        "\u{feff}{}",
    ] {
        let token = format!("{}.e30.AA", to_base64url(header.as_bytes()));
        assert_eq!(UnverifiedToken::parse(&token).unwrap_err(), JwsError::Malformed, "{header}");
    }
}

#[test]
fn deep_nesting_and_invalid_utf8_are_malformed() {
    // What is much deeper is too long: below.
    let deep = format!("{{\"alg\":{}{}}}", "[".repeat(1_500), "]".repeat(1_500));
    for header in [deep.as_bytes(), b"{\"alg\":\"\xff\"}"] {
        let token = format!("{}.e30.AA", to_base64url(header));
        assert_eq!(UnverifiedToken::parse(&token).unwrap_err(), JwsError::Malformed);
    }
}

#[test]
fn a_long_token_is_refused_unread() {
    let token = "a".repeat(MAX_TOKEN_LEN + 1);
    assert_eq!(UnverifiedToken::parse(&token).unwrap_err(), JwsError::TooLong);
    assert_eq!(UnverifiedToken::parse(&token[1..]).unwrap_err(), JwsError::Malformed, "read");
    let deep = format!("{{\"alg\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let kid = format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(65_536));
    for header in [deep, kid] {
        let token = format!("{}.e30.AA", to_base64url(header.as_bytes()));
        assert_eq!(UnverifiedToken::parse(&token).unwrap_err(), JwsError::TooLong);
    }
    let token = "a".repeat(1 << 20);
    assert_eq!(UnverifiedToken::parse(&token).unwrap_err(), JwsError::TooLong);
}

#[test]
fn other_serialisations_are_malformed() {
    for token in [
        "",
        ".",
        "..",
        "a.b",
        "eyJhbGciOiJIUzI1NiJ9.e30.AA.AA",
        "eyJhbGciOiJIUzI1NiJ9.e30.AA=",
        "eyJhbGciOiJIUzI1NiJ9.e30.AA\n",
        r#"{"payload":"e30","protected":"eyJhbGciOiJIUzI1NiJ9","signature":"AA"}"#,
    ] {
        assert_eq!(UnverifiedToken::parse(token).unwrap_err(), JwsError::Malformed, "{token}");
    }
}

#[test]
fn keys_print_what_they_are_for_and_nothing_else() {
    let secret = [7; 32];
    let (public, private) = (VerificationKey::hs256(&secret), PrivateKey::hs256(&secret));
    assert_eq!(format!("{public:?}"), "VerificationKey { algorithm: Hs256, .. }");
    assert_eq!(format!("{private:?}"), "PrivateKey(..)");
}
