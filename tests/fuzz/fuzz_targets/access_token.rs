//! Access tokens: any text, and any header and claims under a genuine signature.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use aws_lc_rs::hmac;
use libfuzzer_sys::fuzz_target;
use ratchet_core::{
    access_token::{AccessTokenPolicy, Verified, verify},
    encoding::to_base64url,
    key_ring::KeyRing,
    time::UnixSeconds,
};
use serde_json::Value;

/// No key that is known for being weak.
const SECRET: &[u8; 32] = b"a key of the fuzzer, 32 bytes in";
const NOW: UnixSeconds = UnixSeconds::new(1_780_000_000);

static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    let key = to_base64url(SECRET);
    let tag = to_base64url(b"another, for tags of 32 bytes, ok");
    let ring = format!(
        r#"{{"keys":[{{"kty":"oct","use":"sig","alg":"HS256","kid":"k","k":"{key}"}},
                     {{"kty":"oct","use":"refresh-tag","k":"{tag}"}}]}}"#
    );
    KeyRing::parse(&ring, NOW).expect("a ring")
});

static POLICY: LazyLock<AccessTokenPolicy> = LazyLock::new(|| AccessTokenPolicy {
    issuer: "https://a.example".to_owned(),
    former_issuers: Vec::new(),
    audience: "ratchet".to_owned(),
    former_audiences: Vec::new(),
    client_id: "first-party".to_owned(),
    life: Duration::from_secs(300),
    clock_skew: Duration::ZERO,
    leeway: Duration::ZERO,
});

fuzz_target!(|input: &[u8]| {
    // A header, a line feed, and claims.
    let text = String::from_utf8_lossy(input);
    assert!(verify(&text, &POLICY, &RING, NOW).is_err(), "a signature cannot be guessed");
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let (header, claims) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let signed = format!("{}.{}", to_base64url(header), to_base64url(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let signature = to_base64url(hmac::sign(&key, signed.as_bytes()).as_ref());
    let token = format!("{signed}.{signature}");
    let verified = verify(&token, &POLICY, &RING, NOW);
    let live = matches!(verified, Ok(Verified::Live(_)));
    let Ok(verified) = verified else { return };

    // Properties of every accepted token, read by another parser.
    let header: Value = serde_json::from_slice(header).expect("JSON");
    let claims: Value = match serde_json::from_slice(claims) {
        Ok(claims) => claims,
        // An unused member may be a number that no type here can hold (RFC 8259 §6).
        Err(error) if error.to_string().starts_with("number out of range") => return,
        Err(error) => panic!("no JSON: {error}"),
    };
    assert_eq!(header["alg"], "HS256");
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(header["kid"], "k");
    assert!(header.as_object().is_some_and(|header| header.len() == 3));
    assert_eq!(claims["iss"], "https://a.example");
    assert_eq!(claims["aud"], "ratchet");
    let number = |name: &str| claims[name].as_u64().expect("a number");
    assert!(number("iat") <= NOW.get() && (number("iat")..=number("iat") + 86_400).contains(&number("exp")));
    assert!(claims["nbf"].is_null() || number("nbf") <= NOW.get());
    assert_eq!(live, number("exp").min(number("iat") + 300) > NOW.get());
    let (Verified::Live(read) | Verified::Expired(read)) = verified;
    assert_eq!(claims["sub"], read.sub.to_string());
    assert_eq!(claims["sid"], read.sid.to_string());
    for (name, value) in read.custom.as_map() {
        assert_eq!(&claims[name], value);
    }
    for unsigned in [&token[..token.len() - 1], &signed, &format!("{signed}.")] {
        assert!(verify(unsigned, &POLICY, &RING, NOW).is_err());
    }
});
