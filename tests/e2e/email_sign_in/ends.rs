//! What ends messages that wait.

use serde_json::{Value, json};

use super::{address, by_code, by_link, confirm, message, problem};
use crate::support::{Tokens, World, logs::CANARY, mail::token, people::Person, run};

async fn ends(change: impl AsyncFn(&World, &Person, &Tokens)) {
    let world = World::shared().await;
    let (person, tokens) = world.signed_in().await;
    let before = message(world, &person).await;
    change(world, &person, &tokens).await;
    for body in [by_link(&before), by_code(&before)] {
        let refused = confirm(world, &body).await;
        assert_eq!(refused.problem(), problem(400, "invalid_proof"));
    }
    let after = message(world, &person).await;
    assert_eq!(confirm(world, &by_link(&after)).await.status, 200);
    let again = confirm(world, &by_link(&before)).await;
    assert_eq!(again.problem(), problem(400, "invalid_proof"));
}

#[test]
fn log_out_everywhere_ends_them() {
    run(ends(async |world, _, tokens| {
        let ended = world.api().delete("/users/me/sessions", &tokens.access).await;
        assert_eq!(ended.status, 204);
    }));
}

#[test]
fn a_changed_password_ends_them() {
    run(ends(async |world, person, tokens| {
        let new = format!("{CANARY} words of another");
        let body = json!({"current": person.password, "new": new});
        let changed = world.ask("POST", "/users/me/password", &tokens.access, body).await;
        assert_eq!(changed.status, 204);
        world.mail(&address(person), 2).await;
    }));
}

#[test]
fn disabling_the_user_ends_them_also_once_the_user_is_enabled_again() {
    run(ends(async |world, person, _| {
        for change in ["disable", "enable"] {
            world.ratchet(&["users", change, person.name.as_str()]).await.done();
        }
    }));
}

#[test]
fn another_address_ends_them() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let before = message(world, &person).await;
        let moved = format!("moved-{}", address(&person));
        let body: Value = json!({"email": moved, "password": person.password});
        assert_eq!(world.ask("PATCH", "/users/me", &tokens.access, body).await.status, 202);
        let body = json!({"token": token(&world.mail(&moved, 1).await)});
        assert_eq!(world.api().post("/users/confirm-email", body).await.status, 204);
        for body in [by_link(&before), by_code(&before)] {
            let refused = confirm(world, &body).await;
            assert_eq!(refused.problem(), problem(400, "invalid_proof"));
        }
    });
}

#[test]
fn log_out_everywhere_ends_the_session_too() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        let message = message(world, &person).await;
        let session = confirm(world, &by_link(&message)).await.tokens();
        let ended = world.api().delete("/users/me/sessions", &tokens.access).await;
        assert_eq!(ended.status, 204);
        assert_eq!(world.api().refresh(&session.refresh).await.code(), "revoked");
    });
}
