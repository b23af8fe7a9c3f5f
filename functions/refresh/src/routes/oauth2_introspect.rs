//! `POST /oauth2/introspect` (RFC 7662): tells resource servers whether a token is live.

use std::fmt;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use ratchet_core::{
    access_token::{AccessTokenPolicy, Claims, Confirmation},
    custom_claims::CustomClaims,
    ids::{SessionId, UserId},
    introspection::{Introspection, RefreshTokenFacts},
    time::UnixSeconds,
};
use ratchet_http::{
    Problem,
    body::{Describe, Form},
    client_auth::{ClientAuthError, presented_client},
    json::json,
    optional,
};
use ratchet_service::introspect::{Introspect, IntrospectError};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::oauth2_error::OAuthError;

/// The request body (RFC 7662 §2.1). `token_type_hint` is not needed: a token shows what it is.
#[derive(Deserialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = OAuth2IntrospectRequest))]
pub(crate) struct Request {
    /// An access token or a refresh token.
    #[cfg_attr(feature = "contract", schema(value_type = String, min_length = 1))]
    token: Zeroizing<String>,
    /// Only if the client does not use HTTP Basic.
    #[serde(default, deserialize_with = "optional")]
    client_id: Option<String>,
    /// Only if the client does not use HTTP Basic.
    #[serde(default, deserialize_with = "optional")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    client_secret: Option<Zeroizing<String>>,
}

impl Describe for Request {
    const EXPECTED: &'static str = "token=…";
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// The response (RFC 7662 §2.2). Of a token that is not live, it has `active` and nothing else.
#[derive(Serialize, Default)]
#[serde(default)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema), schema(as = OAuth2Introspection))]
struct Body<'a> {
    /// Whether the token could be used at this moment.
    active: bool,
    /// `Bearer` for an access token, or `DPoP` for one that is bound to a key. `N_A` (RFC 8693
    /// §2.2.1) for a refresh token, which is not for resource servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// The user's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    sub: Option<UserId>,
    /// The session's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<String>))]
    sid: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    /// Only for access tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    /// When the token expires, in Unix seconds. It may end earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<u64>))]
    exp: Option<UnixSeconds>,
    /// Only for access tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<u64>))]
    iat: Option<UnixSeconds>,
    /// Only for access tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    /// The client that the token was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    /// The user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    /// The access token's roles that the user still has.
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<&'a [String]>,
    /// When the password was proved, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<u64>))]
    auth_time: Option<UnixSeconds>,
    /// How the user was authenticated (RFC 8176): `pwd`, and `otp` for a second factor. Only for
    /// access tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    amr: Option<&'a [String]>,
    /// The key that the token is bound to (RFC 9449 §6.2): its thumbprint, as `jkt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "contract", schema(value_type = Option<Object>))]
    cnf: Option<&'a Confirmation>,
    /// The user's custom claims, as they are now. Only for access tokens.
    #[serde(flatten)]
    #[cfg_attr(feature = "contract", schema(value_type = std::collections::HashMap<String, Value>))]
    custom: Option<&'a CustomClaims>,
}

impl<'a> Body<'a> {
    fn of(said: &'a Introspection, policy: &'a AccessTokenPolicy) -> Self {
        match said {
            Introspection::Inactive => Self::default(),
            Introspection::AccessToken(claims) => Self::of_access_token(claims),
            Introspection::RefreshToken(facts) => Self::of_refresh_token(facts, policy),
        }
    }

    fn of_access_token(claims: &'a Claims) -> Self {
        Self {
            active: true,
            token_type: Some(token_type(claims)),
            sub: Some(claims.sub),
            sid: Some(claims.sid),
            iss: Some(&claims.iss),
            aud: Some(&claims.aud),
            exp: Some(claims.exp),
            iat: Some(claims.iat),
            jti: Some(&claims.jti),
            client_id: Some(&claims.client_id),
            username: Some(&claims.name),
            roles: Some(&claims.roles),
            auth_time: Some(claims.auth_time),
            // Tokens of earlier releases do not say.
            amr: Some(claims.amr.as_slice()).filter(|amr| !amr.is_empty()),
            cnf: claims.cnf.as_ref(),
            custom: Some(&claims.custom),
        }
    }

    /// No `aud` and no `iat`: a refresh token is for this service alone, and does not say when it
    /// was issued.
    ///
    /// # Security
    /// A resource server that takes whatever is `active` for an access token would accept a stolen
    /// refresh token, without the rotation that reveals the theft. `token_type` tells them apart.
    fn of_refresh_token(facts: &'a RefreshTokenFacts, policy: &'a AccessTokenPolicy) -> Self {
        Self {
            active: true,
            token_type: Some("N_A"),
            sub: Some(facts.user_id),
            sid: Some(facts.session_id),
            iss: Some(&policy.issuer),
            exp: Some(facts.expires_at),
            client_id: Some(&policy.client_id),
            username: Some(&facts.username),
            auth_time: Some(facts.auth_time),
            cnf: facts.cnf.as_ref(),
            ..Self::default()
        }
    }
}

