use aws_lc_rs::hmac;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    amr::Amr,
    custom_claims::{self, InvalidClaims},
    jws::SignatureAlgorithm,
    key_ring::{MIN_SEED_CHARS, NewKey},
    user::NAME_CHARS,
};

const NOW: UnixSeconds = UnixSeconds::new(1_780_000_000);

/// A ring that signs with HS256.
fn ring(seed: &str) -> KeyRing {
    let ring = json!({"keys": [], "seed": seed.repeat(MIN_SEED_CHARS)});
    KeyRing::parse_for(&ring.to_string(), SignatureAlgorithm::Hs256, NOW).unwrap()
}

/// A ring with a new key of an algorithm.
fn new_ring(algorithm: SignatureAlgorithm) -> KeyRing {
    let keys = [NewKey::signing(algorithm).unwrap(), NewKey::tag().unwrap()].map(NewKey::expose);
    KeyRing::parse(&json!({"keys": keys}).to_string(), NOW).unwrap()
}

/// A policy whose issuer, audience and client id have this total length as JSON strings.
fn policy_of_len(len: usize) -> AccessTokenPolicy {
    AccessTokenPolicy {
        // Less the six quotes, and one letter each for audience and client id.
        issuer: "i".repeat(len - 8),
        audience: "a".to_owned(),
        client_id: "c".to_owned(),
        ..policy()
    }
}

fn policy() -> AccessTokenPolicy {
    AccessTokenPolicy {
        issuer: "https://issuer.example".to_owned(),
        former_issuers: Vec::new(),
        audience: "ratchet".to_owned(),
        former_audiences: Vec::new(),
        client_id: "first-party".to_owned(),
        life: Duration::from_secs(300),
        clock_skew: Duration::ZERO,
        leeway: Duration::ZERO,
    }
}

