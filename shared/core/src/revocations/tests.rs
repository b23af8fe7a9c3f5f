use serde_json::{Value, json};

use super::*;
use crate::{
    jws::SignatureAlgorithm,
    key_ring::{KeyRing, NewKey},
};

const ISSUER: &str = "https://auth.example.com";
const REACH: Duration = Duration::from_secs(300);
/// A whole minute.
const START: u64 = 1_780_000_020;

fn at(seconds: u64) -> UnixMillis {
    UnixMillis::new((START + seconds) * 1_000)
}

fn session(number: u64) -> SessionId {
    SessionId::generate(at(number), &[7; 10])
}

fn ring(algorithm: SignatureAlgorithm) -> KeyRing {
    let keys = [NewKey::signing(algorithm).unwrap(), NewKey::tag().unwrap()].map(NewKey::expose);
    KeyRing::parse(&json!({"keys": keys}).to_string(), at(0).seconds()).unwrap()
}

/// The list at a moment, if these sessions have ended at these seconds.
fn list(now: u64, ends: &[(u64, u64)]) -> RevocationList {
    let wanted = RecentEnds::wanted_since(at(now), REACH);
    let mut found: Vec<_> = ends
        .iter()
        .filter(|(_, when)| wanted <= at(*when).seconds())
        .map(|(number, when)| (session(*number), at(*when)))
        .collect();
    found.sort_by_key(|(_, when)| std::cmp::Reverse(*when));
    RevocationList::new(ISSUER, &RecentEnds::new(&found, at(now), REACH))
}

fn learnt(lists: &[(u64, RevocationList)]) -> KnownEnds {
    let mut known = KnownEnds::default();
    for (now, list) in lists {
        known.learn(list, at(*now).seconds(), REACH);
    }
    known
}

#[test]
fn a_signed_list_is_read_back_with_every_algorithm() {
    for algorithm in SignatureAlgorithm::ALL {
        let ring = ring(algorithm);
        let now = at(130).seconds();
        let list = list(130, &[(1, 100), (2, 90)]);
        let unsigned = list.to_be_signed(&ring, now).unwrap();
        let text = unsigned.sign().unwrap();
        let read =
            RevocationList::verify(&text, ISSUER, |kid| ring.verification_key(kid, now), now);
        assert_eq!(read.unwrap(), list);
        assert_eq!(list.to_be_signed(&ring, now).unwrap().tag(), unsigned.tag());
    }
}

#[test]
fn a_list_says_neither_ids_nor_an_order() {
    let text = serde_json::to_value(list(130, &[(1, 100), (2, 90)])).unwrap();
    assert_eq!(text, serde_json::to_value(list(130, &[(1, 90), (2, 100)])).unwrap());
    let entries = text["ended"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry.as_str().unwrap().len() == 22));
    assert!(!text.to_string().contains(&session(1).to_string()));
}

#[test]
fn the_hash_is_that_of_the_documentation() {
    let id: SessionId = "01a20c41-e62f-73f0-9ec9-c6907cba724d".parse().unwrap();
    // printf %s 01a20c41-e62f-73f0-9ec9-c6907cba724d | openssl dgst -sha256 -binary | head -c 16 |
    // basenc --base64url | tr -d =
    assert_eq!(json!(EndedSession::from(id)), json!("7zirIsy6b3GSCGBCe-x06w"));
}

#[test]
fn the_same_list_is_given_out_for_a_minute_unless_something_ends() {
    let first = list(65, &[(1, 50)]);
    assert_eq!(list(124, &[(1, 50)]), first);
    assert_ne!(list(125, &[(1, 50)]), first);
    assert_ne!(list(70, &[(1, 50), (2, 69)]), first);
}

#[test]
fn forged_foreign_and_old_lists_are_refused() {
    let (ring, now) = (ring(SignatureAlgorithm::Es256), at(130).seconds());
    let read = |text: &str, now| {
        RevocationList::verify(text, ISSUER, |kid| ring.verification_key(kid, now), now)
    };
    let key = ring.signer(now).unwrap();
    let genuine = serde_json::to_value(list(130, &[(1, 100)])).unwrap();
    let signed = |typ, claims: &Value| key.sign(typ, claims.to_string().as_bytes()).unwrap();
    assert!(read(&signed("revocations+jwt", &genuine), now).is_ok());
    for typ in ["at+jwt", "JWT", ""] {
        assert_eq!(read(&signed(typ, &genuine), now), Err(ListError::WrongType), "{typ}");
    }
    for (member, value, error) in [
        ("iss", json!("https://other.example.com"), ListError::Foreign),
        ("iss", Value::Null, ListError::Malformed),
        ("exp", json!(now.get()), ListError::Expired),
        ("exp", json!("2030"), ListError::Malformed),
        ("since", json!(-1), ListError::Malformed),
        ("ended", json!(["x"]), ListError::Malformed),
        ("ended", Value::Null, ListError::Malformed),
    ] {
        let mut claims = genuine.clone();
        claims[member] = value;
        assert_eq!(read(&signed("revocations+jwt", &claims), now), Err(error), "{claims}");
    }
    let text = signed("revocations+jwt", &genuine);
    let (input, _) = text.rsplit_once('.').unwrap();
    for forged in [format!("{input}."), format!("{input}.{}", to_base64url(&[1; 64]))] {
        assert_eq!(read(&forged, now), Err(ListError::Jws(crate::jws::JwsError::BadSignature)));
    }
    // As of 120, good for three minutes, and for not a second longer.
    assert!(read(&text, at(299).seconds()).is_ok());
    assert_eq!(read(&text, at(300).seconds()), Err(ListError::Expired));
    let other = self::ring(SignatureAlgorithm::Es256);
    let unknown =
        RevocationList::verify(&text, ISSUER, |kid| other.verification_key(kid, now), now);
    assert_eq!(unknown, Err(ListError::UnknownKey));
}

