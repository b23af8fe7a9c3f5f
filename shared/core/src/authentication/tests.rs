use proptest::prelude::*;

use super::*;
use crate::{
    custom_claims::CustomClaims,
    ids::{SessionId, UserId},
};

const NOW: u64 = 1_780_000_000;

fn claims() -> Claims {
    let now = UnixSeconds::new(NOW);
    Claims {
        iss: "https://auth.example.com".to_owned(),
        sub: UserId::from_bytes([1; 16]),
        aud: "ratchet".to_owned(),
        exp: now.plus(FRESH),
        iat: now,
        nbf: None,
        jti: "one".to_owned(),
        client_id: "first-party".to_owned(),
        sid: SessionId::from_bytes([2; 16]),
        auth_time: now,
        amr: Vec::new(),
        step_up: false,
        name: "ada".to_owned(),
        roles: Vec::new(),
        cnf: None,
        custom: CustomClaims::default(),
    }
}

/// The claims of a token whose user was authenticated `age` seconds ago.
fn claims_of(age: u64, amr: &[&str]) -> Claims {
    let amr = amr.iter().map(|name| (*name).to_owned()).collect();
    Claims { auth_time: UnixSeconds::new(NOW - age), amr, ..claims() }
}

fn check(requirement: &Requirement, claims: &Claims) -> Result<(), Insufficient> {
    requirement.check(claims, UnixSeconds::new(NOW))
}

fn requires(methods: &str) -> Requirement {
    Requirement::default().amr(methods).unwrap()
}

#[test]
fn max_age_holds_to_the_second() {
    let requirement = Requirement::default().max_age(Duration::from_mins(5));
    for (age, checked) in [
        (0, Ok(())),
        (300, Ok(())),
        (301, Err(Insufficient::TooOld)),
        (NOW, Err(Insufficient::TooOld)),
    ] {
        assert_eq!(check(&requirement, &claims_of(age, &["pwd"])), checked, "{age} s");
    }
    let ahead = Claims { auth_time: UnixSeconds::new(NOW + 5), ..claims() };
    assert_eq!(check(&requirement, &ahead), Ok(()), "the issuer's clock is ahead");
}

#[test]
fn one_of_the_alternatives_is_needed_with_all_its_methods() {
    for (methods, amr, is_enough) in [
        ("otp", &["pwd", "otp"][..], true),
        ("otp", &["pwd"], false),
        ("otp", &[], false),
        ("otp hwk", &["hwk"], true),
        ("pwd+otp hwk", &["otp"], false),
        ("pwd+otp hwk", &["otp", "pwd"], true),
        ("hwk", &["mfa", "hwk"], true),
        ("pwd", &["mfa"], false),
    ] {
        let checked = check(&requires(methods), &claims_of(0, amr));
        assert_eq!(checked.is_ok(), is_enough, "{methods} of {amr:?}");
        assert!(is_enough || checked == Err(Insufficient::OtherMethods));
    }
    assert_eq!(check(&Requirement::default(), &claims_of(NOW, &[])), Ok(()));
}

#[test]
fn what_names_no_methods_is_no_requirement() {
    for methods in ["", " ", "mfa", "otp mfa", "otp+", "+", "OTP", "otp,hwk", "pwd+mfa"] {
        assert_eq!(Requirement::default().amr(methods), Err(InvalidMethods), "{methods:?}");
    }
}

#[test]
fn the_challenge_names_what_is_required() {
    let both = requires("hwk pwd+otp").max_age(Duration::from_secs(60));
    for (requirement, scheme, challenge) in [
        (
            Requirement::default(),
            Scheme::Bearer,
            r#"Bearer error="insufficient_user_authentication""#,
        ),
        (
            Requirement::default().max_age(Duration::ZERO),
            Scheme::Bearer,
            r#"Bearer error="insufficient_user_authentication", max_age="0""#,
        ),
        (
            both,
            Scheme::Dpop,
            r#"DPoP error="insufficient_user_authentication", max_age="60", amr_values="hwk pwd+otp""#,
        ),
    ] {
        assert_eq!(requirement.challenge(scheme), challenge);
    }
}

#[test]
fn only_a_fresh_step_up_with_a_second_factor_stands_in_for_the_password() {
    let stands_in = |requirement: &Requirement, step_up, age, amr: &[&str]| {
        let claims = Claims { step_up, ..claims_of(age, amr) };
        requirement.check_step_up(&claims, UnixSeconds::new(NOW))
    };
    let (change, beside) = (Requirement::FRESH_SECOND_FACTOR, Requirement::FRESH_BESIDE_CODE);
    for (amr, for_change, for_factor) in [
        (&["pwd"][..], false, false),
        (&["otp"], true, false),
        (&["hwk"], true, true),
        (&["pwd", "otp"], true, true),
        (&["email"], false, false),
        (&[], false, false),
    ] {
        assert_eq!(stands_in(&change, true, 300, amr).is_ok(), for_change, "{amr:?}");
        assert_eq!(stands_in(&beside, true, 300, amr).is_ok(), for_factor, "{amr:?}");
        assert_eq!(stands_in(&change, false, 0, amr), Err(Insufficient::NoStepUp), "{amr:?}");
        assert!(stands_in(&change, true, 301, amr).is_err(), "{amr:?}");
        assert!(stands_in(&beside, true, 301, amr).is_err(), "{amr:?}");
    }
}

proptest! {
    #[test]
    fn a_stricter_requirement_accepts_nothing_more(
        age in 0_u64..1_000, max_age in 0_u64..1_000, bits in 0_u64..16, wanted in 1_u64..16,
    ) {
        let names: Vec<_> = Amr::from_bits(bits).into_iter().flat_map(Amr::names).collect();
        let wanted: Vec<_> = Amr::from_bits(wanted).unwrap().names().collect();
        let claims = claims_of(age, &names);
        let by_age = Requirement::default().max_age(Duration::from_secs(max_age));
        let by_methods = requires(&wanted.join("+"));
        let both = requires(&wanted.join("+")).max_age(Duration::from_secs(max_age));
        let each = check(&by_age, &claims).is_ok() && check(&by_methods, &claims).is_ok();
        prop_assert_eq!(check(&both, &claims).is_ok(), each);
        prop_assert_eq!(check(&by_age, &claims).is_ok(), age <= max_age);
    }
}
