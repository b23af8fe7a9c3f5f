//! `POST /users`.

use axum::{extract::State, response::Response};
use ratchet_http::{
    Private, Problem,
    body::{Describe, Json},
    caller::Caller,
    signed_in::Administrator,
};
use ratchet_service::accounts::{Accounts, Registrant};
use serde::Deserialize;

use super::accepted;

/// The request body. Clients may set nothing else.
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
    const EXPECTED: &'static str = r#"{"name": "…", "email": "…", "password": "…"} and nothing else: a name of 1 to 64 letters, digits and signs other than / : @ < > \, without spaces, and an address such as ada@example.com"#;
}

/// Registers a user. The response is the same whether or not the name and the address are taken.
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    administrator: Result<Administrator, Problem>,
    caller: Caller,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let administrator = match administrator {
        Ok(Administrator(administrator)) => Some(administrator.user.id),
        // Everybody else is a stranger, except an administrator whose token has just expired or who
        // could not be looked up.
        Err(Problem::MissingAccessToken | Problem::Forbidden) if accounts.allows_self_sign_up() => {
            None
        }
        Err(problem) => return Err(problem),
    };
    let registrant = Registrant::parse(&request.name, &request.email)
        .map_err(|_| Problem::MalformedRequest { expected: Request::EXPECTED })?;
    let source_ip = caller.source_ip;
    accounts.register(registrant, &request.password, administrator, source_ip).await?;
    Ok(accepted())
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
    fn clients_can_set_only_name_address_and_password() {
        for extra in [r#""roles":["admin"]"#, r#""id":"x""#, r#""email_confirmed":true"#] {
            let body = format!(r#"{{"name":"a","email":"b","password":"c",{extra}}}"#);
            assert!(serde_json::from_str::<Request>(&body).is_err(), "{extra}");
        }
    }
}
