use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::*;
use crate::key_ring::MIN_SEED_CHARS;

const NOW: UnixSeconds = UnixSeconds::new(1_780_000_000);

fn ring(seed: &str) -> KeyRing {
    let ring = json!({"keys": [], "seed": seed.repeat(MIN_SEED_CHARS)});
    KeyRing::parse(&ring.to_string(), NOW).unwrap()
}

fn policy() -> AccessTokenPolicy {
    AccessTokenPolicy {
        issuer: "https://issuer.example".to_owned(),
        audience: "ratchet".to_owned(),
        client_id: "first-party".to_owned(),
        life: Duration::from_secs(300),
        clock_skew: Duration::ZERO,
    }
}

fn subject() -> Subject {
    Subject {
        user_id: UserId::from_bytes([1; 16]),
        session_id: SessionId::from_bytes([2; 16]),
        auth_time: NOW,
        name: "ada".to_owned(),
        roles: vec!["admin".to_owned()],
    }
}

fn issued() -> String {
    issue(&subject(), &policy(), &ring("a"), NOW, [3; 16]).unwrap().to_string()
}

fn verify_at(token: &str, now: u64) -> Result<Verified, AccessTokenError> {
    verify(token, &policy(), &ring("a"), UnixSeconds::new(now))
}

/// A token of our own key with header members and claims changed; `null` takes one away.
fn signed(header: &Value, claims: &Value) -> String {
    let token = issued();
    let mut parts = token.split('.').map(|part| {
        crate::encoding::from_base64url(part).and_then(|json| serde_json::from_slice(&json).ok())
    });
    let mut merged = [parts.next().flatten().unwrap(), parts.next().flatten().unwrap()];
    for (to, from) in merged.iter_mut().zip([header, claims]) {
        let to: &mut serde_json::Map<String, Value> = to;
        for (name, value) in from.as_object().unwrap() {
            if value.is_null() {
                to.remove(name);
            } else {
                to.insert(name.clone(), value.clone());
            }
        }
    }
    let [header, claims] =
        merged.map(|part| to_base64url(Value::from(part).to_string().as_bytes()));
    sign(&format!("{header}.{claims}"))
}

fn sign(input: &str) -> String {
    let ring = ring("a");
    let key = ring.signer(NOW).unwrap();
    format!("{input}.{}", to_base64url(&key.private().sign(input.as_bytes()).unwrap()))
}

#[test]
fn an_issued_token_verifies_until_the_second_it_expires() {
    let Ok(Verified::Live(claims)) = verify_at(&issued(), NOW.get() + 299) else { panic!() };
    assert_eq!(claims.sub, subject().user_id);
    assert_eq!(claims.sid, subject().session_id);
    assert_eq!(claims.roles, subject().roles);
    let expired = verify_at(&issued(), NOW.get() + 300).unwrap();
    assert_eq!(expired, Verified::Expired(claims));
}

#[test]
fn its_header_is_that_of_rfc_9068() {
    let token = issued();
    let unverified = UnverifiedToken::parse(&token).unwrap();
    assert_eq!(unverified.header().typ.as_deref(), Some("at+jwt"));
    assert_eq!(unverified.header().alg, "HS256");
    assert_eq!(unverified.header().kid.as_deref(), Some(ring("a").signer(NOW).unwrap().kid()));
}

#[test]
fn the_clock_skew_is_what_is_configured_and_nothing_more() {
    let policy = AccessTokenPolicy { clock_skew: Duration::from_secs(5), ..policy() };
    for (at, live) in [(-6, None), (-5, Some(true)), (304, Some(true)), (305, Some(false))] {
        let now = UnixSeconds::new(NOW.get().checked_add_signed(at).unwrap());
        let verdict = verify(&issued(), &policy, &ring("a"), now).ok();
        assert_eq!(verdict.map(|verified| matches!(verified, Verified::Live(_))), live, "{at}");
    }
}

#[test]
fn an_unchanged_token_of_the_helper_is_live() {
    assert!(matches!(verify_at(&signed(&json!({}), &json!({})), NOW.get()), Ok(Verified::Live(_))));
}

