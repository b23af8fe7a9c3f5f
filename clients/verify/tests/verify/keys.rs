//! The issuer's keys.

use ratchet_core::{access_token::AccessTokenError, jws::SignatureAlgorithm};
use ratchet_verify::{Verifier, VerifyError};

use crate::issuer::{Issuer, JWKS, at};

#[tokio::test]
async fn keys_are_fetched_once_and_verify_tokens_of_every_published_algorithm() {
    for algorithm in
        [SignatureAlgorithm::Es256, SignatureAlgorithm::EdDsa, SignatureAlgorithm::Rs256]
    {
        let issuer = Issuer::start(algorithm).await;
        let verifier = Verifier::new(&issuer.url, "things").unwrap();
        for _ in 0..20 {
            let claims = verifier.verify_at(&issuer.token(), at(0)).await.unwrap();
            assert_eq!(claims.roles, ["reader"]);
            assert_eq!(claims.custom.get("tenant"), Some(&"acme".into()));
        }
        assert_eq!(issuer.given(JWKS), [200]);
        let other = Verifier::new(&issuer.url, "other").unwrap();
        let refusal = other.verify_at(&issuer.token(), at(0)).await;
        assert!(matches!(refusal, Err(VerifyError::Invalid(AccessTokenError::Foreign))));
    }
}

#[tokio::test]
async fn unknown_keys_make_one_request_a_second() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let foreign = Issuer::start(SignatureAlgorithm::EdDsa).await;
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    let (own, unknown) = (issuer.token(), foreign.token());
    verifier.verify_at(&own, at(0)).await.unwrap();
    for (now, given) in [(0, vec![200]), (1, vec![200, 304]), (2, vec![200, 304, 304])] {
        for _ in 0..20 {
            let refusal = verifier.verify_at(&unknown, at(now)).await;
            assert!(matches!(refusal, Err(VerifyError::Invalid(AccessTokenError::UnknownKey))));
        }
        assert_eq!(issuer.given(JWKS), given, "{now}");
    }
    verifier.verify_at(&own, at(2)).await.unwrap();
}

#[tokio::test]
async fn a_token_of_a_key_that_is_new_is_accepted_although_keys_were_fetched_a_moment_ago() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    verifier.verify_at(&issuer.token(), at(0)).await.unwrap();
    issuer.change_key(SignatureAlgorithm::EdDsa);
    verifier.verify_at(&issuer.token(), at(1)).await.unwrap();
    assert_eq!(issuer.given(JWKS), [200, 200]);
    assert_eq!(issuer.past_caches(), 1, "a cache on the way may have the former keys");
}

#[tokio::test]
async fn a_token_of_an_unknown_key_is_not_refused_while_the_keys_cannot_be_fetched() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    let before = issuer.token();
    verifier.verify_at(&before, at(0)).await.unwrap();
    issuer.change_key(SignatureAlgorithm::EdDsa);
    let token = issuer.token();
    issuer.show_raw(JWKS, "");
    for now in [10, 11, 39] {
        let no_verdict = verifier.verify_at(&token, at(now)).await;
        assert!(matches!(no_verdict, Err(VerifyError::Unavailable(_))), "{now}: {no_verdict:?}");
        verifier.verify_at(&before, at(now)).await.unwrap();
    }
    assert_eq!(issuer.given(JWKS), [200, 0], "one try in a cool-down");
    issuer.show_keys(0);
    verifier.verify_at(&token, at(40)).await.unwrap();
}

#[tokio::test]
async fn keys_from_a_cache_are_as_old_as_it_says() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let session = ratchet_core::ids::SessionId::from_bytes([2; 16]);
    issuer.show_keys(590);
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    for (now, given) in [(0, vec![200]), (9, vec![200]), (10, vec![200, 304])] {
        verifier.verify_at(&issuer.token_of(session, now), at(now)).await.unwrap();
        assert_eq!(issuer.given(JWKS), given, "{now}");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_a_few_seconds() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let session = ratchet_core::ids::SessionId::from_bytes([2; 16]);
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    verifier.verify_at(&issuer.token_of(session, 5), at(0)).await.unwrap();
    let ahead = verifier.verify_at(&issuer.token_of(session, 6), at(0)).await;
    assert!(matches!(ahead, Err(VerifyError::Invalid(_))), "{ahead:?}");
    verifier.verify_at(&issuer.token(), at(304)).await.unwrap();
    let over = verifier.verify_at(&issuer.token(), at(305)).await;
    assert!(matches!(over, Err(VerifyError::Expired)), "{over:?}");
    let exact = Verifier::new(&issuer.url, "things").unwrap();
    let exact = exact.with_clock_skew(std::time::Duration::ZERO);
    let over = exact.verify_at(&issuer.token(), at(300)).await;
    assert!(matches!(over, Err(VerifyError::Expired)), "{over:?}");
}

