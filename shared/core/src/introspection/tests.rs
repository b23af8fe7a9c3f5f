use std::time::Duration;

use super::*;
use crate::{
    amr::Amr,
    custom_claims::CustomClaims,
    dpop::Thumbprint,
    rotation::Rotation,
    secret::TokenSecret,
    session::{LateRecoveries, Origin, REGISTER_SLOTS, RevocationReason, Revoked},
    user::{SessionsCut, UserStatus},
};

const NOW: UnixMillis = UnixMillis::new(1_780_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn access_policy() -> AccessTokenPolicy {
    AccessTokenPolicy {
        issuer: "https://auth.example.com".to_owned(),
        former_issuers: Vec::new(),
        audience: "ratchet".to_owned(),
        former_audiences: Vec::new(),
        client_id: "first-party".to_owned(),
        life: Duration::from_secs(300),
        clock_skew: Duration::ZERO,
        leeway: Duration::ZERO,
    }
}

fn session_policy() -> SessionPolicy {
    SessionPolicy {
        idle: Duration::from_hours(24),
        absolute: Duration::from_hours(240),
        retry_window: MINUTE,
        late_recoveries: 2,
    }
}

fn origin() -> Origin {
    Origin { network: "192.0.2.0/24".to_owned(), user_agent: "phone/1".to_owned() }
}

fn session() -> Session {
    let session_id = SessionId::generate(NOW, &[2; 10]);
    Session {
        user_id: UserId::from_bytes([1; 16]),
        session_id,
        generation: 0,
        token_hash: secret(0).hash(),
        superseded: [None; REGISTER_SLOTS],
        recovered: LateRecoveries::default(),
        jkt: None,
        amr: Amr::PASSWORD,
        stepped_up: None,
        auth_time: NOW,
        cut_seen: UnixMillis::new(5),
        absolute_expires_at: session_policy().absolute_expires_at(session_id),
        expires_at: session_policy().expires_at(session_id, NOW),
        origin: origin(),
        source_ip: String::new(),
        device: None,
        revoked: None,
    }
}

fn user() -> User {
    User {
        id: UserId::from_bytes([1; 16]),
        name: "Ada".to_owned(),
        status: UserStatus::Active,
        email_confirmed: true,
        second_factor: false,
        has_passkeys: false,
        roles: vec!["reader".to_owned(), "editor".to_owned()],
        claims: CustomClaims::within(r#"{"plan": "pro"}"#).unwrap(),
        cut: Some(SessionsCut { valid_after: UnixMillis::new(5), spared: None }),
    }
}

fn claims() -> Claims {
    let iat = NOW.seconds();
    Claims {
        amr: vec!["pwd".to_owned()],
        step_up: false,
        iss: "https://auth.example.com".to_owned(),
        sub: user().id,
        aud: "ratchet".to_owned(),
        exp: iat.plus(access_policy().life),
        iat,
        nbf: None,
        jti: "one".to_owned(),
        client_id: "first-party".to_owned(),
        sid: session().session_id,
        auth_time: iat,
        name: "Ada".to_owned(),
        roles: vec!["reader".to_owned(), "admin".to_owned()],
        cnf: None,
        custom: CustomClaims::within(r#"{"plan": "free", "trial": true}"#).unwrap(),
    }
}

fn secret(generation: u8) -> TokenSecret {
    TokenSecret::new([generation; 32])
}

fn token(generation: u8) -> RefreshToken {
    let Session { user_id, session_id, .. } = session();
    RefreshToken { user_id, session_id, generation: generation.into(), secret: secret(generation) }
}

/// The session after rotations at these times, from the first generation on.
fn rotated(at: &[UnixMillis]) -> Session {
    let mut session = session();
    for (generation, at) in (0_u8..).zip(at) {
        let (from, to) = (token(generation), secret(generation + 1));
        let policy = session_policy();
        let rotation = Rotation::prepare(&from, &to, [0; 12], *at, &policy, origin()).unwrap();
        session = session.rotated(&rotation);
    }
    session
}

fn after(time: Duration) -> UnixMillis {
    NOW.plus(time)
}

fn access(session: Option<&Session>, user: Option<&User>, now: UnixMillis) -> Introspection {
    of_access_token(claims(), session, user, &access_policy(), now)
}

fn refresh(
    generation: u8,
    session: Option<&Session>,
    user: Option<&User>,
    now: UnixMillis,
) -> Introspection {
    of_refresh_token(&token(generation), session, user, &session_policy(), now)
}

/// Both tokens of a session, one after the other.
fn both(session: Option<&Session>, user: Option<&User>, now: UnixMillis) -> [bool; 2] {
    [access(session, user, now), refresh(0, session, user, now)]
        .map(|said| said != Introspection::Inactive)
}

#[test]
fn both_tokens_of_a_live_session_are_active() {
    assert_eq!(both(Some(&session()), Some(&user()), NOW), [true; 2]);
}

#[test]
fn nothing_is_active_without_its_session_or_its_user() {
    for (session, user) in [(None, Some(&user())), (Some(&session()), None), (None, None)] {
        assert_eq!(both(session, user, NOW), [false; 2]);
    }
}

#[test]
fn whatever_ends_a_session_ends_both_tokens() {
    let reasons = [
        RevocationReason::ReuseDetected,
        RevocationReason::LoggedOut,
        RevocationReason::EndedByUser,
        RevocationReason::EndedEverywhere,
        RevocationReason::UserDisabled,
        RevocationReason::PasswordChanged,
        RevocationReason::EndedByAdministrator,
    ];
    for reason in reasons {
        let revoked = Some(Revoked { at: NOW, reason });
        let ended = Session { revoked, ..session() };
        assert_eq!(both(Some(&ended), Some(&user()), NOW), [false; 2], "{reason:?}");
    }
    let disabled = User { status: UserStatus::Disabled, ..user() };
    let cut = Some(SessionsCut { valid_after: UnixMillis::new(6), spared: None });
    let cut = User { cut, ..user() };
    for user in [disabled, cut] {
        assert_eq!(both(Some(&session()), Some(&user), NOW), [false; 2], "{user:?}");
    }
}

#[test]
fn a_session_that_a_cut_spares_stays_active() {
    let spared = Some(session().session_id);
    let cut = Some(SessionsCut { valid_after: UnixMillis::new(6), spared });
    assert_eq!(both(Some(&session()), Some(&User { cut, ..user() }), NOW), [true; 2]);
}

#[test]
fn the_ends_of_a_session_hold_to_the_second() {
    let idle = session_policy().idle;
    let before = |end| after(end).minus(Duration::from_secs(1));
    assert_eq!(both(Some(&session()), Some(&user()), before(idle)), [true; 2]);
    assert_eq!(both(Some(&session()), Some(&user()), after(idle)), [false; 2]);
    let end = NOW.seconds().plus(MINUTE);
    let absolute = Session { absolute_expires_at: end, ..session() };
    assert_eq!(both(Some(&absolute), Some(&user()), before(MINUTE)), [true; 2]);
    assert_eq!(both(Some(&absolute), Some(&user()), after(MINUTE)), [false; 2]);
}

#[test]
fn a_refresh_token_of_a_session_that_the_configuration_has_shortened_is_not_active() {
    let shorter = SessionPolicy { absolute: MINUTE, ..session_policy() };
    let at = |now| of_refresh_token(&token(0), Some(&session()), Some(&user()), &shorter, now);
    assert_ne!(at(after(Duration::from_secs(59))), Introspection::Inactive);
    assert_eq!(at(after(MINUTE)), Introspection::Inactive);
}

#[test]
fn an_access_token_keeps_its_claims_but_for_what_has_been_lost_since() {
    let renamed = User { name: "Ada L.".to_owned(), ..user() };
    let Introspection::AccessToken(said) = access(Some(&session()), Some(&renamed), NOW) else {
        panic!("it is active");
    };
    let roles = vec!["reader".to_owned()];
    let custom = user().claims;
    assert_eq!(*said, Claims { name: "Ada L.".to_owned(), roles, custom, ..claims() });
}

#[test]
fn exp_is_never_later_than_the_token_is_accepted() {
    let exp = |claims: Claims, session: &Session, policy: &AccessTokenPolicy| match of_access_token(
        claims,
        Some(session),
        Some(&user()),
        policy,
        NOW,
    ) {
        Introspection::AccessToken(said) => said.exp,
        other => panic!("{other:?}"),
    };
    let now = NOW.seconds();
    let shorter = AccessTokenPolicy { life: MINUTE, ..access_policy() };
    assert_eq!(exp(claims(), &session(), &access_policy()), claims().exp);
    assert_eq!(exp(claims(), &session(), &shorter), now.plus(MINUTE));
    let ending = Session { absolute_expires_at: now.plus(MINUTE), ..session() };
    assert_eq!(exp(claims(), &ending, &access_policy()), now.plus(MINUTE));
}

#[test]
fn of_refresh_tokens_the_live_one_and_those_within_the_retry_window_are_active() {
    let user = user();
    let chain = rotated(&[NOW, after(Duration::from_secs(30))]);
    let active = |generation, now| {
        refresh(generation, Some(&chain), Some(&user), now) != Introspection::Inactive
    };
    let at = |seconds| after(Duration::from_secs(seconds));
    assert_eq!([0, 1, 2].map(|generation| active(generation, at(59))), [true, true, true]);
    assert_eq!([0, 1, 2].map(|generation| active(generation, at(60))), [false, true, true]);
    // Late: it could be recovered, but it is not the live token and not within the window.
    assert_eq!([0, 1, 2].map(|generation| active(generation, at(90))), [false, false, true]);
    assert!(!active(3, at(59)), "ahead: the table was restored from a backup");
}

#[test]
fn a_token_that_was_recovered_late_is_active_for_a_retry_window_only() {
    let chain = rotated(&[NOW]).recovered_late(after(MINUTE * 5));
    let active = |now| refresh(0, Some(&chain), Some(&user()), now) != Introspection::Inactive;
    assert!(active(after(MINUTE * 5)));
    assert!(!active(after(MINUTE * 6)));
}

#[test]
fn the_live_token_is_active_while_the_register_is_full() {
    let chain = rotated(&[NOW; 4]);
    assert_ne!(refresh(4, Some(&chain), Some(&user()), NOW), Introspection::Inactive);
}

#[test]
fn another_secret_of_a_generation_is_not_active() {
    let chain = rotated(&[NOW]);
    for generation in [0, 1] {
        let other = RefreshToken { secret: secret(9), ..token(generation) };
        let policy = session_policy();
        let said = of_refresh_token(&other, Some(&chain), Some(&user()), &policy, NOW);
        assert_eq!(said, Introspection::Inactive, "{generation}");
    }
}

#[test]
fn a_refresh_token_ends_with_its_session() {
    let facts = RefreshTokenFacts {
        user_id: user().id,
        session_id: session().session_id,
        username: "Ada".to_owned(),
        auth_time: NOW.seconds(),
        expires_at: NOW.seconds().plus(session_policy().idle),
        cnf: None,
    };
    let said = refresh(0, Some(&session()), Some(&user()), NOW);
    assert_eq!(said, Introspection::RefreshToken(facts));
}

#[test]
fn of_a_session_that_is_bound_to_a_key_the_same_tokens_are_active() {
    let jkt = Thumbprint::from_bytes([8; 32]);
    let bound = Session { jkt: Some(jkt), ..rotated(&[NOW, after(Duration::from_secs(30))]) };
    let active = |generation, seconds| {
        let now = after(Duration::from_secs(seconds));
        refresh(generation, Some(&bound), Some(&user()), now) != Introspection::Inactive
    };
    for (seconds, expected) in
        [(59, [true, true, true]), (60, [false, true, true]), (90, [false, false, true])]
    {
        assert_eq!([0, 1, 2].map(|generation| active(generation, seconds)), expected, "{seconds}");
    }
    let Introspection::RefreshToken(facts) = refresh(2, Some(&bound), Some(&user()), NOW) else {
        panic!("it is active");
    };
    assert_eq!(facts.cnf, Some(Confirmation { jkt }));
}

#[test]
fn a_bound_access_token_keeps_its_key() {
    let cnf = Some(Confirmation { jkt: Thumbprint::from_bytes([8; 32]) });
    let claims = Claims { cnf: cnf.clone(), ..claims() };
    let said = of_access_token(claims, Some(&session()), Some(&user()), &access_policy(), NOW);
    let Introspection::AccessToken(said) = said else { panic!("it is active") };
    assert_eq!(said.cnf, cnf);
}
