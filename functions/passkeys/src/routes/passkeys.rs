//! `/users/me/passkeys`: the caller's passkeys.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ratchet_core::{
    passkey::{Passkey, PasskeyId, PasskeyName},
    time::{UnixMillis, UnixSeconds},
};
use ratchet_http::{
    Private, Problem,
    body::{Describe, Json},
    json::json,
    optional,
    path::PathId,
};
use ratchet_service::{
    confirm::Proof,
    passkeys::{PasskeyOptions, Passkeys},
};
use ratchet_webauthn::RegistrationAnswer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::own::Own;

/// The body of a request that needs the password, or a step-up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = PasskeyPassword))]
pub(crate) struct Confirmed {
    /// Not needed with the access token of a step-up with a passkey, or with password and code.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    password: Option<Private>,
}

impl Describe for Confirmed {
    const EXPECTED: &'static str =
        r#"{"password": "…"}, your password, or {} with the access token of a step-up"#;
}

/// Options for an authenticator.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = PasskeyOptions))]
pub(crate) struct Begun {
    /// To be sent back with the authenticator's answer.
    ceremony: String,
    /// For `PublicKeyCredential.parseCreationOptionsFromJSON()`, or `parseRequestOptionsFromJSON()`.
    #[cfg_attr(feature = "contract", schema(value_type = Object))]
    options: Value,
    /// How long the authenticator has to answer, in seconds.
    expires_in: u64,
}

impl From<PasskeyOptions> for Begun {
    fn from(options: PasskeyOptions) -> Self {
        let PasskeyOptions { ceremony, options, expires_in } = options;
        Self { ceremony: ceremony.expose().to_owned(), options, expires_in }
    }
}

/// Begins to add a passkey.
///
/// The options are for `navigator.credentials.create()`.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users/me/passkeys/options", operation_id = "beginPasskey",
    security(("accessToken" = [])),
    request_body(content = Confirmed, examples(
        ("the-password" = (summary = "the password", value = json!({
            "password": "correct horse battery staple",
        }))),
    )),
    responses((
        status = 200, description = "The options", body = Begun,
        example = Begun::creation_example,
    )),
    extensions(("x-refusals" = json!([
        "session_ended", "wrong_password", "insufficient_user_authentication", "too_many_attempts",
        "account_locked", "not_found",
    ]))),
))]
pub(crate) async fn begin(
    State(passkeys): State<Passkeys>,
    Own(own): Own,
    Json(request): Json<Confirmed>,
) -> Result<Response, Problem> {
    let begun =
        Box::pin(passkeys.begin_adding(&own, Proof::of(request.password.as_deref()))).await?;
    Ok(json(StatusCode::OK, &Begun::from(begun)))
}

/// The body of a request with a new passkey.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = AddPasskeyRequest))]
pub(crate) struct Add {
    /// That of the options.
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    ceremony: Private,
    /// What `toJSON()` makes of the new credential.
    #[cfg_attr(feature = "contract", schema(value_type = Object))]
    credential: Map<String, Value>,
    /// What the user calls it.
    #[cfg_attr(feature = "contract", schema(min_length = 1, max_length = 64))]
    name: String,
}

impl Describe for Add {
    const EXPECTED: &'static str = r#"{"ceremony": "…", "credential": {…}, "name": "…"}, the credential as toJSON() writes it, the name of 1 to 64 bytes without control characters"#;
}

/// One passkey. Times are in Unix seconds, as in JWTs.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = Passkey))]
pub(crate) struct Entry {
    id: String,
    name: String,
    /// Whether the user's devices share it, or a backup has it.
    backed_up: bool,
    #[cfg_attr(feature = "contract", schema(value_type = u64))]
    created_at: UnixSeconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<u64>))]
    last_used_at: Option<UnixSeconds>,
}

impl From<&Passkey> for Entry {
    fn from(passkey: &Passkey) -> Self {
        Self {
            id: passkey.id.to_string(),
            name: passkey.name.as_str().to_owned(),
            backed_up: passkey.backed_up,
            created_at: passkey.created_at.seconds(),
            last_used_at: passkey.last_used_at.map(UnixMillis::seconds),
        }
    }
}

/// Adds a passkey.
///
/// If the answer was lost, the same request returns the passkey again.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/users/me/passkeys", operation_id = "addPasskey",
    security(("accessToken" = [])),
    request_body(content = Add, examples(
        ("a-credential" = (summary = "a credential", value = json!({
            "ceremony": "pk1_AQGTzzqK…", "credential": {"id": "…", "response": {}}, "name": "Phone",
        }))),
    )),
    responses((
        status = 201, description = "The passkey is added", body = Entry, example = Entry::example,
    )),
    extensions(("x-refusals" = json!([
        "session_ended", "invalid_passkey", "passkey_exists", "too_many_passkeys", "not_found",
    ]))),
))]
pub(crate) async fn add(
    State(passkeys): State<Passkeys>,
    Own(own): Own,
    Json(request): Json<Add>,
) -> Result<Response, Problem> {
    let Add { ceremony, credential, name } = request;
    let malformed = Problem::MalformedRequest { expected: Add::EXPECTED };
    let name = PasskeyName::parse(&name).map_err(|_| malformed.clone())?;
    let answer: RegistrationAnswer =
        serde_json::from_value(Value::Object(credential)).map_err(|_| malformed)?;
    let added = Box::pin(passkeys.add(&own, &ceremony, &answer, name)).await?;
    Ok(json(StatusCode::CREATED, &Entry::from(&added)))
}

