use serde_json::{Value, json};

use super::*;
use crate::{
    access_token::{self, AccessTokenPolicy, Subject, Verified},
    ids::{SessionId, UserId},
    key_ring::MIN_SEED_CHARS,
    refresh_token::RefreshToken,
    secret::TokenSecret,
};

const START: UnixSeconds = UnixSeconds::new(1_780_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn policy(algorithm: SignatureAlgorithm) -> RotationPolicy {
    RotationPolicy {
        algorithm,
        lead: Duration::from_secs(990),
        access_tokens: Duration::from_secs(300),
        sessions: DAY * 90,
    }
}

/// A ring as a deployment makes it.
fn seeded() -> RingDocument {
    let ring = json!({"keys": [], "seed": "s".repeat(MIN_SEED_CHARS)});
    RingDocument::parse(&ring.to_string(), START).unwrap()
}

fn ring(document: &RingDocument, now: UnixSeconds) -> KeyRing {
    KeyRing::parse(&document.to_json(), now).unwrap()
}

fn count(document: &RingDocument, use_: KeyUse) -> usize {
    document.keys.iter().filter(|key| key.is_for(use_)).count()
}

fn tokens() -> AccessTokenPolicy {
    AccessTokenPolicy {
        issuer: "https://issuer.example".to_owned(),
        audience: "ratchet".to_owned(),
        client_id: "first-party".to_owned(),
        life: Duration::from_secs(300),
        clock_skew: Duration::ZERO,
    }
}

/// An access and a refresh token, issued at `now`.
fn issue(ring: &KeyRing, now: UnixSeconds) -> (String, String) {
    let subject = Subject {
        user_id: UserId::from_bytes([1; 16]),
        session_id: SessionId::from_bytes([2; 16]),
        auth_time: now,
        name: "ada".to_owned(),
        roles: Vec::new(),
    };
    let access = access_token::issue(&subject, &tokens(), ring, now, [3; 16]).unwrap();
    let refresh = RefreshToken {
        user_id: subject.user_id,
        session_id: subject.session_id,
        generation: 0,
        secret: TokenSecret::new([4; 32]),
    };
    let refresh = refresh.encode(ring.tagger(now).unwrap());
    (access.to_string(), refresh.expose().to_owned())
}

#[test]
fn a_new_key_is_published_at_once_and_signs_when_everybody_has_seen_it() {
    let policy = policy(SignatureAlgorithm::Es256);
    let before = ring(&seeded(), START);
    let old = before.signer(START).unwrap().kid().to_owned();
    let rotated = seeded().rotated(&policy, Start::WhenSeen, START).unwrap();
    let after = ring(&rotated, START);
    assert_eq!(after.public_keys(START).count(), 1, "published");
    assert_eq!(after.signer(START).unwrap().kid(), old);
    let last_second = START.plus(Duration::from_secs(989));
    assert_eq!(after.signer(last_second).unwrap().kid(), old);
    let begin = START.plus(policy.lead);
    assert_eq!(after.signer(begin).unwrap().algorithm(), SignatureAlgorithm::Es256);
    assert!(after.verification_key(&old, begin).is_some(), "what it signed lives on");
}

#[test]
fn the_seed_becomes_keys_that_are_retired_like_any_other() {
    let policy = policy(SignatureAlgorithm::Hs256);
    let (access, refresh) = issue(&ring(&seeded(), START), START);
    let rotated = seeded().rotated(&policy, Start::WhenSeen, START).unwrap();
    assert!(!rotated.to_json().contains("\"seed\""));
    let after = ring(&rotated, START);
    assert!(access_token::verify(&access, &tokens(), &after, START).is_ok());
    assert!(RefreshToken::parse(&refresh, after.tag_keys(START)).is_ok());
    let later = START.plus(DAY * 30);
    let again = rotated.rotated(&policy, Start::WhenSeen, later).unwrap();
    let after = ring(&again, later);
    let verified = access_token::verify(&access, &tokens(), &after, later);
    assert!(matches!(verified, Ok(Verified::Expired(_))), "but is known");
    assert!(access_token::verify_whatever_its_age(&access, &tokens(), &after).is_ok());
    assert_eq!(count(&again, KeyUse::Tag), 3, "its sessions live on");
    let end = START.plus(DAY * 91);
    let at_last = again.rotated(&policy, Start::WhenSeen, end).unwrap();
    let after = ring(&at_last, end);
    assert!(access_token::verify_whatever_its_age(&access, &tokens(), &after).is_err());
}

/// Two years of rotations, every day and every algorithm in turn, with a token checked at every
/// moment of its life by whoever has seen the ring a lead ago or now.
#[test]
fn no_token_is_ever_refused_before_it_expires_and_the_ring_stays_small() {
    let mut document = seeded();
    let mut older = document.clone();
    for day in 0..730 {
        let now = START.plus(DAY * day);
        let algorithm = [SignatureAlgorithm::Es256, SignatureAlgorithm::EdDsa]
            [usize::try_from(day).unwrap() % 2];
        document = document.rotated(&policy(algorithm), Start::WhenSeen, now).unwrap();
        assert!(count(&document, KeyUse::Signing) <= 3 + MAX_RETIRED, "{day}");
        assert!(count(&document, KeyUse::Tag) <= 11, "{day}");
        assert!(document.to_json().len() < 8_192);
        // Who still has yesterday's ring issues; who has today's verifies; and the other way round,
        // until the lead is over.
        for seconds in [0, 300, 989, 990, 1_289] {
            let at = now.plus(Duration::from_secs(seconds));
            let [old, new] = [&older, &document].map(|document| ring(document, at));
            let issuers = if seconds < 990 { vec![&old, &new] } else { vec![&new] };
            for issuer in issuers {
                let (access, refresh) = issue(issuer, at);
                for verifier in [&old, &new] {
                    if seconds >= 990 && std::ptr::eq(verifier, &raw const old) {
                        continue;
                    }
                    for age in [0, 299] {
                        let then = at.plus(Duration::from_secs(age));
                        let verdict = access_token::verify(&access, &tokens(), verifier, then);
                        assert!(matches!(verdict, Ok(Verified::Live(_))), "{day} {seconds} {age}");
                    }
                    assert!(RefreshToken::parse(&refresh, verifier.tag_keys(at)).is_ok());
                }
            }
        }
        older = document.clone();
    }
}

#[test]
fn a_refresh_token_is_known_for_the_whole_life_of_its_session() {
    let policy = policy(SignatureAlgorithm::Hs256);
    let mut document = seeded();
    let (_, refresh) = issue(&ring(&document, START), START.plus(policy.lead));
    for day in (0..=90).step_by(30) {
        let now = START.plus(DAY * day);
        document = document.rotated(&policy, Start::WhenSeen, now).unwrap();
    }
    let end = START.plus(policy.lead).plus(policy.sessions);
    assert!(RefreshToken::parse(&refresh, ring(&document, end).tag_keys(end)).is_ok());
    let over = end.plus(policy.lead);
    assert!(RefreshToken::parse(&refresh, ring(&document, over).tag_keys(over)).is_err());
}

#[test]
fn rotating_twice_is_rotating_once() {
    let policy = policy(SignatureAlgorithm::Rs256);
    let once = seeded().rotated(&policy, Start::WhenSeen, START).unwrap();
    let later = START.plus(Duration::from_secs(500));
    let twice = once.clone().rotated(&policy, Start::WhenSeen, later).unwrap();
    let (once, twice): (Value, Value) = (
        serde_json::from_str(&once.to_json()).unwrap(),
        serde_json::from_str(&twice.to_json()).unwrap(),
    );
    let kids = |ring: &Value| -> Vec<Value> {
        let mut keys: Vec<_> = ring["keys"].as_array().unwrap().clone();
        keys.sort_by_key(|key| key["kid"].to_string());
        keys
    };
    assert_eq!(kids(&once), kids(&twice));
}

#[test]
fn another_algorithm_is_a_rotation_even_while_a_key_waits() {
    let once =
        seeded().rotated(&policy(SignatureAlgorithm::Hs256), Start::WhenSeen, START).unwrap();
    let later = START.plus(Duration::from_secs(500));
    let twice = once.rotated(&policy(SignatureAlgorithm::Rs256), Start::WhenSeen, later).unwrap();
    let signer = |at: u64| {
        let at = START.plus(Duration::from_secs(at));
        ring(&twice, at).signer(at).unwrap().algorithm()
    };
    assert_eq!(signer(1_489), SignatureAlgorithm::Hs256);
    assert_eq!(signer(1_490), SignatureAlgorithm::Rs256);
}

#[test]
fn an_emergency_signs_at_once_and_refuses_nothing_that_was_signed() {
    let policy = policy(SignatureAlgorithm::EdDsa);
    let waiting = seeded().rotated(&policy, Start::WhenSeen, START).unwrap();
    for document in [seeded(), waiting] {
        let (access, refresh) = issue(&ring(&document, START), START);
        let now = START.plus(Duration::from_secs(10));
        let emergency = document.rotated(&policy, Start::AtOnce, now).unwrap();
        let after = ring(&emergency, now);
        assert_eq!(after.signer(now).unwrap().algorithm(), SignatureAlgorithm::EdDsa);
        assert_eq!(count(&emergency, KeyUse::Signing), 2);
        assert!(access_token::verify(&access, &tokens(), &after, now).is_ok());
        assert!(RefreshToken::parse(&refresh, after.tag_keys(now)).is_ok());
    }
}

#[test]
fn a_revoked_key_is_gone_and_the_ring_still_signs() {
    let policy = policy(SignatureAlgorithm::Es256);
    let document = seeded().rotated(&policy, Start::WhenSeen, START).unwrap();
    let summaries: Vec<_> = document.summaries().collect();
    assert_eq!(summaries.len(), 4);
    for key in summaries {
        let after = document.clone().without(&key.kid, &policy, START).unwrap();
        assert!(after.summaries().all(|other| other.kid != key.kid));
        let ring = ring(&after, START);
        assert!(ring.signer(START).is_some() && ring.tagger(START).is_some());
        // And goes on to do so after everything that waits has begun.
        let later = START.plus(DAY);
        assert!(KeyRing::parse(&after.to_json(), later).is_ok());
    }
    let unknown = document.without("unknown", &policy, START).unwrap_err();
    assert_eq!(unknown, RotationError::UnknownKey);
}

#[test]
fn what_this_version_does_not_know_is_kept() {
    let key = NewKey::signing(SignatureAlgorithm::Es256).unwrap().expose();
    let mut key = key;
    key["x-note"] = json!("kept");
    let tag = NewKey::tag().unwrap().expose();
    let ring = json!({"keys": [key, tag], "x-version": 2});
    let document = RingDocument::parse(&ring.to_string(), START).unwrap();
    let rotated =
        document.rotated(&policy(SignatureAlgorithm::Es256), Start::WhenSeen, START).unwrap();
    let written: Value = serde_json::from_str(&rotated.to_json()).unwrap();
    assert_eq!(written["x-version"], 2);
    assert!(written["keys"].as_array().unwrap().iter().any(|key| key["x-note"] == "kept"));
}

#[test]
fn the_lead_covers_what_others_keep_and_what_functions_keep() {
    let config = Config::read(|name| {
        let value = match name {
            "RATCHET_ISSUER" => "https://issuer.example",
            "RATCHET_USERS_TABLE" | "RATCHET_TOKENS_TABLE" | "RATCHET_KEY_RING_SECRET" => "x",
            _ => return None,
        };
        Some(value.to_owned())
    });
    let policy = RotationPolicy::of(&config.unwrap());
    assert_eq!(policy.lead, Duration::from_secs(990));
    assert_eq!(policy.access_tokens, Duration::from_secs(300));
    assert_eq!(policy.sessions, DAY * 90);
}

#[test]
fn nothing_printed_shows_a_key() {
    let rotated =
        seeded().rotated(&policy(SignatureAlgorithm::Rs256), Start::WhenSeen, START).unwrap();
    let json: Value = serde_json::from_str(&rotated.to_json()).unwrap();
    let printed = format!("{rotated:?} {:?}", rotated.summaries().collect::<Vec<_>>());
    for key in json["keys"].as_array().unwrap() {
        for member in ["k", "d", "p", "q", "dp", "dq", "qi"] {
            if let Some(secret) = key[member].as_str() {
                assert!(!printed.contains(secret));
            }
        }
    }
}

/// Rings as releases wrote them, each with tokens that it issued. What is in there stays.
const WRITTEN: [&str; 1] = [include_str!("written/0.1.0.json")];

#[test]
fn rings_that_a_release_has_written_are_read_rotated_and_know_their_tokens() {
    for release in WRITTEN {
        let rings: Vec<Value> = serde_json::from_str(release).unwrap();
        assert_eq!(rings.len(), 4);
        for written in rings {
            let now = UnixSeconds::new(written["at"].as_u64().unwrap());
            let text = written["ring"].to_string();
            let document = RingDocument::parse(&text, now).unwrap();
            let next = document.rotated(&policy(SignatureAlgorithm::Es256), Start::WhenSeen, now);
            let next = ring(&next.unwrap(), now);
            for ring in [KeyRing::parse(&text, now).unwrap(), next] {
                let access = written["access_token"].as_str().unwrap();
                let verified = access_token::verify(access, &tokens(), &ring, now).unwrap();
                assert!(matches!(verified, Verified::Live(_)));
                let refresh = written["refresh_token"].as_str().unwrap();
                assert!(RefreshToken::parse(refresh, ring.tag_keys(now)).is_ok());
            }
        }
    }
}

/// `cargo test -p ratchet-core --lib -- --ignored --nocapture write_rings`: what the test above is
/// to read of another release.
#[test]
#[ignore = "prints what is kept of a release"]
fn write_rings() {
    let mut document = seeded();
    let mut now = START;
    let mut rings = Vec::new();
    let changes = [SignatureAlgorithm::Es256, SignatureAlgorithm::EdDsa, SignatureAlgorithm::Rs256];
    for algorithm in [None].into_iter().chain(changes.map(Some)) {
        if let Some(algorithm) = algorithm {
            document = document.rotated(&policy(algorithm), Start::WhenSeen, now).unwrap();
            document.set_based_on("00000000000000000000000000000000");
            now = now.plus(Duration::from_secs(2_000));
        }
        let (access, refresh) = issue(&ring(&document, now), now);
        let ring = match algorithm {
            None => json!({"keys": [], "seed": "s".repeat(MIN_SEED_CHARS)}),
            Some(_) => serde_json::from_str(&document.to_json()).unwrap(),
        };
        rings.push(json!({
            "at": now.get(), "ring": ring, "access_token": access, "refresh_token": refresh,
        }));
    }
    println!("{:#}", Value::Array(rings));
}
