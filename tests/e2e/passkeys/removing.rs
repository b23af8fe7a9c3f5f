//! Removing passkeys, and what removes them.

use serde_json::json;

use super::problem;
use crate::support::{World, mail::token, passkey::Keeper, run};

#[test]
fn a_removed_passkey_signs_nobody_in_and_all_other_sessions_end() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let other = world.sign_in_with(&mut keeper.passkey).await.tokens();
        let before = world.begin_passkey_sign_in().await;
        assert_eq!(world.remove_passkey(&keeper).await.status, 204);
        assert_eq!(world.api().refresh(&other.refresh).await.code(), "revoked");
        assert_eq!(world.api().refresh(&keeper.tokens.refresh).await.status, 200);
        let body = before.sign_in(&mut keeper.passkey);
        let refused = world.api().post("/passkeys/authenticate", body).await;
        assert_eq!(refused.problem(), problem(401, "invalid_passkey"));
        assert_eq!(world.remove_passkey(&keeper).await.status, 204, "it is done");
        let email = format!("{}@example.com", keeper.person.name.to_lowercase());
        let mail = world.mail(&email, 2).await;
        assert!(mail.subject.contains("was removed"), "{}", mail.subject);
    });
}

#[test]
fn removing_one_needs_the_password_and_leaves_the_passkeys_of_others() {
    run(async {
        let world = World::shared().await;
        let keeper = world.keeper().await;
        let mut other = world.keeper().await;
        let path = format!("/users/me/passkeys/{}", keeper.id);
        let wrong = json!({"password": "wrong horse battery staple"});
        let refused = world.ask("DELETE", &path, &keeper.tokens.access, wrong).await;
        assert_eq!(refused.problem(), problem(403, "wrong_password"));
        let foreign = Keeper { id: other.id.clone(), ..keeper };
        assert_eq!(world.remove_passkey(&foreign).await.status, 204);
        assert_eq!(world.sign_in_with(&mut other.passkey).await.status, 200);
    });
}

#[test]
fn an_operator_removes_all_and_the_user_gets_a_letter() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let name = keeper.person.name.clone();
        let remove = ["users", "remove-passkeys", name.as_str()];
        assert!(world.ratchet(&remove).await.done().contains("no passkey any more"));
        assert!(world.ratchet(&remove).await.done().contains("has no passkey"));
        assert_eq!(world.api().refresh(&keeper.tokens.refresh).await.code(), "revoked");
        let refused = world.sign_in_with(&mut keeper.passkey).await;
        assert_eq!(refused.problem(), problem(401, "invalid_passkey"));
        assert!(world.users_item(&format!("passkeys#{}", keeper.person.id)).await.is_none());
        let email = format!("{}@example.com", name.to_lowercase());
        let mail = world.mail(&email, 2).await;
        assert!(mail.subject.contains("were removed"), "{}", mail.subject);
    });
}

#[test]
fn a_deleted_account_has_none() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let body = json!({"password": keeper.person.password});
        let gone = world.ask("DELETE", "/users/me", &keeper.tokens.access, body).await;
        assert_eq!(gone.status, 204, "{gone:?}");
        assert!(world.users_item(&format!("passkeys#{}", keeper.person.id)).await.is_none());
        let refused = world.sign_in_with(&mut keeper.passkey).await;
        assert_eq!(refused.problem(), problem(401, "invalid_passkey"));
    });
}

#[test]
fn a_new_password_and_a_reset_keep_them_if_the_mailbox_was_proved_before() {
    run(async {
        let world = World::shared().await;
        let mut keeper = world.keeper().await;
        let new = format!("{} and more", keeper.person.password);
        let body =
            json!({"current": keeper.person.password, "new": new, "keep_this_session": true});
        let path = "/users/me/password";
        let changed = world.ask("POST", path, &keeper.tokens.access, body).await;
        assert_eq!(changed.status, 204, "{changed:?}");
        assert_eq!(world.sign_in_with(&mut keeper.passkey).await.status, 200);
        let email = format!("{}@example.com", keeper.person.name.to_lowercase());
        world.api().post("/users/password-reset", json!({"email": email})).await;
        let link = token(&world.mail(&email, 3).await);
        let body = json!({"token": link, "password": "the owner's own sentence"});
        let reset = world.api().post("/users/password-reset/confirm", body).await;
        assert_eq!(reset.status, 204, "{reset:?}");
        assert_eq!(world.sign_in_with(&mut keeper.passkey).await.status, 200);
    });
}

#[test]
fn the_reset_that_first_proves_the_mailbox_removes_those_of_a_stranger() {
    run(async {
        let setting = [("RATCHET_REQUIRE_CONFIRMED_EMAIL", "false")];
        let world = World::beside("passkeys-stranger", &setting).await;
        let stranger = world.person_with(|new| new.user.email_confirmed = false).await;
        let tokens = world.sign_in(&stranger).await;
        let mut keeper = world.keeper_of(stranger, tokens).await;
        let (id, email) =
            (keeper.person.id, format!("{}@example.com", keeper.person.name.to_lowercase()));
        world.api().post("/users/password-reset", json!({"email": email})).await;
        let link = token(&world.mail(&email, 2).await);
        let body = json!({"token": link, "password": "the owner's own sentence"});
        let reset = world.api().post("/users/password-reset/confirm", body).await;
        assert_eq!(reset.status, 204, "{reset:?}");
        let refused = world.sign_in_with(&mut keeper.passkey).await;
        assert_eq!(refused.problem(), problem(401, "invalid_passkey"));
        assert!(world.users_item(&format!("passkeys#{id}")).await.is_none());
    });
}
