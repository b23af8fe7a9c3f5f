//! Tokens of the running service against other implementations, which know the issuer's URL and
//! nothing else; and adversarial tokens, which they and we have to agree about.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure ends the test"
)]

mod adversarial;
mod guides;
mod issuer;
mod local_stack;
mod services;
mod verifiers;

use ratchet_core::jws::SignatureAlgorithm;
use serde_json::json;
use tokio::sync::Mutex;

use crate::{
    issuer::{Fixture, Issuer},
    verifiers::Verifiers,
};

/// One at a time: they install into the same folders.
static TURN: Mutex<()> = Mutex::const_new(());

const PUBLISHED: [SignatureAlgorithm; 3] =
    [SignatureAlgorithm::Es256, SignatureAlgorithm::EdDsa, SignatureAlgorithm::Rs256];

#[tokio::test(flavor = "multi_thread")]
async fn others_accept_our_tokens_and_we_accept_nothing_that_they_refuse() {
    let _turn = TURN.lock().await;
    let fixture = Fixture::start().await;
    let verifiers = Verifiers::install(&fixture).await;
    for algorithm in PUBLISHED {
        let issuer = Issuer::start(&fixture, algorithm).await;
        let token = issuer.sign_in().await;

        // Accepted by everybody: with the issuer's URL and the audience, and with nothing else.
        for (name, verdicts) in verifiers.verdicts(&issuer, &[token.as_str()]).await {
            let expected = format!("ok {}", issuer.user_id());
            assert_eq!(verdicts, [expected], "{name} of a token with {}", algorithm.name());
        }

        let attacks = adversarial::tokens(&issuer, &token);
        let tokens: Vec<_> = attacks.iter().map(|(_, token)| token.as_str()).collect();
        let all = verifiers.verdicts(&issuer, &tokens).await;
        let mut stricter = 0;
        for (position, (attack, token)) in attacks.iter().enumerate() {
            let accepted = |verdicts: &Vec<String>| verdicts[position].starts_with("ok ");
            let service = issuer.service_accepts(token).await;
            let ours = accepted(&all["Rust"]);
            assert_eq!(service, ours, "the crate and the service differ about {attack}");
            for (name, verdicts) in &all {
                let theirs = accepted(verdicts);
                assert!(theirs || !ours, "{attack} is accepted here and refused by {name}");
                stricter += usize::from(theirs && !ours);
            }
            assert!(!ours, "{attack} is accepted");
        }
        eprintln!(
            "{}: {} adversarial tokens, {} verifiers; {stricter} times another one accepts what we refuse",
            algorithm.name(),
            attacks.len(),
            all.len(),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_service_lets_in_who_has_a_token() {
    let _turn = TURN.lock().await;
    let fixture = Fixture::start().await;
    let issuer = Issuer::start(&fixture, SignatureAlgorithm::Es256).await;
    let service = verifiers::ExampleService::start(&fixture, &issuer).await;
    let token = issuer.sign_in().await;
    let (status, body) = service.whoami(Some(&token)).await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(&issuer.user_id()));
    assert_eq!(service.whoami(None).await.0, 401);
    assert_eq!(service.whoami(Some("x")).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verifier_accepts_tokens_of_the_local_stack_as_it_starts() {
    let _turn = TURN.lock().await;
    let fixture = Fixture::start().await;
    let verifiers = Verifiers::install(&fixture).await;
    let stack = local_stack::LocalStack::start(&[]).await;
    let token = stack.sign_in("ada", "correct horse battery staple").await;
    let expired = stack.expired(&token).await;
    let (_, claims) = adversarial::parts(&token);
    let accepted = format!("ok {}", claims["sub"].as_str().unwrap());
    let tokens = [token.as_str(), expired.as_str()];
    for (name, verdicts) in verifiers.verdicts_about(&stack.api, None, &tokens).await {
        assert_eq!(verdicts[0], accepted, "{name}");
        assert!(verdicts[1].starts_with("refused"), "{name} of an expired token: {}", verdicts[1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openid_client_refreshes_and_revokes_knowing_the_issuer_only() {
    let _turn = TURN.lock().await;
    let fixture = Fixture::start().await;
    let issuer = Issuer::start(&fixture, SignatureAlgorithm::Es256).await;
    let (_, refresh_token) = issuer.tokens().await;
    if let Some(error) = verifiers::openid_client(&fixture, &issuer, &refresh_token).await {
        assert_eq!(error, "invalid_grant");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn libraries_bind_sessions_to_their_keys() {
    let _turn = TURN.lock().await;
    let fixture = Fixture::start().await;
    let issuer = Issuer::start(&fixture, SignatureAlgorithm::Es256).await;
    issuer.tokens().await;
    let Some(said) = verifiers::dpop(&fixture, &issuer).await else { return };
    assert_eq!(said["algorithms"], json!(["ES256", "EdDSA", "RS256"]));
    for algorithm in ["ES256", "RS256"] {
        let bound = json!({
            "first": [400, "use_dpop_nonce"], "types": ["DPoP", "dpop"],
            "opened": 200, "stolen": 401, "bound": true,
        });
        assert_eq!(said[algorithm], bound, "{algorithm}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oauth_library_introspects_knowing_the_issuer_and_a_credential_only() {
    let _turn = TURN.lock().await;
    let fixture = Fixture::start().await;
    let issuer = Issuer::start(&fixture, SignatureAlgorithm::Es256).await;
    let (id, secret) = issuer.client(&fixture).await;
    let (access, refresh) = issuer.tokens().await;
    let tokens = (access.as_str(), refresh.as_str());
    let said = verifiers::oauth4webapi(&fixture, &issuer, (&id, &secret), tokens).await;
    let Some(said) = said else { return };
    let inactive = json!({"active": false});
    for way in ["client_secret_basic", "client_secret_post"] {
        let [of_access, of_refresh] = [&said[way][0], &said[way][1]];
        for one in [of_access, of_refresh] {
            assert_eq!((&one["active"], &one["username"]), (&json!(true), &json!("ada")), "{way}");
            assert_eq!((&one["iss"], &one["sub"]), (&json!(issuer.url), &json!(issuer.user_id())));
        }
        let types = [&of_access["token_type"], &of_refresh["token_type"]];
        assert_eq!(types, [&json!("Bearer"), &json!("N_A")], "{way}");
    }
    assert_eq!(said["refused"], json!([401, 401]));
    assert_eq!(said["ended"], json!([inactive, inactive]));
}
