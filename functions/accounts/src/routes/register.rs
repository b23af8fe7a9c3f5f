//! `POST /users`.

use std::{fmt, sync::Arc};

use axum::{Extension, extract::State, response::Response};
use ratchet::{
    email::EmailAddress,
    entropy::random,
    ids::UserId,
    letter::{Letter, Notice},
    password::{PasswordHasher, policy::About},
    user::{NameKey, User, UserStatus},
};
use ratchet_http::{
    App, Problem,
    body::{Describe, Json},
    clock,
    events::{AccountChange, SecurityEvent, record},
    signed_in::Administrator,
};
use ratchet_store::{NewUser, Registration};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::accepted;
use crate::hashing::hash;

/// Signs that no new name may have.
///
/// # Security
/// A name is in the message that goes to an address which nobody has confirmed yet. Without these
/// it is no link, and it can not be taken for somebody's address.
const FOREIGN_SIGNS: [char; 6] = ['/', ':', '@', '<', '>', '\\'];

/// What the client sends. Nothing else may be assigned from outside.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "RegisterRequest")
)]
pub(crate) struct Request {
    #[serde(alias = "Name")]
    name: String,
    #[serde(alias = "Email")]
    email: String,
    #[serde(alias = "Password")]
    #[cfg_attr(feature = "contract", schemars(with = "String"))]
    password: Zeroizing<String>,
}

impl Describe for Request {
    const EXPECTED: &'static str = r#"{"name": "…", "email": "…", "password": "…"} and nothing else: a name of 1 to 64 letters, digits and signs without spaces and / : @ < > \, and an address such as ada@example.com"#;
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Registers a user. The answer is the same whether or not name and address are taken; the message
/// that follows says it to whoever reads the mail of the address.
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    Extension(hasher): Extension<Arc<PasswordHasher>>,
    administrator: Result<Administrator, Problem>,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    if !app.config.self_sign_up {
        administrator?;
    }
    let now = clock::now();
    let malformed = || Problem::MalformedRequest { expected: Request::EXPECTED };
    let name_key = NameKey::parse(&request.name).map_err(|_| malformed())?;
    if request.name.contains(FOREIGN_SIGNS) {
        return Err(malformed());
    }
    let email = EmailAddress::parse(&request.email).map_err(|_| malformed())?;
    let about = About { name: &request.name, email: email.as_str() };
    let password = app.config.password_policy.check(&request.password, about);
    let password = password.map_err(Problem::PasswordRefused)?;
    let new = NewUser {
        user: User {
            id: UserId::generate(now, &random()?),
            name: request.name,
            status: UserStatus::Active,
            email_confirmed: false,
            roles: Vec::new(),
            cut: None,
        },
        name_key,
        email: email.to_string(),
        password_hash: hash(&hasher, password).await?,
    };
    let of_letter = random()?;
    let letter = |found| Letter::new(notice(found, &new, &email), now, &of_letter);
    if app.users.register(&new, letter).await? == Registration::Registered {
        let change = AccountChange::Registered;
        record(SecurityEvent::AccountChanged { change, by: None }, Some(new.user.id), None);
    }
    Ok(accepted())
}

fn notice(found: Registration, new: &NewUser, email: &EmailAddress) -> Notice {
    let email = email.clone();
    match found {
        Registration::Registered => Notice::Registered { user_id: new.user.id },
        Registration::AddressTaken => Notice::AddressTaken { email },
        Registration::NameTaken => Notice::NameTaken { email, name: new.user.name.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_a_password() {
        let request: Request = serde_json::from_str(
            r#"{"Name":"ada","Email":"canary@example.com","Password":"canary-1f"}"#,
        )
        .unwrap();
        assert_eq!(request.password.as_str(), "canary-1f");
        assert!(!format!("{request:?}").contains("canary"));
    }

    #[test]
    fn nothing_but_name_address_and_password_is_assigned() {
        for extra in [r#""roles":["admin"]"#, r#""id":"x""#, r#""email_confirmed":true"#] {
            let body = format!(r#"{{"name":"a","email":"b","password":"c",{extra}}}"#);
            assert!(serde_json::from_str::<Request>(&body).is_err(), "{extra}");
        }
    }
}
