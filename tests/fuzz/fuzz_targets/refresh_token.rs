//! Refresh tokens: any text, and any 68 bytes under a genuine tag.

#![no_main]

use libfuzzer_sys::{arbitrary::Arbitrary, fuzz_target};
use ratchet_core::{
    ids::{SessionId, UserId},
    key_ring::TagKey,
    refresh_token::RefreshToken,
    secret::TokenSecret,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    user: [u8; 16],
    session: [u8; 16],
    generation: u32,
    secret: [u8; 32],
    /// Where the genuine text is cut, and what comes in between.
    at: u8,
    drop: u8,
    insert: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    let key = TagKey::new(&[7; 32]);
    assert!(RefreshToken::parse(input.insert, [&key]).is_err(), "a tag cannot be guessed");

    let token = RefreshToken {
        user_id: UserId::from_bytes(input.user),
        session_id: SessionId::from_bytes(input.session),
        generation: input.generation,
        secret: TokenSecret::new(input.secret),
    };
    let text = token.encode(&key);
    let text = text.expose();
    let read = RefreshToken::parse(text, [&TagKey::new(&[8; 32]), &key]).expect("a genuine token");
    assert_eq!(read.user_id, token.user_id);
    assert_eq!(read.session_id, token.session_id);
    assert_eq!(read.generation, token.generation);
    assert_eq!(read.secret.hash(), token.secret.hash());
    assert!(!format!("{read:?}").contains(&text[4..20]), "a token does not print");
    assert!(RefreshToken::parse(text, [&TagKey::new(&[8; 32])]).is_err(), "of another ring");

    let at = usize::from(input.at).min(text.len());
    let rest = (at + usize::from(input.drop)).min(text.len());
    let altered = [&text[..at], input.insert, &text[rest..]].concat();
    assert_eq!(RefreshToken::parse(&altered, [&key]).is_ok(), altered == text, "one spelling");
});
