//! A Lambda authorizer for other HTTP APIs (payload format 2.0, simple responses): the same
//! verification as everywhere, for every algorithm, symmetric ones included.
//!
//! A token that does not count is answered with `isAuthorized: false`, which the gateway makes a
//! 403. A key ring that can not be had is no answer at all, which it makes a 500: a fault is never
//! a refusal.

use ratchet::{
    access_token::{self, AccessTokenError, AccessTokenPolicy, Claims, Verified},
    config::Config,
    time::UnixMillis,
};
use ratchet_http::clock;
use ratchet_store::{KeyRingCache, LoadError, aws::AwsSettings, key_ring::Newer};
use serde::Serialize;
use serde_json::Value;

/// Decides about requests to other APIs.
#[derive(Debug)]
pub struct Authorizer {
    key_ring: KeyRingCache,
    policy: AccessTokenPolicy,
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
        let key_ring =
            KeyRingCache::new(aws.secrets_manager(), &config.key_ring_secret, config.keys.reload);
        match key_ring.current(clock::now()).await {
            Ok(_) | Err(LoadError::Unavailable(_)) => {
                Ok(Self { key_ring, policy: config.access_token.clone() })
            }
            Err(error) => Err(error),
        }
    }

    /// Decides about one request.
    ///
    /// # Errors
    /// [`LoadError`] while no key ring can be had.
    pub async fn decide(&self, event: &Value) -> Result<Decision, LoadError> {
        let Some(token) = bearer_token(event) else { return Ok(Decision::refusal()) };
        match self.verify(token, clock::now()).await? {
            Ok(Verified::Live(claims)) => Ok(Decision::of(claims)),
            Ok(Verified::Expired(_)) | Err(_) => Ok(Decision::refusal()),
        }
    }

    async fn verify(
        &self,
        token: &str,
        now: UnixMillis,
    ) -> Result<Result<Verified, AccessTokenError>, LoadError> {
        let ring = self.key_ring.current(now).await?;
        match access_token::verify(token, &self.policy, &ring, now.seconds()) {
            Err(AccessTokenError::UnknownKey) => {
                match self.key_ring.after_unknown_key(now).await? {
                    Newer::Ring(ring) => {
                        Ok(access_token::verify(token, &self.policy, &ring, now.seconds()))
                    }
                    Newer::Nothing => Ok(Err(AccessTokenError::UnknownKey)),
                }
            }
            verdict => Ok(verdict),
        }
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
