//! The keys that an issuer publishes, for services that only verify.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::Jwk;
use crate::jws::VerificationKey;

/// A published JWK Set (RFC 7517 §5).
#[derive(Debug)]
pub struct PublicKeys(HashMap<String, VerificationKey>);

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Value>,
}

impl PublicKeys {
    /// Reads a JWK Set; `None` if it is not one. Keys that cannot be used here are ignored (RFC 7517
    /// §5).
    ///
    /// # Security
    /// Symmetric keys are ignored too, because a published key is not a secret. If two keys have the
    /// same id, neither is used.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        let set: JwkSet = serde_json::from_slice(json).ok()?;
        let mut keys = HashMap::new();
        for key in set.keys {
            let Ok(jwk) = serde_json::from_value::<Jwk>(key) else { continue };
            let Some(kid) = jwk.kid() else { continue };
            let key = jwk.verification_key().ok().filter(|key| !key.algorithm().is_symmetric());
            let twice = keys.contains_key(kid);
            keys.insert(kid.to_owned(), if twice { None } else { key });
        }
        Some(Self(keys.into_iter().filter_map(|(kid, key)| Some((kid, key?))).collect()))
    }

    /// The key of that id.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&VerificationKey> {
        self.0.get(kid)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{jws::SignatureAlgorithm, key_ring::NewKey};

    fn key(algorithm: SignatureAlgorithm, kid: &str) -> Value {
        let mut key = NewKey::signing(algorithm).unwrap().expose();
        key["kid"] = json!(kid);
        key
    }

    #[test]
    fn symmetric_unknown_nameless_and_ambiguous_keys_are_ignored() {
        let mut nameless = key(SignatureAlgorithm::Es256, "x");
        nameless.as_object_mut().unwrap().remove("kid");
        let set = json!({"keys": [
            key(SignatureAlgorithm::Hs256, "oct"),
            key(SignatureAlgorithm::EdDsa, "ed"),
            key(SignatureAlgorithm::Es256, "twice"),
            key(SignatureAlgorithm::Es256, "twice"),
            {"kty": "AKP", "kid": "new", "alg": "ML-DSA-44"},
            nameless,
            7,
        ]});
        let keys = PublicKeys::parse(set.to_string().as_bytes()).unwrap();
        assert!(keys.find("ed").is_some());
        for kid in ["oct", "twice", "new", "", "x"] {
            assert!(keys.find(kid).is_none(), "{kid}");
        }
    }

    #[test]
    fn other_json_is_not_a_set() {
        for json in ["", "[]", "{}", r#"{"keys":{}}"#] {
            assert!(PublicKeys::parse(json.as_bytes()).is_none(), "{json}");
        }
    }
}
