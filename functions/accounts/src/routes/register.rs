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
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = RegisterRequest))]
pub(crate) struct Request {
    #[serde(alias = "Name")]
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    name: Private,
    #[serde(alias = "Email")]
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    email: Private,
    #[serde(alias = "Password")]
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    password: Private,
}

impl Describe for Request {
    const EXPECTED: &'static str = r#"{"name": "…", "email": "…", "password": "…"} and nothing else: a name of 1 to 64 letters, digits and signs other than / : @ < > \, without spaces, and an address such as ada@example.com"#;
}

/// Registers a user.
///
/// The response is the same whether or not the name and the address are taken; only the message
/// says so. Where self sign-up is disabled, only administrators can register users.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users", operation_id = "register",
    request_body(content = Request, examples(("a-user" = (summary = "a user", value = json!({
        "name": "ada", "email": "ada@example.com", "password": "correct horse battery staple",
    }))))),
    responses((
        status = 202, description = "A message follows",
        body = ratchet_http::accepted::Accepted, example = ratchet_http::accepted::Accepted::new,
    )),
    extensions(("x-refusals" = json!([
        "password_refused", "too_many_attempts", "missing_access_token", "invalid_access_token",
        "expired_access_token", "stale_access_token", "session_ended", "forbidden",
    ]))),
))]
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
