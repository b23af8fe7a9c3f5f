//! `POST /users/me/password`.

use axum::extract::State;
use http::StatusCode;
use ratchet_http::{
    Private, Problem,
    access::Access,
    body::{Describe, Json},
    optional,
};
use ratchet_service::accounts::Accounts;
use serde::Deserialize;

use crate::own::Own;

/// The request body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = ChangePasswordRequest))]
pub(crate) struct Request {
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    current: Private,
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    new: Private,
    /// Whether the session of this request continues; all others end.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(schema_with = optional_bool))]
    keep_this_session: Option<bool>,
}

impl Describe for Request {
    const EXPECTED: &'static str =
        r#"{"current": "…", "new": "…"}, two passwords, and optionally "keep_this_session": true"#;
}

/// Changes the caller's password.
///
/// Ends all sessions, except this one on request.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users/me/password", operation_id = "changePassword",
    security(("accessToken" = [])),
    request_body(content = Request, examples(
        ("two-passwords" = (summary = "two passwords", value = json!({
            "current": "correct horse battery staple", "new": "another horse battery staple",
            "keep_this_session": true,
        }))),
    )),
    responses((status = 204, description = "The password is changed")),
    extensions(("x-refusals" = json!([
        "session_ended", "password_refused", "wrong_password", "too_many_attempts", "account_locked",
    ]))),
))]
pub(crate) async fn change(
    State(accounts): State<Accounts>,
    Access(claims): Access,
    own: Result<Own, Problem>,
    Json(request): Json<Request>,
) -> Result<StatusCode, Problem> {
    let Request { current, new, keep_this_session } = &request;
    let own = match own {
        Ok(Own(own)) => own,
        // The change itself may have ended the session, and its answer was lost.
        Err(Problem::SessionEnded) if accounts.has_changed_password(&claims, new).await? => {
            return Ok(StatusCode::NO_CONTENT);
        }
        Err(problem) => return Err(problem),
    };
    accounts.change_password(&own, current, new, keep_this_session.unwrap_or_default()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(feature = "contract")]
fn optional_bool() -> utoipa::openapi::Schema {
    let bool = <bool as utoipa::PartialSchema>::schema();
    let description = "Whether the session of this request continues; all others end.";
    ratchet_http::contract::optional(bool, description)
}