fn subject() -> Subject {
    Subject {
        user_id: UserId::from_bytes([1; 16]),
        session_id: SessionId::from_bytes([2; 16]),
        auth_time: NOW,
        name: "ada".to_owned(),
        roles: vec!["admin".to_owned()],
        claims: CustomClaims::default(),
        jkt: None,
        amr: Amr::PASSWORD,
        step_up: false,
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
    format!("{input}.{}", key.private().sign(input.as_bytes()).unwrap())
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
fn amr_says_how_the_user_was_authenticated() {
    for (amr, names) in
        [(Amr::PASSWORD, &["pwd"][..]), (Amr::PASSWORD.and(Amr::CODE), &["pwd", "otp"])]
    {
        let subject = Subject { amr, ..subject() };
        let token = issue(&subject, &policy(), &ring("a"), NOW, [3; 16]).unwrap();
        let Ok(Verified::Live(claims)) = verify_at(&token, NOW.get()) else { panic!() };
        assert_eq!(claims.amr, names);
    }
    let earlier = signed(&json!({}), &json!({"amr": null}));
    let Ok(Verified::Live(claims)) = verify_at(&earlier, NOW.get()) else { panic!() };
    assert!(claims.amr.is_empty(), "a token of an earlier release");
}

#[test]
fn only_the_answer_to_a_step_up_says_that_it_is_one() {
    for step_up in [false, true] {
        let subject = Subject { step_up, ..subject() };
        let token = issue(&subject, &policy(), &ring("a"), NOW, [3; 16]).unwrap();
        let Ok(Verified::Live(claims)) = verify_at(&token, NOW.get()) else { panic!() };
        assert_eq!(claims.step_up, step_up);
    }
    let Ok(Verified::Live(claims)) = verify_at(&issued(), NOW.get()) else { panic!() };
    let claims = serde_json::to_value(claims).unwrap();
    assert_eq!(claims.get("step_up"), None, "otherwise the claim is absent");
    for wrong in [json!(1), json!("true"), json!(null)] {
        let token = signed(&json!({}), &json!({"step_up": wrong}));
        let claims = verify_at(&token, NOW.get());
        let expected = wrong.is_null().then_some(false);
        let read = claims.ok().map(|verified| match verified {
            Verified::Live(claims) | Verified::Expired(claims) => claims.step_up,
        });
        assert_eq!(read, expected, "{wrong}");
    }
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
fn former_issuers_and_audiences_are_accepted_while_their_tokens_live() {
    let policy = AccessTokenPolicy {
        former_issuers: vec!["https://old.example".to_owned()],
        former_audiences: vec!["api".to_owned(), "web".to_owned()],
        ..policy()
    };
    for (claims, accepted) in [
        (json!({"iss": "https://old.example"}), true),
        (json!({"aud": "web"}), true),
        (json!({"iss": "https://old.example", "aud": "api"}), true),
        (json!({"iss": "https://old.example/"}), false),
        (json!({"iss": "https://old.example", "aud": "other"}), false),
        (json!({"iss": "https://other.example", "aud": "api"}), false),
    ] {
        let token = signed(&json!({}), &claims);
        let verified = verify(&token, &policy, &ring("a"), NOW);
        assert_eq!(matches!(verified, Ok(Verified::Live(_))), accepted, "{claims}");
        let end = NOW.plus(policy.life);
        let verified = verify(&token, &policy, &ring("a"), end);
        assert_eq!(matches!(verified, Ok(Verified::Expired(_))), accepted, "{claims}");
    }
    let claims = issue(&subject(), &policy, &ring("a"), NOW, [3; 16]).unwrap();
    let Ok(Verified::Live(claims)) = verify_at(&claims, NOW.get()) else { panic!() };
    assert_eq!((claims.iss, claims.aud), (policy.issuer, policy.audience), "never issued again");
}

#[test]
fn tokens_from_the_future_are_not_valid_yet_and_impossible_ones_never() {
    let now = NOW.get();
    for claims in [json!({"iat": now + 1}), json!({"nbf": now + 1}), json!({"nbf": u64::MAX})] {
        let token = signed(&json!({}), &claims);
        assert_eq!(verify_at(&token, now), Err(AccessTokenError::NotYetValid), "{claims}");
    }
    for claims in [
        json!({"exp": now - 1}),
        json!({"exp": now + 86_401}),
        json!({"exp": u64::MAX}),
        json!({"iat": u64::MAX}),
    ] {
        let token = signed(&json!({}), &claims);
        assert_eq!(verify_at(&token, now), Err(AccessTokenError::ImpossibleTimes), "{claims}");
    }
}

#[test]
fn leeway_tolerates_clocks_ahead_and_lets_no_token_live_longer() {
    let policy = AccessTokenPolicy { leeway: Duration::from_secs(5), ..policy() };
    let at = |claims: &Value, offset: i64| {
        let now = UnixSeconds::new(NOW.get().checked_add_signed(offset).unwrap());
        verify(&signed(&json!({}), claims), &policy, &ring("a"), now)
    };
    for name in ["iat", "nbf"] {
        let claims = json!({name: NOW.get() + 1});
        assert!(matches!(at(&claims, -4), Ok(Verified::Live(_))), "{name}");
        assert_eq!(at(&claims, -5), Err(AccessTokenError::NotYetValid), "{name}");
    }
    assert!(matches!(at(&json!({}), 299), Ok(Verified::Live(_))));
    assert!(matches!(at(&json!({}), 300), Ok(Verified::Expired(_))));
}

/// The configured life became shorter while the token lived.
#[test]
fn a_token_of_a_longer_life_expires_by_the_configured_one() {
    let now = NOW.get();
    for exp in [now + 301, now + 86_400] {
        let token = signed(&json!({}), &json!({"exp": exp}));
        assert!(matches!(verify_at(&token, now + 299), Ok(Verified::Live(_))), "{exp}");
        for later in [now + 300, now + 90_000] {
            assert!(matches!(verify_at(&token, later), Ok(Verified::Expired(_))), "{exp}");
        }
    }
}

#[test]
fn the_signature_alone_is_what_counts_beside_a_refresh_token() {
    let now = NOW.get();
    for claims in [
        json!({"exp": now - 1}),
        json!({"exp": now + 301}),
        json!({"iat": now + 1}),
        json!({"iss": "https://issuer.exampl"}),
        json!({"aud": "other"}),
    ] {
        let token = signed(&json!({}), &claims);
        assert_eq!(
            verify_signature(&token, &ring("a")).unwrap().sub,
            subject().user_id,
            "{claims}"
        );
    }
    for (header, claims) in [
        (json!({"typ": "JWT"}), json!({})),
        (json!({"kid": "other"}), json!({})),
        (json!({"alg": "HS512"}), json!({})),
        (json!({}), json!({"exp": "soon"})),
    ] {
        let token = signed(&header, &claims);
        assert!(verify_signature(&token, &ring("a")).is_err(), "{header} {claims}");
    }
    assert_eq!(
        verify_signature(&issued(), &ring("b")).unwrap_err(),
        AccessTokenError::UnknownKey,
        "as that of a removed key"
    );
}

#[test]
fn refreshing_may_help_unless_the_token_is_malformed_or_forged() {
    let now = NOW.get();
    for (header, claims, helps) in [
        (json!({"kid": "removed"}), json!({}), true),
        (json!({}), json!({"iat": now + 1}), true),
        (json!({}), json!({"iss": "https://old.example"}), true),
        (json!({"typ": "JWT"}), json!({}), false),
        (json!({"alg": "HS512"}), json!({}), false),
        (json!({}), json!({"sub": 7}), false),
        (json!({}), json!({"exp": now - 1}), false),
    ] {
        let error = verify_at(&signed(&header, &claims), now).unwrap_err();
        assert_eq!(error.refreshing_may_help(), helps, "{error:?}");
    }
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
    assert!(verify_signature(&token, &retired).is_ok());
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
    let other = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let signature = to_base64url(hmac::sign(&other, input.as_bytes()).as_ref());
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

#[test]
fn custom_claims_are_at_the_same_level_as_the_others() {
    let claims = CustomClaims::within(r#"{"tenant": "acme", "plan": {"seats": 5}}"#).unwrap();
    let subject = Subject { claims: claims.clone(), ..subject() };
    let token = issue(&subject, &policy(), &ring("a"), NOW, [3; 16]).unwrap();
    let payload = token.split('.').nth(1).and_then(crate::encoding::from_base64url).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!((&payload["tenant"], &payload["plan"]), (&json!("acme"), &json!({"seats": 5})));
    let Ok(Verified::Live(read)) = verify_at(&token, NOW.get()) else { panic!() };
    assert_eq!(read.custom, claims);
}

/// Tokens of another release may have claims that this one does not know.
#[test]
fn claims_with_a_reserved_name_are_not_custom_claims() {
    let token = signed(&json!({}), &json!({"acr": "2", "ROLES": ["admin"], "tenant": "acme"}));
    let Ok(Verified::Live(read)) = verify_at(&token, NOW.get()) else { panic!() };
    assert_eq!(read.custom.to_string(), r#"{"tenant":"acme"}"#);
    assert_eq!(read.roles, subject().roles);
}

#[test]
fn every_claim_of_the_service_is_a_reserved_name() {
    let Ok(Verified::Live(claims)) = verify_at(&issued(), NOW.get()) else { panic!() };
    let jkt = to_base64url(&[1; 32]);
    let cnf = serde_json::from_value(json!({"jkt": jkt})).unwrap();
    let claims = Claims { nbf: Some(NOW), cnf: Some(cnf), step_up: true, ..claims };
    let Ok(Value::Object(claims)) = serde_json::to_value(&claims) else { panic!() };
    assert_eq!(claims.len(), 15, "all are there: {claims:?}");
    for (name, value) in claims {
        let claim = serde_json::Map::from_iter([(name.clone(), value)]);
        assert!(matches!(CustomClaims::new(claim), Err(InvalidClaims::Reserved(_))), "{name}");
    }
}

#[test]
fn a_token_with_everything_at_its_limit_can_be_verified() {
    let thumbprint = serde_json::from_value(json!(to_base64url(&[1; 32]))).unwrap();
    let subject = Subject {
        name: "\u{10330}".repeat(NAME_CHARS),
        roles: (0..16).map(|number| format!("{number:r>32}")).collect(),
        claims: custom_claims::tests::longest(),
        jkt: Some(thumbprint),
        amr: Amr::PASSWORD.and(Amr::CODE).and(Amr::PASSKEY).and(Amr::EMAIL),
        step_up: true,
        ..subject()
    };
    assert!(crate::user::are_roles(&subject.roles));
    let policy = policy_of_len(MAX_ORIGIN_LEN);
    assert!(policy.leaves_room() && !policy_of_len(MAX_ORIGIN_LEN + 1).leaves_room());
    for algorithm in SignatureAlgorithm::ALL {
        let ring = new_ring(algorithm);
        let token = issue(&subject, &policy, &ring, NOW, [3; 16]).unwrap();
        let Ok(Verified::Live(claims)) = verify(&token, &policy, &ring, NOW) else { panic!() };
        assert_eq!((claims.custom, claims.name), (subject.claims.clone(), subject.name.clone()));
    }
}

#[test]
fn a_token_that_is_too_long_for_verifiers_is_not_issued() {
    let with_name = |len: usize| {
        let subject = Subject { name: "n".repeat(len), ..subject() };
        issue(&subject, &policy(), &ring("a"), NOW, [3; 16])
    };
    let longest = (1_000..4_000).rev().find(|len| with_name(*len).is_ok()).unwrap();
    let token = with_name(longest).unwrap();
    // A byte is one or two characters of base64.
    assert!((MAX_TOKEN_LEN - 1..=MAX_TOKEN_LEN).contains(&token.len()), "{}", token.len());
    assert!(matches!(verify_at(&token, NOW.get()), Ok(Verified::Live(_))));
    assert!(matches!(with_name(longest + 1), Err(IssueError::TooLong)));
}

proptest! {
    #[test]
    fn every_token_within_the_limits_is_issued_and_says_what_it_should(
        claims in custom_claims::tests::valid(),
        name in "[!-~\u{10330}-\u{1034a}]{1,64}",
        roles in prop::collection::vec("[a-z0-9_-]{1,32}", 0..=16),
        origin_len in prop_oneof![8..=MAX_ORIGIN_LEN, Just(MAX_ORIGIN_LEN)],
    ) {
        static RING: std::sync::LazyLock<KeyRing> =
            std::sync::LazyLock::new(|| new_ring(SignatureAlgorithm::Rs256));
        let subject = Subject { name, roles, claims, ..subject() };
        let policy = policy_of_len(origin_len);
        let token = issue(&subject, &policy, &RING, NOW, [3; 16]).unwrap();
        prop_assert!(token.len() <= MAX_TOKEN_LEN);
        let Ok(Verified::Live(read)) = verify(&token, &policy, &RING, NOW) else { panic!() };
        prop_assert_eq!((read.custom, read.name), (subject.claims, subject.name));
        prop_assert_eq!(read.roles, subject.roles);
    }
}