/// How an access token is to be presented (RFC 6750, RFC 9449 §6.2).
const fn token_type(claims: &Claims) -> &'static str {
    if claims.cnf.is_some() { "DPoP" } else { "Bearer" }
}

/// Tells a client whether a token is live (RFC 7662).
///
/// Clients are resource servers with a credential of their own, from `ratchet clients create`. A
/// token is inactive as soon as its session has ended. Nothing is changed or counted, so an old
/// refresh token may be introspected without ending its session.
#[cfg_attr(feature = "contract", utoipa::path(
    post, path = "/oauth2/introspect", operation_id = "oauth2Introspect",
    security(("client" = [])),
    request_body(
        content = Request, content_type = "application/x-www-form-urlencoded",
        examples(("an-access-token" = (summary = "an access token", value = json!({
            "token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiJ9.….…",
        })))),
    ),
    responses(
        (
            status = 200, description = "Whether the token is live", body = Body,
            examples(
                ("access-token" = (summary = "a live access token", value = json!({
                    "active": true, "token_type": "Bearer",
                    "sub": "01920000-0000-7000-8000-000000000000",
                    "sid": "01920000-0000-7000-8000-000000000001",
                    "iss": "https://auth.example.com", "aud": "ratchet",
                    "exp": 1_780_000_300, "iat": 1_780_000_000, "jti": "yeGxCkTdDLEAxqkz7FlHFQ",
                    "client_id": "first-party", "username": "ada", "roles": ["reader"],
                    "auth_time": 1_779_990_000, "tenant": "acme",
                }))),
                ("refresh-token" = (summary = "a live refresh token", value = json!({
                    "active": true, "token_type": "N_A",
                    "sub": "01920000-0000-7000-8000-000000000000",
                    "sid": "01920000-0000-7000-8000-000000000001",
                    "iss": "https://auth.example.com", "exp": 1_782_592_000,
                    "client_id": "first-party", "username": "ada", "auth_time": 1_779_990_000,
                }))),
                ("anything-else" = (summary = "anything else", value = json!({"active": false}))),
            ),
        ),
        (
            status = 400, description = "A refusal (RFC 6749 §5.2)", body = OAuthError,
            example = json!({"error": "invalid_request", "error_description": "token=…"}),
        ),
        (
            status = 401, description = "No client has authenticated (RFC 6749 §5.2)",
            body = OAuthError,
            headers(("WWW-Authenticate" = String, description = "`Basic` (RFC 7617 §2)")),
            example = json!({
                "error": "invalid_client",
                "error_description": "authenticate with the id and the secret of a client",
            }),
        ),
    ),
))]
pub(crate) async fn handle(
    State(service): State<Introspect>,
    headers: HeaderMap,
    request: Result<Form<Request>, Problem>,
) -> Result<Response, Problem> {
    let Request { token, client_id, client_secret } = match request {
        // A parameter without a value counts as omitted (RFC 6749 §3.2).
        Ok(Form(request)) if !request.token.is_empty() => request,
        Ok(_) | Err(Problem::MalformedRequest { .. }) => {
            return Ok(OAuthError::response("invalid_request", Request::EXPECTED));
        }
        Err(problem) => return Err(problem),
    };
    let presented = match presented_client(&headers, client_id, client_secret) {
        Ok(presented) => presented,
        Err(ClientAuthError::TwoMethods) => {
            let description = "authenticate in the header or in the body, not in both";
            return Ok(OAuthError::response("invalid_request", description));
        }
        Err(ClientAuthError::Absent) => return Ok(OAuthError::invalid_client()),
    };
    let client = match service.authenticate(&presented.id, &presented.secret).await {
        Ok(client) => client,
        Err(IntrospectError::InvalidClient) => return Ok(OAuthError::invalid_client()),
        Err(IntrospectError::Fault(fault)) => return Err(fault.into()),
    };
    let said = service.introspect(&client, &token).await?;
    Ok(json(StatusCode::OK, &Body::of(&said, service.access_tokens())).into_response())
}

#[cfg(test)]
mod tests {
    use ratchet_core::custom_claims::InvalidClaims;
    use serde_json::{Map, Value, json};

    use super::*;

    #[test]
    fn no_custom_claim_has_the_name_of_another_member() {
        let (id, jkt) = ("01920000-0000-7000-8000-000000000000", "A".repeat(43));
        let claims = json!({
            "iss": "i", "sub": id, "aud": "a", "exp": 2, "iat": 1, "jti": "j", "client_id": "c",
            "sid": id, "auth_time": 1, "name": "ada", "roles": [], "cnf": {"jkt": jkt},
        });
        let claims: Claims = serde_json::from_value(claims).unwrap();
        let body = serde_json::to_value(Body::of_access_token(&claims)).unwrap();
        let members = body.as_object().unwrap();
        assert_eq!(members.len(), 14, "all are there: {members:?}");
        for name in members.keys() {
            let claim = Map::from_iter([(name.clone(), Value::Null)]);
            assert!(matches!(CustomClaims::new(claim), Err(InvalidClaims::Reserved(_))), "{name}");
        }
    }
}
