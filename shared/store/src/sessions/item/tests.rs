use ratchet_core::session::REGISTER_SLOTS;

use super::*;

/// The dearest live session that is bound to a key. No token of it is recovered late.
fn fullest_bound() -> Session {
    let unbound = fullest();
    Session {
        recovered: LateRecoveries::default(),
        jkt: Some(Thumbprint::from_bytes([0xff; 32])),
        amr: Amr::PASSWORD.and(Amr::CODE),
        superseded: unbound.superseded.map(|slot| {
            slot.map(|slot| Superseded { sealed_successor: SealedSecret::NOTHING, ..slot })
        }),
        ..unbound
    }
}

/// The dearest other live session: every slot taken, every text as long as it may be.
pub(in crate::sessions) fn fullest() -> Session {
    let slot = Superseded {
        hash: SecretHash::from_bytes([0xff; 32]),
        sealed_successor: SealedSecret::from_bytes([0xff; 60]),
        superseded_at: UnixMillis::new(9_999_999_999_999),
    };
    Session {
        user_id: UserId::from_bytes([0xff; 16]),
        session_id: SessionId::from_bytes([0xff; 16]),
        generation: u32::MAX,
        token_hash: SecretHash::from_bytes([0xff; 32]),
        superseded: [Some(slot); REGISTER_SLOTS],
        recovered: LateRecoveries::from_kept([u32::MAX; LateRecoveries::KEPT]),
        jkt: None,
        amr: Amr::PASSWORD.and(Amr::CODE),
        stepped_up: Some(Authentication {
            at: UnixMillis::new(9_999_999_999_999),
            amr: Amr::PASSWORD.and(Amr::CODE),
        }),
        auth_time: UnixMillis::new(9_999_999_999_999),
        cut_seen: UnixMillis::new(9_999_999_999_999),
        absolute_expires_at: UnixSeconds::new(9_999_999_999),
        expires_at: UnixSeconds::new(9_999_999_999),
        origin: Origin {
            network: "ffff:ffff:ffff::/48".to_owned(),
            user_agent: "u".repeat(Origin::USER_AGENT_BYTES),
        },
        source_ip: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".to_owned(),
        device: Some("d".repeat(Session::DEVICE_BYTES)),
        revoked: None,
    }
}

/// The size by DynamoDB's rules: names and values in bytes; a number has one byte for two digits
/// and one more; a map has three bytes and one for each of its members.
fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Bool(_) => 1,
        AttributeValue::M(map) => {
            3 + map.iter().map(|(name, v)| name.len() + size(v) + 1).sum::<usize>()
        }
        other => panic!("no session has {other:?}"),
    }
}

#[test]
fn the_dearest_session_is_below_one_kibibyte_live_and_ended() {
    let revoked = Some(Revoked {
        at: UnixMillis::new(9_999_999_999_999),
        reason: RevocationReason::EndedByAdministrator,
    });
    // Ending it removes the notes of recoveries.
    let recovered = LateRecoveries::default();
    let ended = |live: &Session| {
        let mut item = from_session(&Session { revoked, recovered, ..live.clone() });
        item.insert("published".to_owned(), string("ended"));
        item
    };
    let (unbound, bound) = (fullest(), fullest_bound());
    for item in [from_session(&unbound), from_session(&bound), ended(&unbound), ended(&bound)] {
        let bytes: usize = item.iter().map(|(name, value)| name.len() + size(value)).sum();
        assert!(bytes < 1024, "{bytes} bytes");
    }
}

#[test]
fn sessions_of_before_are_read_and_those_of_later_releases_refused() {
    let mut item = from_session(&fullest());
    item.remove(VERSION_NAME);
    assert_eq!(to_session(&item).unwrap(), fullest());
    item.insert(VERSION_NAME.to_owned(), number(BOUND_VERSION + 1));
    let error = to_session(&item).unwrap_err();
    assert!(matches!(error, StoreError::NewerItem { found: 3 }), "{error}");
    item.insert(VERSION_NAME.to_owned(), string("1"));
    assert!(matches!(to_session(&item), Err(StoreError::MalformedItem(VERSION_NAME))));
}

#[test]
fn only_a_bound_session_has_the_version_that_releases_without_keys_refuse() {
    for (session, version) in [(fullest(), VERSION), (fullest_bound(), BOUND_VERSION)] {
        let item = from_session(&session);
        assert_eq!(item[VERSION_NAME], number(version));
        assert_eq!(Reader(&item).readable().is_ok(), version == VERSION);
    }
}

#[test]
fn a_session_reads_back_as_it_was_written() {
    let fullest = fullest();
    let fresh = Session {
        superseded: [None; REGISTER_SLOTS],
        recovered: LateRecoveries::default(),
        revoked: None,
        device: None,
        ..fullest.clone()
    };
    for session in [fullest, fresh, fullest_bound()] {
        assert_eq!(to_session(&from_session(&session)).unwrap(), session);
    }
}

#[test]
fn an_item_with_any_attribute_missing_or_of_another_type_is_malformed() {
    let item = from_session(&fullest());
    for name in item.keys().filter(|name| {
        let optional = ["device", "revoked_at", JKT, RECOVERED, AMR, STEP_UP, VERSION_NAME];
        !optional.contains(&name.as_str())
    }) {
        let mut missing = item.clone();
        missing.remove(name);
        assert!(to_session(&missing).is_err(), "without {name}");
        let mut other = item.clone();
        other.insert(name.clone(), AttributeValue::Bool(true));
        assert!(to_session(&other).is_err(), "{name} as a boolean");
    }
}

#[test]
fn a_step_up_of_no_method_is_malformed() {
    for damaged in [AttributeValue::Bool(true), number(0_u64), number(256_u64), number(272_u64)] {
        let mut item = from_session(&fullest());
        item.insert(STEP_UP.to_owned(), damaged.clone());
        let read = to_session(&item);
        assert!(matches!(read, Err(StoreError::MalformedItem(STEP_UP))), "{damaged:?}");
    }
    let mut item = from_session(&fullest());
    item.remove(STEP_UP);
    assert_eq!(to_session(&item).unwrap().stepped_up, None, "a session of an earlier release");
}

#[test]
fn a_key_that_is_no_thumbprint_is_malformed() {
    for damaged in [AttributeValue::Bool(true), binary(&[]), binary(&[1; 31]), string("1")] {
        let mut item = from_session(&fullest_bound());
        item.insert(JKT.to_owned(), damaged.clone());
        assert!(matches!(to_session(&item), Err(StoreError::MalformedItem(JKT))), "{damaged:?}");
    }
}

#[test]
fn methods_that_are_none_are_malformed() {
    for damaged in [AttributeValue::Bool(true), number(0_u64), number(16_u64), number(257_u64)] {
        let mut item = from_session(&fullest());
        item.insert(AMR.to_owned(), damaged.clone());
        let read = to_session(&item);
        assert!(matches!(read, Err(StoreError::MalformedItem(AMR))), "{damaged:?}");
    }
}

#[test]
fn recoveries_that_are_no_generations_are_malformed() {
    for damaged in [AttributeValue::Bool(true), binary(&[]), binary(&[0, 0, 0, 1, 0])] {
        let mut item = from_session(&fullest());
        item.insert(RECOVERED.to_owned(), damaged.clone());
        assert!(
            matches!(to_session(&item), Err(StoreError::MalformedItem(RECOVERED))),
            "{damaged:?}"
        );
    }
}
