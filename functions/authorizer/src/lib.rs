//! A Lambda authorizer for other HTTP APIs (payload format 2.0, simple responses): the same
//! verification as everywhere, for every algorithm, symmetric ones included.
//!
//! A token that does not count is answered with `isAuthorized: false`, which the gateway makes a
//! 403. A key ring that can not be had is no answer at all, which it makes a 500: a fault is never
//! a refusal.

mod ends;

use ratchet_core::{
    access_token::{self, AccessTokenError, AccessTokenPolicy, Claims, Verified},
    config::Config,
};
use ratchet_http::clock;
use ratchet_store::{KeyRingCache, LoadError, Sessions, StoreError, aws::AwsSettings};
use serde::Serialize;
use serde_json::Value;

use self::ends::Ends;

/// Decides about requests to other APIs.
#[derive(Debug)]
pub struct Authorizer {
    key_ring: KeyRingCache,
    policy: AccessTokenPolicy,
    /// Which sessions ended, if that is asked for.
    ends: Option<Ends>,
}

/// No decision: a fault, never a refusal.
#[derive(Debug, thiserror::Error)]
pub enum Undecided {
    /// No key ring can be had.
    #[error(transparent)]
    NoKeyRing(#[from] LoadError),
    /// Which sessions ended can not be had, and what is known of it is too old.
    #[error("which sessions ended is not known")]
    NoEnds(#[source] StoreError),
}

/// The answer to the gateway.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    is_authorized: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Identity>,
}

/// What the protected API is told, as `$context.authorizer.…` and as
/// `requestContext.authorizer.lambda` of its events.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Identity {
    sub: String,
    sid: String,
    name: String,
    client_id: String,
    /// Separated by spaces: values of the context are strings.
    roles: String,
}

impl Authorizer {
    /// Reads the configuration and the key ring.
    ///
    /// # Errors
    /// [`LoadError`], unless it is a fault of the moment: then the first request tries again.
    pub async fn start(config: &Config, aws: &AwsSettings) -> Result<Self, LoadError> {
        let key_ring = KeyRingCache::new(
            aws.secrets_manager(),
            &config.key_ring_secret,
            config.keys.reload,
            ratchet_http::measure::key_ring_not_loaded,
        );
        let ends = config.published_for().map(|reach| {
            let sessions = Sessions::new(aws.dynamodb(), &config.tokens_table);
            Ends::new(sessions, &config.access_token.issuer, reach)
        });
        match key_ring.current(clock::now()).await {
            Ok(_) | Err(LoadError::Unavailable(_)) => {
                Ok(Self { key_ring, policy: config.access_token.clone(), ends })
            }
            Err(error) => Err(error),
        }
    }

    /// Decides about one request.
    ///
    /// # Errors
    /// [`Undecided`].
    pub async fn decide(&self, event: &Value) -> Result<Decision, Undecided> {
        let Some(token) = bearer_token(event) else { return Ok(Decision::refusal()) };
        let now = clock::now();
        let verified = self.key_ring.read(now, AccessTokenError::takes_unknown_key, |ring| {
            access_token::verify(token, &self.policy, ring, now.seconds())
        });
        let Ok(Verified::Live(claims)) = verified.await? else {
            return Ok(Decision::refusal());
        };
        let lives = match &self.ends {
            None => true,
            Some(ends) => ends.leave_alone(&claims, now).await.map_err(Undecided::NoEnds)?,
        };
        Ok(if lives { Decision::of(claims) } else { Decision::refusal() })
    }
}

/// The token of the one identity source that the authorizer is to have, `Authorization`.
fn bearer_token(event: &Value) -> Option<&str> {
    let sources = event.get("identitySource")?.as_array()?;
    let [source] = sources.as_slice() else { return None };
    let (scheme, token) = source.as_str()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Decision {
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
        };
        Self { is_authorized: true, context: Some(identity) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_one_bearer_token_in_the_identity_source_is_read() {
        assert_eq!(bearer_token(&json!({"identitySource": ["Bearer abc"]})), Some("abc"));
        assert_eq!(bearer_token(&json!({"identitySource": ["bearer abc"]})), Some("abc"));
        for event in [
            json!({}),
            json!(null),
            json!({"identitySource": []}),
            json!({"identitySource": "Bearer abc"}),
            json!({"identitySource": ["abc"]}),
            json!({"identitySource": ["Basic abc"]}),
            json!({"identitySource": ["Bearer abc", "Bearer def"]}),
            json!({"headers": {"authorization": "Bearer abc"}}),
        ] {
            assert_eq!(bearer_token(&event), None, "{event}");
        }
    }
}
