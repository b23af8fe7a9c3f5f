//! How long verifying a proof of possession takes, compared with an access token.

use std::time::Duration;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use ratchet_core::{
    access_token::{self, AccessTokenPolicy, Subject, Verified},
    amr::Amr,
    custom_claims::CustomClaims,
    dpop::{self, Nonce, ProofTarget},
    encoding::{sha256, to_base64url},
    ids::{SessionId, UserId},
    key_ring::KeyRing,
    time::UnixSeconds,
};
use serde_json::{Value, json};

use crate::{
    Failure, clock,
    report::{median_ratio, percentile},
};

const NOW: UnixSeconds = UnixSeconds::new(1_780_000_000);
const URL: &str = "https://auth.example/users";
const ROUNDS: usize = 200;
const PER_ROUND: u32 = 50;

/// Verifies proofs and access tokens in turns, and prints the ratio.
pub fn measure() -> Result<(), Failure> {
    let ring = KeyRing::parse(
        r#"{"keys": [], "seed": "a seed for measurements, and for nothing else"}"#,
        NOW,
    )?;
    let policy = policy();
    let token = access_token(&ring, &policy)?;
    let tagger = ring.tagger(NOW).ok_or("no tag key")?;
    let proof = proof(&token, &Nonce::new(NOW).encode(tagger))?;
    let urls = [URL.to_owned()];
    let target = ProofTarget { method: "GET", urls: &urls, access_token: Some(&token) };
    let prove = || {
        let is_fresh = |nonce: Option<&str>| {
            nonce.is_some_and(|nonce| Nonce::is_fresh(nonce, ring.tag_keys(NOW), NOW))
        };
        dpop::verify(&proof, &target, NOW, is_fresh).is_ok()
    };
    let verify =
        || matches!(access_token::verify(&token, &policy, &ring, NOW), Ok(Verified::Live(_)));
    let (mut proofs, mut tokens) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        proofs.push(timed(prove)?);
        tokens.push(timed(verify)?);
    }
    let ratio = median_ratio(&proofs, &tokens);
    let micros = |times| percentile(times, 50).as_secs_f64() * 1e6 / f64::from(PER_ROUND);
    println!(
        "verifying a proof takes {ratio:.2} times as long as verifying an ES256 access token \
         ({:.0} µs and {:.0} µs, medians of {ROUNDS} rounds in turns)",
        micros(proofs),
        micros(tokens),
    );
    Ok(())
}

fn timed(verify: impl Fn() -> bool) -> Result<Duration, Failure> {
    let begun = clock::now();
    for _ in 0..PER_ROUND {
        if !verify() {
            return Err("it does not verify".into());
        }
    }
    Ok(begun.elapsed())
}

fn policy() -> AccessTokenPolicy {
    AccessTokenPolicy {
        issuer: "https://auth.example".to_owned(),
        former_issuers: Vec::new(),
        audience: "ratchet".to_owned(),
        former_audiences: Vec::new(),
        client_id: "first-party".to_owned(),
        life: Duration::from_secs(300),
        clock_skew: Duration::ZERO,
        leeway: Duration::ZERO,
    }
}

fn access_token(ring: &KeyRing, policy: &AccessTokenPolicy) -> Result<String, Failure> {
    let subject = Subject {
        user_id: UserId::from_bytes([1; 16]),
        session_id: SessionId::from_bytes([2; 16]),
        auth_time: NOW,
        name: "ada".to_owned(),
        roles: Vec::new(),
        claims: CustomClaims::default(),
        jkt: None,
        amr: Amr::PASSWORD,
        step_up: false,
    };
    Ok(access_token::issue(&subject, policy, ring, NOW, [3; 16])?.to_string())
}

/// A proof for the token, by a new key.
fn proof(token: &str, nonce: &str) -> Result<String, Failure> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let point = key.public_key().as_ref().get(1..).unwrap_or_default();
    let (x, y) = point.split_at_checked(32).ok_or("no point")?;
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": to_base64url(x), "y": to_base64url(y)});
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
    let claims = json!({
        "jti": "a proof", "htm": "GET", "htu": URL, "iat": NOW.get(), "nonce": nonce,
        "ath": to_base64url(&sha256(token.as_bytes())),
    });
    let part = |value: &Value| to_base64url(value.to_string().as_bytes());
    let input = format!("{}.{}", part(&header), part(&claims));
    let signature = key.sign(&SystemRandom::new(), input.as_bytes())?;
    Ok(format!("{input}.{}", to_base64url(signature.as_ref())))
}
