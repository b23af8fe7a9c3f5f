//! What a service requires of an authentication.

use std::time::Duration;

use ratchet_core::jws::SignatureAlgorithm;
use ratchet_verify::{Insufficient, Requirement, Verifier};

use crate::issuer::{Issuer, at};

#[tokio::test]
async fn the_age_of_an_authentication_holds_to_the_second_beside_the_difference_of_clocks() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    let verifier = verifier.with_clock_skew(Duration::from_secs(2));
    let claims = verifier.verify_at(&issuer.token(), at(0)).await.unwrap();
    let requirement = Requirement::default().max_age(Duration::from_mins(1));
    let check = |now| verifier.require_at(&claims, &requirement, at(now));
    assert_eq!([check(0), check(62)], [Ok(()), Ok(())]);
    assert_eq!(check(63), Err(Insufficient::TooOld));
}

#[tokio::test]
async fn methods_are_those_of_the_token() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    let claims = verifier.verify_at(&issuer.token(), at(0)).await.unwrap();
    for (methods, checked) in [
        ("pwd", Ok(())),
        ("hwk pwd", Ok(())),
        ("otp hwk", Err(Insufficient::OtherMethods)),
        ("pwd+otp", Err(Insufficient::OtherMethods)),
    ] {
        let requirement = Requirement::default().amr(methods).unwrap();
        assert_eq!(verifier.require(&claims, &requirement), checked, "{methods}");
    }
}
