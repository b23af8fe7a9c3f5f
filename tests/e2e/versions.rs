//! Items of earlier and later releases.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::support::{Answer, World, run};

#[test]
fn a_session_of_before_there_were_versions_goes_on_and_gets_one() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let mut item = world.item(&tokens.refresh).await;
        assert_eq!(item.remove("version"), Some(AttributeValue::N("1".to_owned())));
        world.put_item(item).await;
        let next = world.api().refresh(&tokens.refresh).await.tokens();
        let item = world.item(&next.refresh).await;
        assert_eq!(item["version"], AttributeValue::N("1".to_owned()));
    });
}

#[test]
fn a_session_of_a_later_release_is_left_as_it_is_and_nobody_is_logged_out() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        world.set_number(&tokens.refresh, "version", 2).await;
        let before = world.item(&tokens.refresh).await;
        let answer = world.api().refresh(&tokens.refresh).await;
        assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
        assert_eq!(world.item(&tokens.refresh).await, before);
        // The later release is back.
        world.set_number(&tokens.refresh, "version", 1).await;
        world.api().refresh(&tokens.refresh).await.tokens();
    });
}

#[test]
fn a_session_that_cannot_be_read_stands_in_nobodys_way_and_ends_with_the_others() {
    run(async {
        let world = World::shared().await;
        let (person, unreadable) = world.signed_in().await;
        world.set_number(&unreadable.refresh, "version", 2).await;
        let tokens = world.sign_in(&person).await;
        let sessions = "/users/me/sessions";
        let listed = world.api().get(sessions, &tokens.access).await.json();
        assert_eq!(listed["sessions"].as_array().unwrap().len(), 1, "{listed}");
        let refusal = world.api().get(sessions, &unreadable.access).await;
        assert_eq!(refusal.problem(), (503, "unavailable".to_owned()), "a fault, no refusal");
        let ended = Answer::of(world.api().request("DELETE", sessions).bearer_auth(&tokens.access));
        assert_eq!(ended.await.status, 204);
        assert!(world.item(&unreadable.refresh).await.contains_key("revoked_at"));
    });
}

#[test]
fn a_user_of_a_later_release_is_a_fault_and_not_a_refusal() {
    run(async {
        let world = World::shared().await;
        let (person, _) = world.signed_in().await;
        world.set_user(person.id, "version", AttributeValue::N("2".to_owned())).await;
        assert_eq!(world.try_sign_in(&person).await.problem(), (503, "unavailable".to_owned()));
        world.set_user(person.id, "version", AttributeValue::N("1".to_owned())).await;
        world.sign_in(&person).await;
    });
}
