//! Sessions that ended before their tokens did.

use std::sync::Arc;

use ratchet_core::{ids::SessionId, jws::SignatureAlgorithm};
use ratchet_verify::{FetchError, Outage, Verifier, VerifyError};
use tokio::task::JoinSet;

use crate::issuer::{Issuer, REVOCATIONS, at};

const NONE: &str = "HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

fn session(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

fn verifier(issuer: &Issuer, outage: Outage) -> Verifier {
    Verifier::new(&issuer.url, "things").unwrap().with_revocations(outage).unwrap()
}

fn ok() -> String {
    "http 200 ok".to_owned()
}

async fn verdict(verifier: &Verifier, token: &str, now: u64) -> String {
    match verifier.verify_at(token, at(now)).await {
        Ok(_) => ok(),
        Err(error) => format!("{error:?}"),
    }
}

#[tokio::test]
async fn a_token_of_an_ended_session_is_refused_at_the_next_poll_and_others_are_not() {
    for algorithm in
        [SignatureAlgorithm::Es256, SignatureAlgorithm::EdDsa, SignatureAlgorithm::Rs256]
    {
        let issuer = Issuer::start(algorithm).await;
        let verifier = verifier(&issuer, Outage::Unavailable);
        issuer.show_ends(100, &[]);
        let (one, other) = (issuer.token_of(session(1), 0), issuer.token_of(session(2), 0));
        assert_eq!(verdict(&verifier, &one, 100).await, ok());
        issuer.show_ends(101, &[(session(1), 101)]);
        assert_eq!(verdict(&verifier, &one, 114).await, ok(), "not before the next fetch");
        assert_eq!(verdict(&verifier, &one, 115).await, "Ended");
        assert_eq!(verdict(&verifier, &other, 115).await, ok());
        assert_eq!(issuer.given(REVOCATIONS), [200, 200]);
    }
}

#[tokio::test]
async fn after_a_rest_verdicts_wait_for_the_list_that_one_of_them_fetches() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = verifier(&issuer, Outage::Unavailable);
    issuer.show_ends(100, &[]);
    let token = issuer.token_of(session(1), 0);
    assert_eq!(verdict(&verifier, &token, 100).await, ok());
    issuer.show_ends(200, &[(session(1), 101)]);
    let verdicts = tokio::join!(verdict(&verifier, &token, 200), verdict(&verifier, &token, 200));
    assert_eq!(verdicts, ("Ended".to_owned(), "Ended".to_owned()));
    assert_eq!(issuer.given(REVOCATIONS), [200, 200]);
}

#[tokio::test]
async fn the_issuer_is_asked_once_in_fifteen_seconds_and_sends_nothing_twice() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = Arc::new(verifier(&issuer, Outage::Unavailable));
    let token = issuer.token();
    issuer.show_ends(70, &[]);
    for now in 70..120 {
        let mut eight = JoinSet::new();
        for _ in 0..8 {
            let (verifier, token) = (Arc::clone(&verifier), token.clone());
            eight.spawn(async move { verdict(&verifier, &token, now).await });
        }
        assert_eq!(eight.join_all().await, vec![ok(); 8], "{now}");
    }
    assert_eq!(issuer.given(REVOCATIONS), [200, 304, 304, 304]);
}

#[tokio::test]
async fn without_the_issuer_what_is_known_stays_for_a_tokens_life_and_then_the_owner_decides() {
    for (outage, after) in [(Outage::Unavailable, "Unavailable"), (Outage::Accept, "http 200 ok")] {
        let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
        let verifier = verifier(&issuer, outage);
        issuer.show_ends(100, &[(session(1), 90)]);
        let ended = issuer.token_of(session(1), 80);
        assert_eq!(verdict(&verifier, &ended, 100).await, "Ended");
        issuer.show_raw(REVOCATIONS, NONE);
        assert_eq!(verdict(&verifier, &ended, 300).await, "Ended", "still");
        // 15 s that the list was good for, and the 305 s for which a token is accepted.
        let fresh = issuer.token_of(session(2), 410);
        assert_eq!(verdict(&verifier, &fresh, 419).await, ok());
        let verdict_then = verdict(&verifier, &fresh, 420).await;
        assert!(verdict_then.starts_with(after), "{verdict_then}");
        // Over and done with at the next poll.
        issuer.show_ends(435, &[(session(2), 435)]);
        assert_eq!(verdict(&verifier, &fresh, 435).await, "Ended");
    }
}

