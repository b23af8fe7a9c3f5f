//! Rings that releases wrote.

use super::*;

/// Rings as releases wrote them, each with tokens that it issued. What is in there stays.
const WRITTEN: [&str; 1] = [include_str!("../written/0.1.0.json")];

#[test]
fn rings_that_a_release_has_written_are_read_rotated_and_know_their_tokens() {
    for release in WRITTEN {
        let rings: Vec<Value> = serde_json::from_str(release).unwrap();
        assert_eq!(rings.len(), 4);
        for written in rings {
            let now = UnixSeconds::new(written["at"].as_u64().unwrap());
            let text = written["ring"].to_string();
            let document = parse(&written["ring"]);
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

/// `PRINT_RINGS=1 cargo test -p ratchet-core --lib -- --nocapture rings_of_this`: what the test above
/// has to read once this is a release.
#[test]
fn rings_of_this_version_can_be_printed() {
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
    assert_eq!(rings.len(), 4);
    if env::var_os("PRINT_RINGS").is_some() {
        println!("{:#}", Value::Array(rings));
    }
}
