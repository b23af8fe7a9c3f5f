//! Lost answers and unreachable tables.

use authenticator::Passkey;
use serde_json::json;

use super::problem;
use crate::{
    faults::{Faulty, faulty, unavailable},
    support::{World, proxy::Fault, run},
};

#[test]
fn a_lost_answer_never_leads_to_two_sessions_and_the_repetition_says_what_happened() {
    run(async {
        let faulty: Faulty = faulty("passkey-lost").await;
        let world = &faulty.world;
        let sessions = |id| async move { world.sessions().list(id).await.unwrap().sessions.len() };
        let mut keeper = World::shared().await.keeper().await;
        let id = keeper.person.id;
        let before = sessions(id).await;
        // The SDK's own second try finds the first one applied.
        faulty.dynamodb.break_next("TransactWriteItems", 1, Fault::ApplyAndDrop);
        let tokens = world.sign_in_with(&mut keeper.passkey).await.tokens();
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200);
        assert_eq!(sessions(id).await, before + 1);
        // Every answer is lost.
        let body = world.begin_passkey_sign_in().await.sign_in(&mut keeper.passkey);
        let api = world.api();
        let request = api.post("/passkeys/authenticate", body.clone());
        unavailable(&faulty, "TransactWriteItems", Fault::ApplyAndDrop, request).await;
        assert_eq!(sessions(id).await, before + 2);
        let again = world.api().post("/passkeys/authenticate", body).await;
        assert_eq!(again.problem(), problem(401, "challenge_spent"));
        assert_eq!(sessions(id).await, before + 2, "no second session");
    });
}

#[test]
fn a_fault_spends_nothing() {
    run(async {
        let faulty = faulty("passkey-faults").await;
        let world = &faulty.world;
        let mut keeper = World::shared().await.keeper().await;
        for (operation, fault) in [
            ("TransactWriteItems", Fault::INTERNAL),
            ("TransactWriteItems", Fault::DENIED),
            ("TransactWriteItems", Fault::Swallow),
            ("GetItem", Fault::THROTTLED),
        ] {
            let body = world.begin_passkey_sign_in().await.sign_in(&mut keeper.passkey);
            let api = world.api();
            let request = api.post("/passkeys/authenticate", body.clone());
            unavailable(&faulty, operation, fault, request).await;
            let answer = world.api().post("/passkeys/authenticate", body).await;
            assert_eq!(answer.status, 200, "{operation} {fault:?}: {answer:?}");
        }
    });
}

#[test]
fn adding_one_whose_answers_were_lost_adds_it_once() {
    run(async {
        let faulty = faulty("passkey-add-lost").await;
        let world = &faulty.world;
        let (person, tokens) = world.signed_in().await;
        let ceremony = world.begin_passkey(&person, &tokens.access).await;
        let body = ceremony.addition(&Passkey::create(&ceremony.options), "Phone");
        faulty.dynamodb.break_all("TransactWriteItems", Fault::ApplyAndDrop);
        let answer = world.add_passkey(&tokens.access, &body).await;
        faulty.dynamodb.heal();
        // The store finds out, unless the time is over.
        assert!([201, 503].contains(&answer.status), "{answer:?}");
        let again = world.add_passkey(&tokens.access, &body).await;
        assert_eq!(again.status, 201, "{again:?}");
        let listed = world.api().get("/users/me/passkeys", &tokens.access).await.json();
        assert_eq!(listed["passkeys"], json!([again.json()]));
    });
}
