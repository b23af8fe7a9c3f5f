//! The session item: a sound one, changed anyhow, read and decided upon.

#![no_main]

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use libfuzzer_sys::{arbitrary::Arbitrary, fuzz_target};
use ratchet_core::{
    amr::Amr,
    ids::{SessionId, UserId},
    refresh_token::RefreshToken,
    rotation::{Presented, Rotation, SessionPolicy, decide, walk},
    secret::TokenSecret,
    session::{LateRecoveries, Origin, REGISTER_SLOTS, RevocationReason, Revoked, Session},
    time::UnixMillis,
};
use ratchet_store::sessions::fuzzing::{from_session, to_session};

const NOW: UnixMillis = UnixMillis::new(1_780_000_000_000);
const WINDOW: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(86_400);
const POLICY: SessionPolicy =
    SessionPolicy { idle: LONG, absolute: LONG, retry_window: WINDOW, late_recoveries: 2 };

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    rotations: u8,
    revoked: bool,
    changes: Vec<(u8, Change<'a>)>,
    presented: u32,
    secret: u8,
    now: u64,
}

#[derive(Arbitrary, Debug)]
enum Change<'a> {
    Remove,
    Text(&'a str),
    Number(&'a str),
    Integer(u64),
    Bytes(&'a [u8]),
    Flag(bool),
    Null,
    Map(Vec<(u8, Leaf<'a>)>),
    /// Replaces one member of a map.
    Member(u8, Leaf<'a>),
}

#[derive(Arbitrary, Debug)]
enum Leaf<'a> {
    Text(&'a str),
    Number(&'a str),
    Bytes(&'a [u8]),
}

impl Leaf<'_> {
    fn value(&self) -> AttributeValue {
        match self {
            Self::Text(text) => AttributeValue::S((*text).to_owned()),
            Self::Number(digits) => AttributeValue::N((*digits).to_owned()),
            Self::Bytes(bytes) => AttributeValue::B(Blob::new(*bytes)),
        }
    }
}

const MEMBERS: [&str; 3] = ["hash", "next", "at_ms"];

fn apply(item: &mut HashMap<String, AttributeValue>, place: u8, change: &Change<'_>) {
    let mut names: Vec<_> = item.keys().cloned().collect();
    names.sort_unstable();
    names.push("revoked_at".to_owned());
    let name = names[usize::from(place) % names.len()].clone();
    let member = |of: u8| MEMBERS[usize::from(of) % MEMBERS.len()].to_owned();
    let value = match change {
        Change::Remove => {
            item.remove(&name);
            return;
        }
        Change::Member(of, leaf) => {
            if let Some(AttributeValue::M(map)) = item.get_mut(&name) {
                map.insert(member(*of), leaf.value());
            }
            return;
        }
        Change::Text(text) => AttributeValue::S((*text).to_owned()),
        Change::Number(digits) => AttributeValue::N((*digits).to_owned()),
        Change::Integer(number) => AttributeValue::N(number.to_string()),
        Change::Bytes(bytes) => AttributeValue::B(Blob::new(*bytes)),
        Change::Flag(flag) => AttributeValue::Bool(*flag),
        Change::Null => AttributeValue::Null(true),
        Change::Map(members) => AttributeValue::M(
            members.iter().map(|(of, leaf)| (member(*of), leaf.value())).collect(),
        ),
    };
    item.insert(name, value);
}

fn token(generation: u32, secret: u8) -> RefreshToken {
    RefreshToken {
        user_id: UserId::from_bytes([1; 16]),
        session_id: SessionId::generate(NOW, &[2; 10]),
        generation,
        secret: TokenSecret::new([secret; 32]),
    }
}

fn session(rotations: u8, revoked: bool) -> Session {
    let first = token(0, 0);
    let origin = Origin { network: "192.0.2.0/24".to_owned(), user_agent: "agent".to_owned() };
    let mut session = Session {
        user_id: first.user_id,
        session_id: first.session_id,
        generation: 0,
        token_hash: first.secret.hash(),
        superseded: [None; REGISTER_SLOTS],
        recovered: LateRecoveries::default(),
        jkt: None,
        amr: Amr::PASSWORD,
        stepped_up: None,
        auth_time: NOW,
        cut_seen: UnixMillis::new(0),
        absolute_expires_at: POLICY.absolute_expires_at(first.session_id),
        expires_at: POLICY.expires_at(first.session_id, NOW),
        origin: origin.clone(),
        source_ip: "192.0.2.1".to_owned(),
        device: Some("phone".to_owned()),
        revoked: None,
    };
    for generation in 0..rotations {
        let held = token(generation.into(), generation);
        let next = TokenSecret::new([generation + 1; 32]);
        let rotation = Rotation::prepare(&held, &next, [3; 12], NOW, &POLICY, origin.clone());
        session = session.rotated(&rotation.expect("a rotation"));
    }
    session.revoked = revoked.then_some(Revoked { at: NOW, reason: RevocationReason::LoggedOut });
    session
}

fuzz_target!(|input: Input<'_>| {
    let sound = session(input.rotations % 8, input.revoked);
    let mut item = from_session(&sound);
    for (place, change) in &input.changes {
        apply(&mut item, *place, change);
    }
    let Ok(read) = to_session(&item) else {
        assert!(!input.changes.is_empty(), "a sound item reads");
        return;
    };
    assert_eq!(to_session(&from_session(&read)).expect("it reads again"), read);

    // Whatever the item says, a decision is made, and a walk ends at its live token or nowhere.
    let presented = token(input.presented, input.secret);
    let now = UnixMillis::new(input.now);
    let decision = decide(&Presented::from(&presented), "", Some(&read), now, &POLICY);
    assert!(!format!("{decision:?}").is_empty());
    if let Ok(live) = walk(&presented, &read) {
        assert_eq!(live.hash(), read.token_hash);
    }
});
