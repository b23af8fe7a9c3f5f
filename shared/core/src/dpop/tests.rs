use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use super::*;
use crate::key_ring::TagKey;

const NOW: UnixSeconds = UnixSeconds::new(1_780_000_000);
const TOKEN: &str = "an access token";

/// A key pair of a client.
struct Client(EcdsaKeyPair);

impl Client {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "x": to_base64url(x), "y": to_base64url(y)})
    }

    fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| to_base64url(value.to_string().as_bytes());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", to_base64url(signature.as_ref()))
    }

    fn prove(&self, claims: &Value) -> String {
        self.sign(&self.header(), claims)
    }
}

fn claims() -> Value {
    json!({
        "jti": "1", "htm": "POST", "htu": "https://auth.example/refresh",
        "iat": NOW.get(), "ath": to_base64url(&sha256(TOKEN.as_bytes())), "nonce": "fresh",
    })
}

fn with(mut value: Value, name: &str, changed: Value) -> Value {
    value[name] = changed;
    value
}

fn check(proof: &str) -> Result<Thumbprint, ProofError> {
    let urls = ["https://auth.example/refresh".to_owned()];
    let target = ProofTarget { method: "POST", urls: &urls, access_token: Some(TOKEN) };
    verify(proof, &target, NOW, |nonce| nonce == Some("fresh"))
}

/// The proofs of RFC 9449, figures 2 and 12, and the thumbprint of their key (figure 10).
#[test]
fn the_examples_of_the_rfc_verify() {
    const HEADER: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19";
    const TOKEN_REQUEST: &str = "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    const RESOURCE_REQUEST: &str = "eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    const ACCESS_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    let now = UnixSeconds::new(1_562_262_620);
    for (rest, method, url, access_token) in [
        (TOKEN_REQUEST, "POST", "https://server.example.com/token", None),
        (
            RESOURCE_REQUEST,
            "GET",
            "https://resource.example.org/protectedresource",
            Some(ACCESS_TOKEN),
        ),
    ] {
        let urls = [url.to_owned()];
        let target = ProofTarget { method, urls: &urls, access_token };
        let key = verify(&format!("{HEADER}.{rest}"), &target, now, |nonce| nonce.is_none());
        assert_eq!(key.map(|key| key.to_string()).as_deref(), Ok(JKT), "{url}");
    }
}

#[test]
fn a_proof_for_this_request_yields_the_thumbprint_of_its_key() {
    let client = Client::new();
    let key = check(&client.prove(&claims())).unwrap();
    let jwk: Jwk = serde_json::from_value(client.jwk()).unwrap();
    assert_eq!(key.to_string(), jwk.thumbprint().unwrap());
    assert_eq!(Thumbprint::from_text(&key.to_string()), Some(key));
    assert_ne!(check(&Client::new().prove(&claims())), Ok(key));
}

#[test]
fn a_proof_for_another_request_token_time_or_nonce_is_refused() {
    let client = Client::new();
    let seconds = |offset: i64| json!(NOW.get().checked_add_signed(offset).unwrap());
    for (name, value, expected) in [
        ("htm", json!("GET"), ProofError::WrongRequest),
        ("htm", json!("post"), ProofError::WrongRequest),
        ("htu", json!("https://auth.example/logout"), ProofError::WrongRequest),
        ("htu", json!("http://auth.example/refresh"), ProofError::WrongRequest),
        ("htu", json!("https://auth.example:8443/refresh"), ProofError::WrongRequest),
        ("htu", json!("https://auth.example.org/refresh"), ProofError::WrongRequest),
        ("htu", json!("/refresh"), ProofError::WrongRequest),
        ("ath", json!(to_base64url(&sha256(b"another"))), ProofError::WrongAccessToken),
        ("ath", json!(null), ProofError::WrongAccessToken),
        ("iat", seconds(-61), ProofError::WrongTime),
        ("iat", seconds(61), ProofError::WrongTime),
        ("exp", seconds(0), ProofError::WrongTime),
        ("nbf", seconds(61), ProofError::WrongTime),
        ("nonce", json!("stale"), ProofError::StaleNonce),
        ("nonce", json!(null), ProofError::StaleNonce),
        ("jti", json!(""), ProofError::Malformed),
        ("jti", json!("j".repeat(MAX_JTI_LEN + 1)), ProofError::Malformed),
        ("jti", json!(null), ProofError::Malformed),
        ("iat", json!("1780000000"), ProofError::Malformed),
        ("iat", json!(1.5), ProofError::Malformed),
    ] {
        let proof = client.prove(&with(claims(), name, value.clone()));
        assert_eq!(check(&proof), Err(expected), "{name}: {value}");
    }
    for (name, value) in [("iat", seconds(-60)), ("iat", seconds(60)), ("exp", seconds(1))] {
        assert!(check(&client.prove(&with(claims(), name, value.clone()))).is_ok(), "{name}");
    }
}

