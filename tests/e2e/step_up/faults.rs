//! Lost answers and unreachable tables.

use serde_json::json;

use super::{authentication, problem};
use crate::{
    faults::{faulty, unavailable},
    support::{World, proxy::Fault, run},
};

#[test]
fn after_a_lost_answer_the_code_is_used_and_a_refresh_has_what_it_proved() {
    run(async {
        let faulty = faulty("step-up-lost").await;
        let world = &faulty.world;
        let enrolled = World::shared().await.enrolled().await;
        let (id, tokens) = (enrolled.person.id, &enrolled.tokens);
        // The SDK's own second try finds the first one applied.
        faulty.dynamodb.break_next("TransactWriteItems", 1, Fault::ApplyAndDrop);
        world.stepped_up(&tokens.access, json!({"code": enrolled.app.code()})).await;
        // Every answer is lost.
        world.forget_steps(id).await;
        let body = json!({"code": enrolled.app.code()});
        let request = world.step_up(&tokens.access, body.clone());
        unavailable(&faulty, "TransactWriteItems", Fault::ApplyAndDrop, request).await;
        let again = world.step_up(&tokens.access, body).await;
        assert_eq!(again.problem(), problem(403, "invalid_code"));
        let noted = world.session(&tokens.refresh).await.unwrap().stepped_up.unwrap();
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        let expected = (noted.at.seconds().get(), json!(["otp"]), false);
        assert_eq!(authentication(&next.access), expected);
    });
}

#[test]
fn a_fault_uses_no_code_up_and_notes_nothing() {
    run(async {
        let faulty = faulty("step-up-faults").await;
        let world = &faulty.world;
        let enrolled = World::shared().await.enrolled().await;
        let tokens = &enrolled.tokens;
        for (operation, fault) in [
            ("TransactWriteItems", Fault::INTERNAL),
            ("TransactWriteItems", Fault::Swallow),
            ("GetItem", Fault::THROTTLED),
            ("UpdateItem", Fault::THROTTLED),
        ] {
            let body = json!({"code": enrolled.app.code()});
            let request = world.step_up(&tokens.access, body);
            unavailable(&faulty, operation, fault, request).await;
            let noted = world.session(&tokens.refresh).await.unwrap().stepped_up;
            assert_eq!(noted, None, "{operation} {fault:?}");
        }
        world.stepped_up(&tokens.access, json!({"code": enrolled.app.code()})).await;
    });
}

#[test]
fn a_fault_while_a_password_steps_up_is_no_refusal() {
    run(async {
        let faulty = faulty("step-up-password-faults").await;
        let world = &faulty.world;
        let (person, tokens) = World::shared().await.signed_in().await;
        let body = json!({"password": person.password});
        for (operation, fault) in [("UpdateItem", Fault::INTERNAL), ("GetItem", Fault::DENIED)] {
            let request = world.step_up(&tokens.access, body.clone());
            unavailable(&faulty, operation, fault, request).await;
        }
        world.stepped_up(&tokens.access, body).await;
    });
}
