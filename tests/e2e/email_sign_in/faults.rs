//! Lost answers and unreachable tables.

use super::{by_code, by_link, confirm, message, problem};
use crate::{
    faults::{Faulty, faulty, unavailable},
    support::{World, factor::challenge, proxy::Fault, run},
};

#[test]
fn a_lost_answer_never_leads_to_two_sessions_and_the_repetition_says_what_happened() {
    run(async {
        let faulty: Faulty = faulty("email-lost").await;
        let (world, shared) = (&faulty.world, World::shared().await);
        let person = shared.person().await;
        let sessions = async || world.sessions().list(person.id).await.unwrap().sessions.len();
        // The SDK's own second try finds the first one applied.
        let mail = message(shared, &person).await;
        faulty.dynamodb.break_next("TransactWriteItems", 1, Fault::ApplyAndDrop);
        let tokens = confirm(world, &by_link(&mail)).await.tokens();
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200);
        assert_eq!(sessions().await, 1);
        // Every answer is lost. The store finds out, unless the time is over.
        let mail = message(shared, &person).await;
        faulty.dynamodb.break_all("TransactWriteItems", Fault::ApplyAndDrop);
        let answer = confirm(world, &by_code(&mail)).await;
        faulty.dynamodb.heal();
        if answer.status == 200 {
            assert_eq!(world.api().refresh(&answer.tokens().refresh).await.status, 200);
        } else {
            assert_eq!(answer.problem(), problem(503, "unavailable"));
        }
        assert_eq!(sessions().await, 2);
        let again = confirm(world, &by_code(&mail)).await;
        assert_eq!(again.problem(), problem(401, "challenge_spent"));
        assert_eq!(sessions().await, 2, "no second session");
    });
}

#[test]
fn a_lost_challenge_is_spent() {
    run(async {
        let faulty = faulty("email-lost-challenge").await;
        let (world, shared) = (&faulty.world, World::shared().await);
        let enrolled = shared.enrolled().await;
        let mail = message(shared, &enrolled.person).await;
        faulty.dynamodb.break_all("TransactWriteItems", Fault::ApplyAndDrop);
        let answer = confirm(world, &by_link(&mail)).await;
        faulty.dynamodb.heal();
        if answer.status == 401 {
            let challenge = challenge(&answer);
            assert_eq!(world.complete(&challenge, &enrolled.app.code()).await.status, 200);
        } else {
            assert_eq!(answer.problem(), problem(503, "unavailable"));
        }
        let again = confirm(world, &by_link(&mail)).await;
        assert_eq!(again.problem(), problem(401, "challenge_spent"));
    });
}

#[test]
fn a_fault_uses_nothing_up() {
    run(async {
        let faulty = faulty("email-faults").await;
        let (world, shared) = (&faulty.world, World::shared().await);
        let person = shared.person().await;
        for (operation, fault) in [
            ("TransactWriteItems", Fault::INTERNAL),
            ("TransactWriteItems", Fault::DENIED),
            ("TransactWriteItems", Fault::Swallow),
            ("GetItem", Fault::THROTTLED),
            ("UpdateItem", Fault::THROTTLED),
        ] {
            let mail = message(shared, &person).await;
            let body = by_code(&mail);
            unavailable(&faulty, operation, fault, confirm(world, &body)).await;
            let answer = confirm(world, &body).await;
            assert_eq!(answer.status, 200, "{operation} {fault:?}: {answer:?}");
        }
    });
}
