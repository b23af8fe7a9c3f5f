use std::{env, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::{
    access_token::{self, AccessTokenPolicy, Subject, Verified},
    amr::Amr,
    challenge::{MailToken, Purpose},
    config::Config,
    custom_claims::CustomClaims,
    device_token::{self, DeviceId, DeviceToken},
    encoding::to_base64url,
    ids::{SessionId, UserId},
    jws::SignatureAlgorithm,
    key_ring::{
        KeyRing, MIN_SEED_CHARS, NewKey, TAG_USE, plan::CLOCK_TOLERANCE,
        policy::MAX_ENDED_SIGNING_KEYS,
    },
    refresh_token::RefreshToken,
    secret::TokenSecret,
    time::UnixMillis,
};

mod written;

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

/// A ring as deployed, for HS256.
fn seeded() -> RingDocument {
    let ring = json!({"keys": [], "seed": "s".repeat(MIN_SEED_CHARS)});
    RingDocument::parse(&ring.to_string(), SignatureAlgorithm::Hs256).unwrap()
}

fn parse(ring: &Value) -> RingDocument {
    RingDocument::parse(&ring.to_string(), SignatureAlgorithm::default()).unwrap()
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
        former_issuers: Vec::new(),
        audience: "ratchet".to_owned(),
        former_audiences: Vec::new(),
        client_id: "first-party".to_owned(),
        life: Duration::from_secs(300),
        clock_skew: Duration::ZERO,
        leeway: Duration::ZERO,
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
        claims: CustomClaims::default(),
        jkt: None,
        amr: Amr::PASSWORD,
        step_up: false,
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
    assert_eq!(after.public_keys(START).count(), 3, "beside two first keys");
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
    assert!(access_token::verify_signature(&access, &after).is_ok());
    assert_eq!(count(&again, KeyUse::Tag), 3, "its sessions live on");
    let end = START.plus(DAY * 91);
    let at_last = again.rotated(&policy, Start::WhenSeen, end).unwrap();
    let after = ring(&at_last, end);
    assert!(access_token::verify_signature(&access, &after).is_err());
}

/// Two years of daily rotations, each algorithm in turn. Verifiers with the current ring and with
/// one that is a lead old check tokens throughout their lives.
#[test]
fn no_token_is_ever_refused_before_it_expires_and_the_ring_stays_small() {
    let mut document = seeded();
    let mut older = document.clone();
    for day in 0..730 {
        let now = START.plus(DAY * day);
        let algorithm = [SignatureAlgorithm::Es256, SignatureAlgorithm::EdDsa]
            [usize::try_from(day).unwrap() % 2];
        document = document.rotated(&policy(algorithm), Start::WhenSeen, now).unwrap();
        assert!(count(&document, KeyUse::Signing) <= 3 + MAX_ENDED_SIGNING_KEYS, "{day}");
        // A year of them, for device tokens; see `between_tag_keys`.
        assert!(count(&document, KeyUse::Tag) <= 24, "{day}");
        assert!(document.to_json().len() < MAX_RING_LEN / 6);
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
    let over = end.plus(policy.lead).plus(CLOCK_TOLERANCE);
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
        assert_eq!(count(&emergency, KeyUse::Signing), 4, "three first keys and a new one");
        assert!(access_token::verify(&access, &tokens(), &after, now).is_ok());
        assert!(RefreshToken::parse(&refresh, after.tag_keys(now)).is_ok());
    }
}

#[test]
fn a_revoked_key_is_gone_and_the_ring_still_signs() {
    let policy = policy(SignatureAlgorithm::Es256);
    let document = seeded().rotated(&policy, Start::WhenSeen, START).unwrap();
    let summaries = document.summaries().filter(|key| key.use_ != KeyUse::Sealing);
    let summaries: Vec<_> = summaries.collect();
    assert_eq!(summaries.len(), 6);
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

fn sealing_kids(document: &RingDocument) -> Vec<String> {
    let keys = document.summaries().filter(|key| key.use_ == KeyUse::Sealing);
    keys.map(|key| key.kid).collect()
}

#[test]
fn sealing_keys_follow_from_tag_keys_until_the_first_change_and_then_stay() {
    let policy = policy(SignatureAlgorithm::Es256);
    let derived = ring(&seeded(), START).sealer(START).unwrap().id().to_owned();
    assert_eq!(sealing_kids(&seeded()), [derived.as_str()]);
    let rotated = seeded().rotated(&policy, Start::WhenSeen, START).unwrap();
    let [first, second] = sealing_kids(&rotated).try_into().unwrap();
    assert_eq!(first, derived);
    // The new one seals once all have it.
    let seals =
        |document: &RingDocument, at| ring(document, at).sealer(at).unwrap().id().to_owned();
    assert_eq!(seals(&rotated, START), first);
    assert_eq!(seals(&rotated, START.plus(policy.lead)), second);
    // A year later there is another one, and an emergency adds one at once.
    for (start, later, count) in
        [(Start::WhenSeen, DAY, 2), (Start::WhenSeen, DAY * 366, 3), (Start::AtOnce, DAY, 3)]
    {
        let again = rotated.clone().rotated(&policy, start, START.plus(later)).unwrap();
        let kids = sealing_kids(&again);
        assert_eq!((kids.len(), kids.contains(&derived)), (count, true), "{start:?} {later:?}");
    }
    // Revoking the tag key that it followed from leaves it.
    for key in rotated.summaries() {
        match rotated.clone().without(&key.kid, &policy, START) {
            Ok(without) => assert_eq!(sealing_kids(&without), [first.clone(), second.clone()]),
            Err(error) => {
                assert_eq!((error, key.use_), (RotationError::SealingKey, KeyUse::Sealing));
            }
        }
    }
}

#[test]
fn what_this_version_does_not_know_is_kept() {
    let key = NewKey::signing(SignatureAlgorithm::Es256).unwrap().expose();
    let mut key = key;
    key["x-note"] = json!("kept");
    let tag = NewKey::tag().unwrap().expose();
    let ring = json!({"keys": [key, tag], "x-version": 2});
    let document = parse(&ring);
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

/// A key for access tokens with a life in seconds from `START`.
fn key(byte: u8, kid: &str, nbf: i64, exp: Option<i64>) -> Value {
    let at = |seconds: i64| START.get().checked_add_signed(seconds).unwrap();
    let secret: Vec<u8> = (0..32).map(|i| byte.wrapping_add(i)).collect();
    let mut key = json!({"kty": "oct", "use": "sig", "alg": "HS256", "kid": kid,
                         "k": to_base64url(&secret), "nbf": at(nbf)});
    if let Some(exp) = exp {
        key["exp"] = json!(at(exp));
    }
    key
}

fn with_a_tag_key(mut keys: Vec<Value>) -> Value {
    let mut tag = key(200, "tag", -1_000, None);
    tag["use"] = json!(TAG_USE);
    keys.push(tag);
    json!({"keys": keys})
}

/// Every hour of the next days, by a function that has just loaded the ring.
fn assert_signs_and_tags_from(document: &RingDocument, now: UnixSeconds) {
    for minutes in (0..4_000).step_by(7) {
        let at = now.plus(Duration::from_mins(minutes));
        assert!(KeyRing::parse(&document.to_json(), at).is_ok(), "after {minutes} minutes");
    }
}

#[test]
fn revoking_a_published_key_by_a_longer_lead_leaves_no_moment_without_a_signer() {
    let of_function = policy(SignatureAlgorithm::Es256);
    let by_hand = RotationPolicy::longest(SignatureAlgorithm::Es256);
    let rotated = seeded().rotated(&of_function, Start::WhenSeen, START).unwrap();
    let waiting = ring(&rotated, START.plus(of_function.lead));
    let waiting = waiting.signer(START.plus(of_function.lead)).unwrap().kid().to_owned();
    let later = START.plus(Duration::from_mins(10));
    let revoked = rotated.without(&waiting, &by_hand, later).unwrap();
    assert_signs_and_tags_from(&revoked, later);
    // The signer goes on until another key follows, and what it signs last lives as long as any.
    let begin = later.plus(by_hand.lead);
    let last = UnixSeconds::new(begin.get() - 1);
    let (access, refresh) = issue(&ring(&revoked, last), last);
    let end = last.plus(Duration::from_secs(299));
    let after = ring(&revoked, end);
    assert_ne!(after.signer(end).unwrap().kid(), ring(&revoked, last).signer(last).unwrap().kid());
    let verified = access_token::verify(&access, &tokens(), &after, end);
    assert!(matches!(verified, Ok(Verified::Live(_))), "{verified:?}");
    assert!(RefreshToken::parse(&refresh, after.tag_keys(end)).is_ok());
}

#[test]
fn a_ring_without_a_signer_is_read_and_mended() {
    let json = with_a_tag_key(vec![
        key(1, "ended", -5_000, Some(-100)),
        key(50, "published", 90_000, None),
    ]);
    assert_eq!(
        KeyRing::parse(&json.to_string(), START).unwrap_err(),
        KeyRingError::NoSigner,
        "functions keep the ring that they have"
    );
    let broken = parse(&json);
    assert_eq!(broken.gap_from(KeyUse::Signing, START), Some(START));
    assert_eq!(broken.gap_from(KeyUse::Tag, START), None);
    let policy = policy(SignatureAlgorithm::Hs256);
    for mended in [
        broken.clone().rotated(&policy, Start::WhenSeen, START),
        broken.clone().rotated(&policy, Start::AtOnce, START),
        broken.clone().without("ended", &policy, START),
        broken.clone().without("published", &policy, START),
        broken.clone().without("tag", &policy, START),
    ] {
        let mended = mended.unwrap();
        assert_signs_and_tags_from(&mended, START);
        assert_eq!(mended.gap_from(KeyUse::Signing, START), None);
    }
    let mended = broken.rotated(&policy, Start::WhenSeen, START).unwrap();
    assert_eq!(ring(&mended, START).signer(START).unwrap().kid(), "published", "others have it");
}

#[test]
fn a_moment_without_a_signer_that_lies_ahead_is_found_and_mended() {
    let json =
        with_a_tag_key(vec![key(1, "signs", -5_000, Some(2_280)), key(50, "next", 99_000, None)]);
    let broken = parse(&json);
    let end = START.plus(Duration::from_secs(2_280));
    assert_eq!(broken.gap_from(KeyUse::Signing, START), Some(end));
    assert_eq!(
        broken.check(),
        Err(RotationError::Gap { use_: KeyUse::Signing, from: UnixSeconds::new(0) })
    );
    let policy = policy(SignatureAlgorithm::Hs256);
    let mended = broken.rotated(&policy, Start::WhenSeen, START).unwrap();
    assert_signs_and_tags_from(&mended, START);
}

#[test]
fn a_clock_far_ahead_leaves_no_moment_without_a_signer() {
    let policy = policy(SignatureAlgorithm::Es256);
    let rotated = seeded().rotated(&policy, Start::WhenSeen, START).unwrap();
    for ahead in [DAY, DAY * 400, DAY * 4_000] {
        let wrong = START.plus(ahead);
        let after = rotated.clone().rotated(&policy, Start::WhenSeen, wrong).unwrap();
        assert_signs_and_tags_from(&after, START);
        for key in after.summaries().filter(|key| key.use_ != KeyUse::Sealing) {
            let revoked = after.clone().without(&key.kid, &policy, wrong).unwrap();
            assert_signs_and_tags_from(&revoked, START);
        }
        // And the right clock goes on from there.
        let next = after.rotated(&policy, Start::WhenSeen, START).unwrap();
        assert_signs_and_tags_from(&next, START);
    }
}

#[test]
fn an_emergency_by_a_slow_clock_refuses_nothing_that_was_signed() {
    let policy =
        RotationPolicy { lead: Duration::from_secs(3), ..policy(SignatureAlgorithm::Es256) };
    let (access, refresh) = issue(&ring(&seeded(), START), START);
    let slow = UnixSeconds::new(START.get() - CLOCK_TOLERANCE.as_secs());
    let emergency = seeded().rotated(&policy, Start::AtOnce, slow).unwrap();
    let last = START.plus(Duration::from_secs(299));
    let verified = access_token::verify(&access, &tokens(), &ring(&emergency, last), last);
    assert!(matches!(verified, Ok(Verified::Live(_))), "{verified:?}");
    assert!(RefreshToken::parse(&refresh, ring(&emergency, last).tag_keys(last)).is_ok());
}

#[test]
fn the_policy_travels_with_the_ring_and_no_time_shrinks_within_one_rotation() {
    let long = RotationPolicy::longest(SignatureAlgorithm::EdDsa);
    let short = policy(SignatureAlgorithm::Es256);
    let mut document = seeded();
    assert_eq!(document.policy_by_hand().lead, long.lead, "nothing is recorded");
    assert_eq!(document.adopt_policy(&long), long);
    let rotated = document.rotated(&long, Start::WhenSeen, START).unwrap();
    let mut read = RingDocument::parse(&rotated.to_json(), SignatureAlgorithm::Es256).unwrap();
    assert_eq!(read.policy(), Some(long));
    assert_eq!(read.policy_by_hand(), long);
    let mixed = RotationPolicy { algorithm: SignatureAlgorithm::Es256, ..long };
    assert_eq!(read.adopt_policy(&short), mixed, "copies and tokens of before are about");
    assert_eq!(read.adopt_policy(&short), short);
    // What a later version may record and this one cannot read.
    let unknown = json!({"keys": [], "seed": "s".repeat(MIN_SEED_CHARS),
                         "policy": {"algorithm": "ML-DSA-44", "lead": 1}});
    assert_eq!(parse(&unknown).policy(), None);
}

#[test]
fn a_version_that_waited_too_long_to_be_published_is_late() {
    let policy = policy(SignatureAlgorithm::Es256);
    let pending = seeded().rotated(&policy, Start::WhenSeen, START).unwrap();
    for (seconds, late) in [(0, false), (90, false), (91, true), (5_000, true)] {
        let now = START.plus(Duration::from_secs(seconds));
        assert_eq!(pending.is_late(&seeded(), &policy, now), late, "{seconds}");
    }
    let again = pending.clone().rotated(&policy, Start::WhenSeen, START).unwrap();
    assert!(!again.is_late(&pending, &policy, START.plus(DAY)), "it has no new key");
    let none = parse(&with_a_tag_key(vec![key(1, "ended", -5_000, Some(-100))]));
    let mended = none.clone().rotated(&policy, Start::WhenSeen, START).unwrap();
    assert!(!mended.is_late(&none, &policy, START), "nothing else signs");
}

/// Two years of daily rotations, with sessions of a day and of ninety.
#[test]
fn a_device_token_is_known_for_a_year_unless_its_key_is_revoked() {
    for sessions in [DAY, DAY * 90] {
        let policy = RotationPolicy { sessions, ..policy(SignatureAlgorithm::Hs256) };
        let mut document = seeded();
        let mut issued: Vec<(UnixSeconds, String, String)> = Vec::new();
        let knows = |ring: &KeyRing, text: &str, now| {
            DeviceToken::parse(text, "ada", ring.device_tag_keys(), now).is_some()
        };
        for day in 0..730 {
            let now = START.plus(DAY * day);
            document = document.rotated(&policy, Start::WhenSeen, now).unwrap();
            let current = ring(&document, now);
            let tagger = current.tagger(now).unwrap();
            let token = DeviceToken {
                user_id: UserId::from_bytes([1; 16]),
                device_id: DeviceId::from_bytes([2; 16]),
                issued_at: now,
                cut_seen: UnixMillis::new(0),
            };
            let text = token.encode("ada", tagger).expose().to_owned();
            issued.push((now, tagger.id().to_owned(), text));
            if day % 73 == 0 {
                for (at, _, text) in &issued {
                    let lives = now < at.plus(device_token::LIFE);
                    assert_eq!(knows(&current, text, now), lives, "{day}");
                }
            }
        }
        let now = START.plus(DAY * 730);
        let kid = &issued[500].1;
        let revoked = ring(&document.without(kid, &policy, now).unwrap(), now);
        for (_, of, text) in &issued[400..] {
            assert_eq!(knows(&revoked, text, now), of != kid);
        }
    }
}

#[test]
fn a_mailed_token_is_known_for_a_day_however_short_sessions_are() {
    let policy =
        RotationPolicy { sessions: Duration::from_mins(1), ..policy(SignatureAlgorithm::Hs256) };
    let first = ring(&seeded(), START);
    let token = MailToken {
        purpose: Purpose::ConfirmEmail,
        user_id: UserId::from_bytes([1; 16]),
        secret: TokenSecret::new([4; 32]),
    };
    let rotated = seeded().rotated(&policy, Start::AtOnce, START).unwrap();
    let text = token.encode(first.tagger(START).unwrap());
    let last = START.plus(Purpose::ConfirmEmail.life());
    let after = rotated.rotated(&policy, Start::WhenSeen, last).unwrap();
    assert!(MailToken::parse(&text, ring(&after, last).tag_keys(last)).is_ok());
}

#[test]
fn emergencies_every_six_hours_for_months_leave_a_small_ring_and_keep_every_session() {
    let policy = policy(SignatureAlgorithm::Hs256);
    let mut document = seeded();
    let mut kept = Vec::new();
    for round in 0..800 {
        let now = START.plus(Duration::from_hours(6) * round);
        document = document.rotated(&policy, Start::AtOnce, now).unwrap();
        let current = ring(&document, now);
        kept.push((now, issue(&current, now).1));
        kept.retain(|(at, _)| now < at.plus(policy.sessions));
        for (_, refresh) in kept.iter().step_by(40) {
            assert!(RefreshToken::parse(refresh, current.tag_keys(now)).is_ok(), "{round}");
        }
        assert!(document.to_json().len() < MAX_RING_LEN / 4);
    }
}

#[test]
fn ended_keys_make_room_when_the_ring_would_be_too_long() {
    let policy = policy(SignatureAlgorithm::Hs256);
    let padded = |exp: i64| {
        let mut keys: Vec<_> = (0..12)
            .map(|i| {
                let mut key = key(i * 3, &i.to_string(), -9_000 + i64::from(i), Some(exp));
                key["x-note"] = json!("x".repeat(5_300));
                key
            })
            .collect();
        keys.push(key(200, "signs", -500, None));
        parse(&with_a_tag_key(keys))
    };
    let ended = padded(-400);
    assert!(ended.to_json().len() + 200 > MAX_RING_LEN, "a key more is too much");
    let rotated = ended.rotated(&policy, Start::AtOnce, START).unwrap();
    assert_eq!(count(&rotated, KeyUse::Signing), 2);
    let verifying = padded(40_000);
    let refusal = verifying.rotated(&policy, Start::AtOnce, START).unwrap_err();
    assert_eq!(refusal, RotationError::TooLong, "what verifies is not dropped");
}