#[test]
fn no_unexpired_token_of_an_ended_session_is_let_in_and_no_other_one_refused() {
    // A token is issued, and its session ends; a verifier looks for the first time.
    for issued in 0..120_u64 {
        for ended in [issued, issued + 1, issued + 150, issued + 299] {
            for now in [ended + 1, issued + 299] {
                if now < ended {
                    continue;
                }
                let known = learnt(&[(now, list(now, &[(1, ended)]))]);
                let issued = at(issued).seconds();
                assert_eq!(known.standing(session(1), issued), Standing::Ended);
                assert_eq!(known.standing(session(2), issued), Standing::NotEnded);
            }
        }
    }
}

#[test]
fn an_earlier_list_that_comes_again_takes_nothing_away() {
    let (before, after) = (list(70, &[]), list(71, &[(1, 70)]));
    let known = learnt(&[(70, before.clone()), (71, after), (100, before)]);
    assert_eq!(known.standing(session(1), at(10).seconds()), Standing::Ended);
    assert_eq!(known.standing(session(2), at(10).seconds()), Standing::NotEnded);
}

#[test]
fn what_a_list_leaves_out_makes_older_tokens_expired_and_hides_no_end() {
    let crowd: Vec<_> = (0..2_000).map(|number| (number, number / 10)).collect();
    let full = list(250, &crowd);
    assert_eq!(full.ended.len(), MAX_ENDED);
    let known = learnt(&[(250, full.clone())]);
    let reached = full.since.get() - START;
    assert!((100..=101).contains(&reached), "the last thousand ended since {reached}");
    for (number, when) in &crowd {
        let standing = known.standing(session(*number), at(*when).seconds());
        assert_ne!(standing, Standing::NotEnded, "{number}");
    }
    assert_eq!(known.standing(session(9_999), at(reached).seconds()), Standing::NotEnded);
    assert_eq!(known.standing(session(9_999), at(reached - 1).seconds()), Standing::TooOld);
    // Who has looked all the while has missed nothing.
    let looks = |ends: &[(u64, u64)]| -> Vec<_> {
        let look = |now| {
            let so_far: Vec<_> = ends.iter().filter(|(_, when)| *when <= now).copied().collect();
            (now, list(now, &so_far))
        };
        (0..26).map(|number| number * 10).map(look).collect()
    };
    let known = learnt(&looks(&crowd));
    assert_eq!(known.standing(session(0), at(0).seconds()), Standing::Ended);
    assert_eq!(known.standing(session(9_999), at(0).seconds()), Standing::NotEnded);
    // Also if a thousand end within a third of the time for which a list stays the same.
    let rush: Vec<_> = (0..15_000).map(|number| (number, number / 60)).collect();
    let known = learnt(&looks(&rush));
    assert_eq!(known.standing(session(0), at(0).seconds()), Standing::Ended);
    assert_eq!(known.standing(session(99_999), at(0).seconds()), Standing::NotEnded);
    // An earlier list cannot fill a gap that it does not adjoin.
    let known = learnt(&[(250, full), (251, list(30, &[]))]);
    assert_eq!(known.standing(session(9_999), at(60).seconds()), Standing::TooOld);
}

#[test]
fn the_longest_list_is_short_enough_to_be_read_and_memory_ends() {
    let crowd: Vec<_> = (0..2_000).map(|number| (number, 100)).collect();
    let (ring, now) = (ring(SignatureAlgorithm::Rs256), at(130).seconds());
    let text = list(130, &crowd).to_be_signed(&ring, now).unwrap().sign().unwrap();
    assert!(text.len() < MAX_LIST_LEN * 3 / 4, "{}", text.len());
    let mut known = KnownEnds::default();
    for round in 0..150 {
        let crowd: Vec<_> = (0..1_000).map(|number| (round * 1_000 + number, 130)).collect();
        known.learn(&list(130, &crowd), now, REACH);
        assert!(known.remembered() <= 100_000);
    }
    known.learn(&list(500, &[]), at(500).seconds(), REACH);
    assert_eq!(known.remembered(), 0, "what can have no tokens is forgotten");
}
