//! `functions/accounts`.

use std::time::Duration;

use ratchet_core::password::PasswordRule;
use ratchet_http::Problem;
use serde_json::{Value, json};

use super::operation::Operation;

const USER: &str = "01a20c41-e62f-73f0-9ec9-c6907cba724d";

fn accepted() -> Value {
    json!({"message": "If there is anything to send, a message is on its way to the address."})
}

/// What asking for the password again can be refused for.
fn wrong_password() -> [Problem; 3] {
    let retry_after = Duration::from_secs(8);
    [Problem::WrongPassword, Problem::TooManyAttempts { retry_after }, Problem::AccountLocked]
}

/// What a network that asks too often is refused.
const fn too_many() -> Problem {
    Problem::TooManyAttempts { retry_after: Duration::from_secs(8) }
}

fn refused() -> Problem {
    Problem::PasswordRefused(vec![PasswordRule::TooShort { min_chars: 15 }])
}

fn account() -> Value {
    json!({
        "id": USER, "name": "ada", "email": "ada@example.com", "email_confirmed": true,
        "status": "active", "roles": ["reader"],
    })
}

pub(crate) fn operations() -> Vec<Operation> {
    let mut operations = open();
    operations.extend(own());
    operations.extend(administration());
    operations
}

/// Without an access token.
fn open() -> Vec<Operation> {
    const JSON: &str = "application/json";
    let register = json!({
        "name": "ada", "email": "ada@example.com", "password": "correct horse battery staple",
    });
    let address = json!({"email": "ada@example.com"});
    let token = json!({"token": "rm1_…"});
    let code = json!({"email": "ada@example.com", "code": "012345"});
    let with_password = |evidence: &Value| {
        let mut body = evidence.clone();
        if let Some(body) = body.as_object_mut() {
            body.insert("password".to_owned(), json!("another horse battery staple"));
        }
        body
    };
    vec![
        Operation::new("post", "/users", "register", "Registers a user")
            .description(
                "The answer is the same whether or not name and address are taken; the message \
                 that follows says it. Where self sign-up is disabled, administrators only.",
            )
            .takes(JSON, "RegisterRequest", &[("a user", register)])
            .answers(202, "A message follows", "Accepted", &accepted())
            .refuses(&[
                refused(),
                too_many(),
                Problem::MissingAccessToken,
                Problem::InvalidAccessToken,
                Problem::ExpiredAccessToken,
                Problem::StaleAccessToken,
                Problem::SessionEnded,
                Problem::Forbidden,
            ]),
        Operation::new("post", "/users/confirm-email", "confirmEmail", "Confirms an address")
            .takes(
                JSON,
                "ConfirmEmailRequest",
                &[("from the link", token.clone()), ("a typed code", code.clone())],
            )
            .done(204, "It is confirmed")
            .refuses(&[Problem::InvalidProof, too_many()]),
        Operation::new(
            "post",
            "/users/confirm-email/resend",
            "resendConfirmation",
            "Sends the message to confirm an address again",
        )
        .takes(JSON, "AddressRequest", &[("an address", address.clone())])
        .answers(202, "A message follows, if there is anything to confirm", "Accepted", &accepted())
        .refuses(&[too_many()]),
        Operation::new("post", "/users/password-reset", "askReset", "Asks for a new password")
            .takes(JSON, "AddressRequest", &[("an address", address)])
            .answers(202, "A message follows, if it is a user's address", "Accepted", &accepted())
            .refuses(&[too_many()]),
        Operation::new(
            "post",
            "/users/password-reset/confirm",
            "resetPassword",
            "Sets a new password and ends all sessions",
        )
        .takes(
            JSON,
            "ResetPasswordRequest",
            &[("from the link", with_password(&token)), ("a typed code", with_password(&code))],
        )
        .done(204, "It is set")
        .refuses(&[Problem::InvalidProof, too_many(), refused()]),
    ]
}

/// The caller's own account.
fn own() -> Vec<Operation> {
    const JSON: &str = "application/json";
    let change = json!({"email": "ada@example.org", "password": "correct horse battery staple"});
    let passwords = json!({
        "current": "correct horse battery staple", "new": "another horse battery staple",
        "keep_this_session": true,
    });
    let password = json!({"password": "correct horse battery staple"});
    vec![
        Operation::new("get", "/users/me", "showAccount", "The caller's own account")
            .bearer()
            .answers(200, "The account", "Account", &account())
            .refuses(&[Problem::SessionEnded]),
        Operation::new("patch", "/users/me", "changeEmail", "Asks for another address")
            .description("It takes effect when it is confirmed. The present address is told.")
            .bearer()
            .takes(JSON, "ChangeEmailRequest", &[("another address", change)])
            .answers(202, "A message follows", "Accepted", &accepted())
            .refuses(&[Problem::SessionEnded])
            .refuses(&wrong_password()),
        Operation::new("delete", "/users/me", "deleteAccount", "Deletes the caller's account")
            .bearer()
            .takes(JSON, "DeleteAccountRequest", &[("the password", password)])
            .done(204, "It is deleted, all sessions are over, name and address are free")
            .refuses(&[Problem::SessionEnded])
            .refuses(&wrong_password()),
        Operation::new("post", "/users/me/password", "changePassword", "Changes the password")
            .description("Ends all other sessions, and this one too unless it is to be kept.")
            .bearer()
            .takes(JSON, "ChangePasswordRequest", &[("two passwords", passwords)])
            .done(204, "It is changed")
            .refuses(&[Problem::SessionEnded, refused()])
            .refuses(&wrong_password()),
    ]
}

/// For administrators.
fn administration() -> Vec<Operation> {
    const JSON: &str = "application/json";
    let admin = |method, path, id, summary| {
        Operation::new(method, path, id, summary)
            .description("For the role `admin`, in the access token and at this moment.")
            .bearer()
            .in_path("id", "`id` of a user", USER)
            .refuses(&[Problem::SessionEnded, Problem::Forbidden, Problem::NotFound])
    };
    vec![
        admin("get", "/users/{id}", "showUser", "One user's account").answers(
            200,
            "The account",
            "Account",
            &account(),
        ),
        admin("patch", "/users/{id}", "administerUser", "Disables or enables a user, sets roles")
            .takes(
                JSON,
                "AdministerRequest",
                &[
                    ("disable", json!({"status": "disabled"})),
                    ("set roles", json!({"roles": ["reader", "admin"]})),
                ],
            )
            .answers(200, "The account as it is after that", "Account", &account()),
        admin("delete", "/users/{id}", "deleteUser", "Deletes a user").done(204, "It is deleted"),
        admin("delete", "/users/{id}/sessions", "endUserSessions", "Ends a user's sessions")
            .done(204, "They are over"),
    ]
}