#[tokio::test]
async fn an_issuer_without_a_list_is_no_refusal() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let strict = verifier(&issuer, Outage::Unavailable);
    let no_verdict = strict.verify_at(&issuer.token(), at(0)).await;
    assert!(matches!(no_verdict, Err(VerifyError::Unavailable(FetchError::Status(404)))));
    let lenient = verifier(&issuer, Outage::Accept);
    assert_eq!(verdict(&lenient, &issuer.token(), 0).await, ok());
    let without = Verifier::new(&issuer.url, "things").unwrap();
    assert_eq!(verdict(&without, &issuer.token(), 0).await, ok());
    assert_eq!(issuer.given(REVOCATIONS), [404, 404], "who does not want it does not ask");
}

#[tokio::test]
async fn forged_old_and_misplaced_lists_are_not_gone_by() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let foreign = Issuer::start(SignatureAlgorithm::Es256).await;
    let (_, genuine) = issuer.list(300, &[]);
    let (input, _) = genuine.rsplit_once('.').unwrap();
    let (_, foreign) = foreign.list(300, &[]);
    let (_, old) = issuer.list(120, &[]);
    let token = issuer.token_of(session(1), 290);
    for body in
        [format!("{input}."), foreign, old, token.clone(), String::new(), "x".repeat(70_000)]
    {
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        issuer.show_raw(REVOCATIONS, &answer);
        let verifier = verifier(&issuer, Outage::Unavailable);
        let no_verdict = verifier.verify_at(&token, at(300)).await;
        assert!(matches!(no_verdict, Err(VerifyError::Unavailable(_))), "{body}: {no_verdict:?}");
        issuer.show_ends(301, &[(session(1), 295)]);
        assert_eq!(verdict(&verifier, &token, 301).await, "Ended", "{body}");
    }
}

#[tokio::test]
async fn an_earlier_list_that_comes_again_brings_nobody_back() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = verifier(&issuer, Outage::Unavailable);
    let token = issuer.token_of(session(1), 60);
    issuer.show_ends(70, &[]);
    assert_eq!(verdict(&verifier, &token, 70).await, ok());
    issuer.show_ends(86, &[(session(1), 86)]);
    assert_eq!(verdict(&verifier, &token, 86).await, "Ended");
    issuer.show_ends(70, &[]);
    for now in [102, 150, 238, 300] {
        assert_eq!(verdict(&verifier, &token, now).await, "Ended", "{now}");
    }
    assert!(issuer.given(REVOCATIONS).len() >= 4, "it was asked and told the earlier list");
    // Once that list is out of date, 'the same' is no answer any more.
    let fresh = issuer.token_of(session(2), 590);
    let then = verdict(&verifier, &fresh, 600).await;
    assert!(then.starts_with("Unavailable(List(Expired"), "{then}");
}

#[tokio::test]
async fn a_token_that_is_older_than_a_full_list_reaches_back_counts_as_expired() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let crowd: Vec<_> = (0..2_000_u16)
        .map(|number| {
            let mut id = [9; 16];
            id[..2].copy_from_slice(&number.to_be_bytes());
            (SessionId::from_bytes(id), u64::from(number) / 10)
        })
        .collect();
    issuer.show_ends(250, &crowd);
    let verifier = verifier(&issuer, Outage::Unavailable);
    let (before, after) = (issuer.token_of(session(1), 50), issuer.token_of(session(1), 150));
    assert_eq!(verdict(&verifier, &before, 250).await, "Expired");
    assert_eq!(verdict(&verifier, &after, 250).await, ok());
    let ended = issuer.token_of(crowd[1_999].0, 150);
    assert_eq!(verdict(&verifier, &ended, 250).await, "Ended");
}

#[tokio::test]
async fn a_list_that_a_newer_key_has_signed_is_read() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = verifier(&issuer, Outage::Unavailable);
    issuer.show_ends(70, &[]);
    assert_eq!(verdict(&verifier, &issuer.token_of(session(1), 60), 70).await, ok());
    issuer.change_key(SignatureAlgorithm::EdDsa);
    issuer.show_ends(102, &[(session(1), 101)]);
    let token = issuer.token_of(session(1), 90);
    assert_eq!(verdict(&verifier, &token, 102).await, "Ended");
}