#[tokio::test]
async fn verdicts_at_the_same_time_all_see_the_keys_that_one_of_them_has_fetched() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    verifier.verify_at(&issuer.token(), at(0)).await.unwrap();
    issuer.change_key(SignatureAlgorithm::EdDsa);
    let token = issuer.token();
    let verify = || verifier.verify_at(&token, at(30));
    let (one, two, three) = tokio::join!(verify(), verify(), verify());
    for verdict in [one, two, three] {
        verdict.unwrap();
    }
    assert_eq!(issuer.given(JWKS), [200, 200]);
}

#[tokio::test]
async fn verdicts_go_on_with_the_keys_in_use_while_one_of_them_fetches_newer_ones() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    verifier.verify_at(&issuer.token(), at(0)).await.unwrap();
    let token = issuer.token_of(ratchet_core::ids::SessionId::from_bytes([2; 16]), 600);
    let (fetching, going_on) = (verifier.verify_at(&token, at(600)), async {
        let verdict = verifier.verify_at(&token, at(600)).await;
        assert_eq!(issuer.given(JWKS), [200], "the issuer has not been asked yet");
        verdict
    });
    // In this order the first one asks, and has to wait for its answer.
    let (fetched, gone_on) = tokio::join!(biased; fetching, going_on);
    fetched.unwrap();
    gone_on.unwrap();
    assert_eq!(issuer.given(JWKS), [200, 304]);
}

#[tokio::test]
async fn after_a_long_rest_verdicts_wait_for_the_keys_that_one_of_them_fetches() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    verifier.verify_at(&issuer.token(), at(0)).await.unwrap();
    let session = ratchet_core::ids::SessionId::from_bytes([2; 16]);
    let revoked = issuer.token_of(session, 20_000);
    issuer.change_key(SignatureAlgorithm::EdDsa);
    let verify = || verifier.verify_at(&revoked, at(20_000));
    let (one, other) = tokio::join!(verify(), verify());
    for verdict in [one, other] {
        let unknown = matches!(verdict, Err(VerifyError::Invalid(AccessTokenError::UnknownKey)));
        assert!(unknown, "{verdict:?}");
    }
    assert_eq!(issuer.given(JWKS), [200, 200]);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_keep_keys_from_those_that_wait() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    let token = issuer.token();
    tokio::select! {
        biased;
        verdict = verifier.verify_at(&token, at(0)) => panic!("it has to wait for keys: {verdict:?}"),
        () = std::future::ready(()) => {}
    }
    verifier.verify_at(&token, at(0)).await.unwrap();
    assert_eq!(issuer.given(JWKS), [200]);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_reached_is_no_refusal() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    for answer in [
        "",
        "HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\
         connection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]",
    ] {
        issuer.show_raw(JWKS, answer);
        let verifier = Verifier::new(&issuer.url, "things").unwrap();
        let no_verdict = verifier.verify_at(&issuer.token(), at(0)).await;
        assert!(matches!(no_verdict, Err(VerifyError::Unavailable(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn keys_that_are_still_the_same_are_not_sent_again() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    let token = issuer.token();
    for (now, given) in
        [(0, vec![200]), (599, vec![200]), (600, vec![200, 304]), (700, vec![200, 304])]
    {
        let verdict = verifier.verify_at(&token, at(now)).await;
        assert_eq!(verdict.is_ok(), now < 300, "{now}: {verdict:?}");
        assert_eq!(issuer.given(JWKS), given, "{now}");
    }
    issuer.change_key(SignatureAlgorithm::EdDsa);
    let next = issuer.token_of(ratchet_core::ids::SessionId::from_bytes([2; 16]), 730);
    assert!(verifier.verify_at(&next, at(730)).await.is_ok());
    assert_eq!(issuer.given(JWKS), [200, 304, 200]);
}

#[tokio::test]
async fn keys_in_use_stay_for_a_day_while_no_newer_ones_can_be_had() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    let session = ratchet_core::ids::SessionId::from_bytes([2; 16]);
    verifier.verify_at(&issuer.token(), at(0)).await.unwrap();
    issuer.show_raw(JWKS, "");
    for now in [599, 600, 700, 600 + 86_399] {
        let verdict = verifier.verify_at(&issuer.token_of(session, now), at(now)).await;
        assert!(verdict.is_ok(), "{now}: {verdict:?}");
    }
    let late = 600 + 86_400;
    let no_verdict = verifier.verify_at(&issuer.token_of(session, late), at(late)).await;
    assert!(matches!(no_verdict, Err(VerifyError::Unavailable(_))), "{no_verdict:?}");
    // Neither is a token of a key that could not be fetched refused: its key may be the newest.
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    issuer.change_key(SignatureAlgorithm::Es256);
    verifier.verify_at(&issuer.token(), at(0)).await.unwrap();
    issuer.change_key(SignatureAlgorithm::EdDsa);
    issuer.show_raw(JWKS, "");
    let no_verdict = verifier.verify_at(&issuer.token_of(session, 700), at(700)).await;
    assert!(matches!(no_verdict, Err(VerifyError::Unavailable(_))), "{no_verdict:?}");
}
