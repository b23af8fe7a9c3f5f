//! A Lambda authorizer for other HTTP APIs (payload format 2.0, simple responses). It verifies tokens
//! of every algorithm, symmetric ones included.
//!
//! A token that is not valid, or whose user was not authenticated as the configuration requires, is
//! answered with `isAuthorized: false`, which the gateway turns into a 403. A fault fails the
//! invocation, which the gateway turns into a 500: it is never a refusal.

mod ends;

use ratchet_core::{
    access_token::Claims,
    authentication::Requirement,
    dpop::{self, Possession, ProofTarget, Scheme},
    time::UnixSeconds,
};
use ratchet_service::{
    Fault,
    access::{AccessError, AccessTokenVerifier},
    clock,
    events::record_unproven,
};
use ratchet_store::{StoreError, Stores};
use serde::Serialize;
use serde_json::Value;

use self::ends::Ends;

/// Authorizes requests to other APIs.
#[derive(Debug)]
pub struct Authorizer {
    verifier: AccessTokenVerifier,
    /// The sessions that ended, if the configuration publishes them.
    ends: Option<Ends>,
    required: Requirement,
}

/// Why a request is neither authorized nor refused.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizeError {
    /// The token could not be verified.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The ended sessions could not be read, and what is known about them is too old.
    #[error("which sessions ended is not known")]
    EndsUnknown(#[source] StoreError),
}

/// The response to the gateway.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    is_authorized: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Identity>,
}

/// What the protected API receives, as `$context.authorizer.…` and as
/// `requestContext.authorizer.lambda` of its events.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Identity {
    sub: String,
    sid: String,
    name: String,
    client_id: String,
    /// Separated by spaces, because the values of the context are strings.
    roles: String,
    /// When the user was authenticated last, in seconds since 1970.
    auth_time: String,
    /// How the user was authenticated then, separated by spaces: `pwd`, or `pwd otp`.
    amr: String,
    /// The custom claims as JSON, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<String>,
}

impl Authorizer {
    /// An authorizer with these stores. It opens the tokens table only if ends are published.
    #[must_use]
    pub fn new(stores: &Stores<'_>) -> Self {
        let config = stores.config();
        let policy = &config.access_token;
        let ends = |reach| Ends::new(stores.sessions(), &policy.issuer, reach);
        Self {
            verifier: AccessTokenVerifier::new(stores.key_ring(), policy.clone()),
            ends: config.published_for().map(ends),
            required: config.authorizer.clone(),
        }
    }

    /// Authorizes or refuses one request.
    ///
    /// # Errors
    /// [`AuthorizeError`].
    pub async fn authorize(&self, event: Value) -> Result<Authorization, AuthorizeError> {
        let Some((scheme, token)) = access_token(&event) else {
            return Ok(Authorization::refusal());
        };
        let now = clock::now();
        let claims = match self.verifier.verify(token, now).await {
            Ok(claims) => claims,
            Err(AccessError::Fault(fault)) => return Err(fault.into()),
            Err(
                AccessError::Invalid(_)
                | AccessError::Expired
                | AccessError::Unproven(_)
                | AccessError::SessionEnded
                | AccessError::NotAdministrator,
            ) => return Ok(Authorization::refusal()),
        };
        let possession = possession(&event, token, now.seconds());
        if let Err(reason) = scheme.permits(claims.jkt(), possession) {
            record_unproven(reason, claims.sub, claims.sid);
            return Ok(Authorization::refusal());
        }
        if self.required.check(&claims, now.seconds()).is_err() {
            return Ok(Authorization::refusal());
        }
        let is_live = match &self.ends {
            None => true,
            Some(ends) => {
                let ended = ends.has_ended(&claims, now).await;
                !ended.map_err(AuthorizeError::EndsUnknown)?
            }
        };
        Ok(if is_live { Authorization::of(claims) } else { Authorization::refusal() })
    }
}

/// The token in the authorizer's one identity source, the header `Authorization`.
fn access_token(event: &Value) -> Option<(Scheme, &str)> {
    // Not parsed as the whole event type: an unexpected member must not refuse a valid token.
    let sources = event.get("identitySource")?.as_array()?;
    let [source] = sources.as_slice() else { return None };
    Scheme::of_header(source.as_str()?)
}

/// What the request says about possession of a key. The URL in the proof has to be that of the
/// protected API: its configured domain, not the header `Host`. An authorizer cannot send a nonce, so
/// proofs need none.
fn possession(event: &Value, access_token: &str, now: UnixSeconds) -> Possession {
    let Some(proof) = event.pointer("/headers/dpop").and_then(Value::as_str) else {
        return Possession::Unclaimed;
    };
    let text = |pointer| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (domain, path) = (text("/requestContext/domainName"), text("/rawPath"));
    let urls = [format!("https://{domain}{path}")];
    let method = text("/requestContext/http/method");
    let target = ProofTarget { method, urls: &urls, access_token: Some(access_token) };
    dpop::possession(proof, &target, now)
}

impl Authorization {
    const fn refusal() -> Self {
        Self { is_authorized: false, context: None }
    }

    fn of(claims: Claims) -> Self {
        let identity = Identity {
            sub: claims.sub.to_string(),
            sid: claims.sid.to_string(),
            name: claims.name,
            client_id: claims.client_id,
            roles: claims.roles.join(" "),
            auth_time: claims.auth_time.get().to_string(),
            amr: claims.amr.join(" "),
            claims: (!claims.custom.is_empty()).then(|| claims.custom.to_string()),
        };
        Self { is_authorized: true, context: Some(identity) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An event of the gateway with these identity sources.
    fn event(identity_source: Value) -> Value {
        let text = include_str!("../../../events/authorizer/forged-token.json");
        let mut event: Value = serde_json::from_str(text).unwrap();
        event["identitySource"] = identity_source;
        event
    }

    #[test]
    fn exactly_one_token_in_the_identity_source_is_read() {
        for source in ["Bearer abc", "bearer abc", "Bearer  abc "] {
            let event = event(json!([source]));
            assert_eq!(access_token(&event), Some((Scheme::Bearer, "abc")), "{source}");
        }
        assert_eq!(access_token(&event(json!(["DPoP abc"]))), Some((Scheme::Dpop, "abc")));
        for event in [
            event(json!(null)),
            event(json!([])),
            event(json!("Bearer abc")),
            event(json!(["abc"])),
            event(json!(["Basic abc"])),
            event(json!(["Bearer abc", "Bearer def"])),
            json!({}),
            json!(null),
            json!([]),
            json!({"headers": {"authorization": "Bearer abc"}}),
        ] {
            assert_eq!(access_token(&event), None, "{event}");
        }
    }
}
