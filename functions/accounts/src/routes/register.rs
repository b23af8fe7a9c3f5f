//! `POST /users`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use ratchet_core::{
    email::EmailAddress,
    entropy::random,
    ids::UserId,
    letter::{Letter, Notice},
    password::{Password, PasswordPolicy, policy::About},
    user::{NameKey, UNCONFIRMED_LIFE, User, UserStatus},
};
use ratchet_http::{
    App, Private, Problem,
    body::{Describe, Json},
    caller::Caller,
    clock,
    events::{AccountChange, SecurityEvent, record},
    hashing::Hashing,
    signed_in::Administrator,
};
use ratchet_store::{NewUser, Registration};
use serde::Deserialize;

use super::accepted;
use crate::network::Counted;

/// Signs that no new name may have.
///
/// # Security
/// A name is in the message that goes to an address which nobody has confirmed yet. Without these
/// it is no link, and it can not be taken for somebody's address.
const FOREIGN_SIGNS: [char; 6] = ['/', ':', '@', '<', '>', '\\'];

/// What the client sends. Nothing else may be assigned from outside.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "RegisterRequest")
)]
pub(crate) struct Request {
    #[serde(alias = "Name")]
    name: Private,
    #[serde(alias = "Email")]
    email: Private,
    #[serde(alias = "Password")]
    password: Private,
}

impl Describe for Request {
    const EXPECTED: &'static str = r#"{"name": "…", "email": "…", "password": "…"} and nothing else: a name of 1 to 64 letters, digits and signs without spaces and / : @ < > \, and an address such as ada@example.com"#;
}

impl Request {
    /// What is acceptable of it, or every rule that the password misses.
    fn check(self, policy: &PasswordPolicy) -> Result<Acceptable, Problem> {
        let malformed = || Problem::MalformedRequest { expected: Self::EXPECTED };
        let name_key = NameKey::parse(&self.name).map_err(|_| malformed())?;
        // In every width.
        if self.name.contains(FOREIGN_SIGNS) || name_key.as_str().contains(FOREIGN_SIGNS) {
            return Err(malformed());
        }
        let email = EmailAddress::parse(&self.email).map_err(|_| malformed())?;
        let about = About { name: &self.name, email: email.as_str() };
        let password = policy.check(&self.password, about).map_err(Problem::PasswordRefused)?;
        Ok(Acceptable { name: self.name.to_string(), name_key, email, password })
    }
}

/// What somebody may register with.
struct Acceptable {
    name: String,
    name_key: NameKey,
    email: EmailAddress,
    password: Password,
}

/// Registers a user. The answer is the same whether or not name and address are taken; the message
/// that follows says it to whoever reads the mail of the address.
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    Extension(hashing): Extension<Hashing>,
    administrator: Result<Administrator, Problem>,
    caller: Caller,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let by = match administrator {
        Ok(Administrator(caller)) => Some(caller.user.id),
        // Everybody else is a stranger, but not an administrator whose token has just expired, or
        // who could not be looked up.
        Err(Problem::MissingAccessToken | Problem::Forbidden) if app.config.self_sign_up => None,
        Err(problem) => return Err(problem),
    };
    let now = clock::now();
    // Nobody holds a name for ever who may not even sign in.
    let may_expire = app.config.require_confirmed_email && by.is_none();
    let Acceptable { name, name_key, email, password } =
        request.check(&app.config.password_policy)?;
    if by.is_none() {
        Counted::take(&app, caller.source_ip, now).await?;
    }
    let new = NewUser {
        user: User {
            id: UserId::generate(now, &random()?),
            name,
            status: UserStatus::Active,
            email_confirmed: false,
            roles: Vec::new(),
            cut: None,
        },
        name_key,
        email: email.to_string(),
        password_hash: hashing.hash(password).await?,
        expires_at: may_expire.then(|| now.seconds().plus(UNCONFIRMED_LIFE)),
    };
    let of_letter = random()?;
    let letter = |found| Letter::new(notice(found, &new, &email), now, &of_letter);
    if app.users.register(&new, letter, now).await? == Registration::Registered {
        let change = AccountChange::Registered;
        record(SecurityEvent::AccountChanged { change, by }, Some(new.user.id), None);
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
        assert_eq!(&*request.password, "canary-1f");
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
