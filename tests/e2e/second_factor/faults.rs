//! Lost answers and unreachable tables.

use serde_json::json;

use super::{is_signed_in, problem};
use crate::{
    faults::{Faulty, faulty, unavailable},
    support::{World, factor::recovery_codes, proxy::Fault, run},
};

#[test]
fn a_lost_answer_never_leads_to_two_sessions_and_the_repetition_says_what_happened() {
    run(async {
        let faulty: Faulty = faulty("factor-lost").await;
        let world = &faulty.world;
        let sessions = |id| async move { world.sessions().list(id).await.unwrap().sessions.len() };
        // The SDK's own second try finds the first one applied.
        let enrolled = World::shared().await.enrolled().await;
        let id = enrolled.person.id;
        let challenge = world.challenge(&enrolled.person).await;
        let before = sessions(id).await;
        faulty.dynamodb.break_next("TransactWriteItems", 1, Fault::ApplyAndDrop);
        let code = enrolled.app.code();
        let tokens = world.complete(&challenge, &code).await.tokens();
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200);
        assert_eq!(sessions(id).await, before + 1);
        // Every answer is lost.
        world.forget_steps(id).await;
        let challenge = world.challenge(&enrolled.person).await;
        let code = enrolled.app.code();
        let request = world.complete(&challenge, &code);
        unavailable(&faulty, "TransactWriteItems", Fault::ApplyAndDrop, request).await;
        assert_eq!(sessions(id).await, before + 2);
        let again = world.complete(&challenge, &code).await;
        assert_eq!(again.problem(), problem(401, "challenge_spent"));
        assert_eq!(sessions(id).await, before + 2, "no second session");
    });
}

#[test]
fn a_fault_spends_nothing() {
    run(async {
        let faulty = faulty("factor-faults").await;
        let world = &faulty.world;
        let enrolled = World::shared().await.enrolled().await;
        let id = enrolled.person.id;
        for (operation, fault) in [
            ("TransactWriteItems", Fault::INTERNAL),
            ("TransactWriteItems", Fault::DENIED),
            ("TransactWriteItems", Fault::Swallow),
            ("GetItem", Fault::THROTTLED),
            ("UpdateItem", Fault::THROTTLED),
        ] {
            world.forget_steps(id).await;
            let challenge = world.challenge(&enrolled.person).await;
            let code = enrolled.app.code();
            let request = world.complete(&challenge, &code);
            unavailable(&faulty, operation, fault, request).await;
            let answer = world.complete(&challenge, &enrolled.app.code()).await;
            assert!(is_signed_in(&answer), "{operation} {fault:?}: {answer:?}");
        }
    });
}

#[test]
fn switching_it_on_whose_answers_were_lost_is_on_and_says_so() {
    run(async {
        let faulty = faulty("factor-on-lost").await;
        let world = &faulty.world;
        let (person, tokens) = world.signed_in().await;
        let app = world.begin_totp(&person, &tokens.access).await;
        faulty.dynamodb.break_all("TransactWriteItems", Fault::ApplyAndDrop);
        let body = json!({"code": app.code()});
        let path = "/users/me/totp/confirm";
        let answer = world.ask("POST", path, &tokens.access, body.clone()).await;
        faulty.dynamodb.heal();
        // The store finds out, unless the time is over.
        if answer.status == 200 {
            recovery_codes(&answer);
        } else {
            assert_eq!(answer.problem(), problem(503, "unavailable"));
        }
        let again = world.ask("POST", path, &tokens.access, body).await;
        assert_eq!(again.problem(), problem(409, "second_factor_already_enabled"));
        let asked = world.try_sign_in(&person).await;
        assert_eq!(asked.problem(), problem(401, "second_factor_required"));
    });
}