#[test]
fn wrong_headers_are_refused() {
    for alg in ["none", "None", "NONE", "nOnE", "", "hs256", "HS384", "HS512", "RS256", "ES256"] {
        let token = signed(&json!({"alg": alg}), &json!({}));
        assert_eq!(
            verify_at(&token, NOW.get()),
            Err(AccessTokenError::Jws(JwsError::WrongAlgorithm)),
            "{alg}"
        );
    }
    for typ in [json!("JWT"), json!("AT+JWT"), json!("application/at+jwt"), json!(""), json!(null)]
    {
        let token = signed(&json!({"typ": typ}), &json!({}));
        assert_eq!(verify_at(&token, NOW.get()), Err(AccessTokenError::WrongType), "{typ}");
    }
    for kid in [json!("other"), json!(""), json!(null), json!("k".repeat(2_000))] {
        let token = signed(&json!({"kid": kid}), &json!({}));
        assert_eq!(verify_at(&token, NOW.get()), Err(AccessTokenError::UnknownKey), "{kid}");
    }
}

#[test]
fn missing_and_misshapen_claims_are_refused() {
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "client_id", "auth_time", "name"]
    {
        let token = signed(&json!({}), &json!({name: null}));
        assert_eq!(verify_at(&token, NOW.get()), Err(AccessTokenError::MalformedClaims), "{name}");
    }
    let late = NOW.get() + 100;
    for claims in [
        json!({"exp": late.to_string()}),
        json!({"exp": 1_780_000_100.0}),
        json!({"exp": -1}),
        json!({"exp": 1e300}),
        json!({"iat": 1_780_000_000.5}),
        json!({"iat": true}),
        json!({"nbf": "0"}),
        json!({"aud": ["ratchet", 1]}),
        json!({"aud": []}),
        json!({"aud": ["ratchet"]}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"sub": {"a": 1}}),
        json!({"sid": "x"}),
    ] {
        let token = signed(&json!({}), &claims);
        assert_eq!(
            verify_at(&token, NOW.get()),
            Err(AccessTokenError::MalformedClaims),
            "{claims}"
        );
    }
}

#[test]
fn tokens_of_others_and_for_others_are_refused() {
    for claims in [
        json!({"iss": "https://issuer.example/"}),
        json!({"iss": "https://issuer.exampl"}),
        json!({"iss": ""}),
        json!({"aud": "other"}),
        json!({"aud": ""}),
    ] {
        let token = signed(&json!({}), &claims);
        assert_eq!(verify_at(&token, NOW.get()), Err(AccessTokenError::Foreign), "{claims}");
    }
}

#[test]
fn times_that_are_ahead_or_impossible_are_refused() {
    let now = NOW.get();
    for claims in [json!({"iat": now + 1}), json!({"nbf": now + 1})] {
        let token = signed(&json!({}), &claims);
        assert_eq!(verify_at(&token, now), Err(AccessTokenError::NotYetValid), "{claims}");
    }
    for claims in [
        json!({"iat": u64::MAX}),
        json!({"exp": now + 301}),
        json!({"exp": u64::MAX}),
        json!({"exp": now - 1}),
    ] {
        let token = signed(&json!({}), &claims);
        assert_eq!(verify_at(&token, now), Err(AccessTokenError::ImpossibleTimes), "{claims}");
    }
}

#[test]
fn whatever_its_age_a_token_must_be_genuine_and_may_be_anything_else() {
    let at_any_age = |token: &str, ring: &KeyRing| verify_whatever_its_age(token, &policy(), ring);
    let now = NOW.get();
    for claims in [json!({"exp": now - 1}), json!({"exp": now + 301}), json!({"iat": now + 1})] {
        let token = signed(&json!({}), &claims);
        assert_eq!(at_any_age(&token, &ring("a")).unwrap().sub, subject().user_id, "{claims}");
    }
    for (header, claims) in [
        (json!({"typ": "JWT"}), json!({})),
        (json!({"kid": "other"}), json!({})),
        (json!({"alg": "HS512"}), json!({})),
        (json!({}), json!({"iss": "https://issuer.exampl"})),
        (json!({}), json!({"aud": "other"})),
        (json!({}), json!({"exp": "soon"})),
    ] {
        let token = signed(&header, &claims);
        assert!(at_any_age(&token, &ring("a")).is_err(), "{header} {claims}");
    }
    assert!(at_any_age(&issued(), &ring("b")).is_err());
}