#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = PasskeyList))]
pub(crate) struct List {
    passkeys: Vec<Entry>,
}

/// Lists the caller's passkeys, the oldest first.
#[cfg_attr(feature = "contract", utoipa::path(
    get, path = "/users/me/passkeys", operation_id = "listPasskeys",
    security(("accessToken" = [])),
    responses((
        status = 200, description = "The passkeys", body = List, example = List::example,
    )),
    extensions(("x-refusals" = json!(["session_ended", "not_found"]))),
))]
pub(crate) async fn list(
    State(passkeys): State<Passkeys>,
    Own(own): Own,
) -> Result<Response, Problem> {
    let all = passkeys.of(&own).await?;
    Ok(json(StatusCode::OK, &List { passkeys: all.iter().map(Entry::from).collect() }))
}

/// The body of a request to rename a passkey.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = RenamePasskeyRequest))]
pub(crate) struct Rename {
    #[cfg_attr(feature = "contract", schema(min_length = 1, max_length = 64))]
    name: String,
}

impl Describe for Rename {
    const EXPECTED: &'static str = r#"{"name": "…"} of 1 to 64 bytes without control characters"#;
}

/// Renames a passkey.
#[cfg_attr(feature = "contract", utoipa::path(
    patch, path = "/users/me/passkeys/{id}", operation_id = "renamePasskey",
    security(("accessToken" = [])),
    params(("id" = String, Path, description = "`id` of a passkey in the list", example = json!(EXAMPLE))),
    request_body(content = Rename, examples(
        ("a-name" = (summary = "a name", value = json!({"name": "Old phone"}))),
    )),
    responses((
        status = 200, description = "The passkey is renamed", body = Entry, example = Entry::example,
    )),
    extensions(("x-refusals" = json!(["session_ended", "not_found"]))),
))]
pub(crate) async fn rename(
    State(passkeys): State<Passkeys>,
    Own(own): Own,
    PathId(id): PathId<PasskeyId>,
    Json(request): Json<Rename>,
) -> Result<Response, Problem> {
    let name = PasskeyName::parse(&request.name)
        .map_err(|_| Problem::MalformedRequest { expected: Rename::EXPECTED })?;
    let renamed = passkeys.rename(&own, id, &name).await?;
    Ok(json(StatusCode::OK, &Entry::from(&renamed)))
}

/// Removes a passkey.
///
/// Ends all other sessions. A passkey that is not there counts as removed.
#[cfg_attr(feature = "contract", utoipa::path(
    delete, path = "/users/me/passkeys/{id}", operation_id = "removePasskey",
    security(("accessToken" = [])),
    params(("id" = String, Path, description = "`id` of a passkey in the list", example = json!(EXAMPLE))),
    request_body(content = Confirmed, examples(
        ("the-password" = (summary = "the password", value = json!({
            "password": "correct horse battery staple",
        }))),
    )),
    responses((status = 204, description = "The passkey is removed")),
    extensions(("x-refusals" = json!([
        "session_ended", "wrong_password", "insufficient_user_authentication", "too_many_attempts",
        "account_locked", "not_found",
    ]))),
))]
pub(crate) async fn remove(
    State(passkeys): State<Passkeys>,
    Own(own): Own,
    PathId(id): PathId<PasskeyId>,
    Json(request): Json<Confirmed>,
) -> Result<StatusCode, Problem> {
    Box::pin(passkeys.remove(&own, Proof::of(request.password.as_deref()), id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(feature = "contract")]
pub(crate) const EXAMPLE: &str = "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg";

#[cfg(feature = "contract")]
impl Begun {
    pub(crate) fn creation_example() -> Self {
        let options = serde_json::json!({
            "rp": {"id": "example.com", "name": "ratchet"},
            "user": {"id": "AZrGzLHHdz-h3sZGaxnN7w", "name": "ada", "displayName": "ada"},
            "challenge": "t5Y2Qn0c3cB9SuYb4Ee1Nw",
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
            "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
        });
        Self { ceremony: "pk1_AQGTzzqK…".to_owned(), options, expires_in: 300 }
    }

    pub(crate) fn request_example() -> Self {
        let options = serde_json::json!({
            "rpId": "example.com", "challenge": "t5Y2Qn0c3cB9SuYb4Ee1Nw", "allowCredentials": [],
            "userVerification": "required",
        });
        Self { ceremony: "pk1_AgAAAAAA…".to_owned(), options, expires_in: 300 }
    }
}

#[cfg(feature = "contract")]
impl Entry {
    pub(crate) fn example() -> Self {
        Self {
            id: EXAMPLE.to_owned(),
            name: "Phone".to_owned(),
            backed_up: true,
            created_at: UnixSeconds::new(1_780_000_000),
            last_used_at: Some(UnixSeconds::new(1_780_003_600)),
        }
    }
}

#[cfg(feature = "contract")]
impl List {
    pub(crate) fn example() -> Self {
        Self { passkeys: vec![Entry::example()] }
    }
}