#[test]
fn a_header_with_another_type_algorithm_or_key_is_refused() {
    let client = Client::new();
    let secret = to_base64url(&[7; 32]);
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("at+jwt")),
        ("typ", json!(null)),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("RS256")),
        ("alg", json!("es256")),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("x5c", json!([])),
        ("jku", json!("https://client.example/keys")),
        ("jwk", json!(null)),
        ("jwk", json!({"kty": "oct", "k": secret})),
        ("jwk", with(client.jwk(), "d", json!(secret))),
        ("jwk", with(client.jwk(), "crv", json!("P-384"))),
        ("jwk", with(client.jwk(), "use", json!("enc"))),
        ("jwk", with(client.jwk(), "x", json!(secret))),
        ("jwk", with(client.jwk(), "kty", json!("RSA"))),
        ("jwk", Client::new().jwk()),
    ] {
        let proof = client.sign(&with(client.header(), name, value.clone()), &claims());
        assert_eq!(check(&proof), Err(ProofError::Malformed), "{name}: {value}");
    }
    // As WebCrypto exports a key.
    let exported = with(with(client.jwk(), "ext", json!(true)), "key_ops", json!(["verify"]));
    let proof = client.sign(&with(client.header(), "jwk", exported), &claims());
    assert!(check(&proof).is_ok());
}

#[test]
fn a_text_that_is_not_one_proof_is_refused() {
    let client = Client::new();
    let proof = client.prove(&claims());
    let (input, _) = proof.rsplit_once('.').unwrap();
    let header = to_base64url(client.header().to_string().as_bytes());
    let doubled = claims().to_string().replacen("\"htm\"", "\"htm\":\"GET\",\"htm\"", 1);
    let doubled_input = format!("{header}.{}", to_base64url(doubled.as_bytes()));
    let signature = client.0.sign(&SystemRandom::new(), doubled_input.as_bytes()).unwrap();
    for text in [
        String::new(),
        "dpop".to_owned(),
        format!("{input}."),
        input.to_owned(),
        format!("{proof}."),
        format!(" {proof}"),
        format!("{proof}, {proof}"),
        format!("{}{proof}", "A".repeat(MAX_TOKEN_LEN)),
        format!("{doubled_input}.{}", to_base64url(signature.as_ref())),
    ] {
        assert_eq!(check(&text), Err(ProofError::Malformed), "{text}");
    }
}

#[test]
fn htu_is_compared_without_query_fragment_case_of_the_host_and_its_own_port() {
    let url = "https://auth.example/users/me";
    for same in [
        url,
        "https://auth.example/users/me?limit=3",
        "https://auth.example/users/me#top",
        "HTTPS://AUTH.example:443/users/me",
    ] {
        assert!(is_same_resource(same, url), "{same}");
    }
    assert!(is_same_resource("http://127.0.0.1", "http://127.0.0.1:80/"));
    for other in [
        "",
        "auth.example/users/me",
        "https://auth.example/users/ME",
        "https://auth.example/users/me/",
        "https://auth.example:80/users/me",
        "https://eve@auth.example/users/me",
        "https://eve.example/?https://auth.example/users/me",
        "https:///users/me",
    ] {
        assert!(!is_same_resource(other, url), "{other}");
    }
}

#[test]
fn a_nonce_counts_for_a_minute_and_only_under_the_keys_that_are_known() {
    let (key, other) = (TagKey::new(&[7; 32]), TagKey::new(&[8; 32]));
    let text = Nonce::new(NOW).encode(&key);
    let is_fresh = |text: &str, key: &TagKey, seconds: i64| {
        let now = UnixSeconds::new(NOW.get().checked_add_signed(seconds).unwrap());
        Nonce::is_fresh(text, [key], now)
    };
    for seconds in [-60, 0, 60] {
        assert!(is_fresh(&text, &key, seconds), "{seconds}");
    }
    for seconds in [-61, 61] {
        assert!(!is_fresh(&text, &key, seconds), "{seconds}");
    }
    assert!(!is_fresh(&text, &other, 0));
    assert!(!is_fresh(&text[..text.len() - 1], &key, 0));
    // Its characters fit into the header and the claim (RFC 9449 §8.1).
    assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{text}");
}

#[test]
fn a_token_is_presented_as_it_is_bound() {
    let (own, other) = (Thumbprint::from_bytes([1; 32]), Thumbprint::from_bytes([2; 32]));
    let proved = Possession::Proved(own);
    let permits = |scheme: Scheme, bound_to, possession| scheme.permits(bound_to, possession);
    assert_eq!(permits(Scheme::Bearer, None, Possession::Unclaimed), Ok(()));
    assert_eq!(permits(Scheme::Bearer, None, Possession::Refused(ProofError::Malformed)), Ok(()));
    assert_eq!(permits(Scheme::Dpop, Some(own), proved), Ok(()));
    assert_eq!(permits(Scheme::Dpop, None, proved), Err(ProofError::NotBound));
    assert_eq!(permits(Scheme::Bearer, Some(own), proved), Err(ProofError::Missing));
    assert_eq!(permits(Scheme::Dpop, Some(other), proved), Err(ProofError::WrongKey));
    assert_eq!(Scheme::of_header("dpop  abc "), Some((Scheme::Dpop, "abc")));
    assert_eq!(Scheme::of_header("Basic abc"), None);
    assert_eq!(Scheme::of_header("DPoP"), None);
}

#[test]
fn a_bound_token_needs_a_proof_of_its_own_key() {
    let (own, other) = (Thumbprint::from_bytes([1; 32]), Thumbprint::from_bytes([2; 32]));
    assert_eq!(Possession::Proved(own).of(own), Ok(()));
    assert_eq!(Possession::Proved(other).of(own), Err(ProofError::WrongKey));
    assert_eq!(Possession::Unclaimed.of(own), Err(ProofError::Missing));
    let refused = ProofError::StaleNonce;
    assert_eq!(Possession::Refused(refused).of(own), Err(refused));
}