#[test]
fn a_retired_key_verifies_nothing_but_what_has_expired() {
    let key = |byte: u8, use_, kid: &str, life: Value| {
        let k = to_base64url(&(byte..byte + 40).collect::<Vec<u8>>());
        let mut key = json!({"kty": "oct", "use": use_, "kid": kid, "k": k});
        key.as_object_mut().unwrap().extend(life.as_object().unwrap().clone());
        key
    };
    let ring = |exp| {
        let ring = json!({"keys": [
            key(1, "sig", "old", exp),
            key(50, "sig", "new", json!({"nbf": NOW.get() + 1})),
            key(100, crate::key_ring::TAG_USE, "tag", json!({})),
        ]});
        KeyRing::parse(&ring.to_string(), NOW.plus(Duration::from_secs(1))).unwrap()
    };
    let token = issue(&subject(), &policy(), &ring(json!({})), NOW, [3; 16]).unwrap();
    let retired = ring(json!({"exp": NOW.get() + 100}));
    let at = UnixSeconds::new(NOW.get() + 100);
    let refusal = verify(&token, &policy(), &retired, at);
    assert_eq!(refusal, Err(AccessTokenError::UnknownKey));
    assert!(verify_whatever_its_age(&token, &policy(), &retired).is_ok());
    let at = NOW.plus(policy().life);
    assert!(matches!(verify(&token, &policy(), &retired, at), Ok(Verified::Expired(_))));
}

#[test]
fn a_claim_that_comes_twice_is_refused() {
    let token = issued();
    let mut parts = token.split('.');
    let (header, payload) = (parts.next().unwrap(), parts.next().unwrap());
    let payload = String::from_utf8(crate::encoding::from_base64url(payload).unwrap()).unwrap();
    let twice = payload.replacen('{', r#"{"aud":"other","#, 1);
    let token = sign(&format!("{header}.{}", to_base64url(twice.as_bytes())));
    assert_eq!(verify_at(&token, NOW.get()), Err(AccessTokenError::MalformedClaims));
}

#[test]
fn claims_that_are_no_text_are_refused_also_where_nobody_reads_them() {
    let token = issued();
    let mut parts = token.split('.');
    let (header, payload) = (parts.next().unwrap(), parts.next().unwrap());
    let mut payload = crate::encoding::from_base64url(payload).unwrap();
    payload.splice(1..1, *b"\"other\":\"\xff\",");
    let token = sign(&format!("{header}.{}", to_base64url(&payload)));
    assert_eq!(verify_at(&token, NOW.get()), Err(AccessTokenError::MalformedClaims));
}

#[test]
fn tokens_of_another_ring_are_refused() {
    let token = issue(&subject(), &policy(), &ring("b"), NOW, [3; 16]).unwrap();
    assert_eq!(verify_at(&token, NOW.get()), Err(AccessTokenError::UnknownKey));
    // Even under the right kid.
    let token = issued();
    let (input, _) = token.rsplit_once('.').unwrap();
    let other = EncodingKey::from_secret(&[7; 32]);
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &other, Algorithm::HS256).unwrap();
    assert_eq!(
        verify_at(&format!("{input}.{signature}"), NOW.get()),
        Err(AccessTokenError::Jws(JwsError::BadSignature))
    );
}

#[test]
fn every_flipped_bit_is_refused() {
    let token = issued();
    for position in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[position] ^= 1 << bit;
            let Ok(flipped) = String::from_utf8(bytes) else { continue };
            assert!(verify_at(&flipped, NOW.get()).is_err(), "bit {bit} of character {position}");
        }
    }
}

#[test]
fn signatures_stripped_emptied_or_borrowed_are_refused() {
    let token = issued();
    let (input, _) = token.rsplit_once('.').unwrap();
    let other = issue(&subject(), &policy(), &ring("a"), NOW, [4; 16]).unwrap();
    let (_, borrowed) = other.rsplit_once('.').unwrap();
    for forged in [input.to_owned(), format!("{input}."), format!("{input}.{borrowed}")] {
        assert!(verify_at(&forged, NOW.get()).is_err(), "{forged}");
    }
}
