//! Key rings with known keys, and tokens forged with them.

use aws_lc_rs::hmac;
use ratchet_core::{
    encoding::{from_base64url, to_base64url},
    jws::SignatureAlgorithm,
    key_ring::{NewKey, TAG_USE},
};
use serde_json::{Value, json};

use super::World;

/// The key of the known ring's first signing key.
pub(crate) fn signing_secret() -> Vec<u8> {
    (100..140).collect()
}

/// The id of that key.
pub(crate) const KID: &str = "known";

/// A ring with a known signing key and any further keys.
pub(crate) fn known(further: &[Value]) -> Value {
    let tag: Vec<u8> = (50..90).collect();
    let mut keys = vec![
        json!({"kty": "oct", "use": "sig", "alg": "HS256", "kid": KID,
               "k": to_base64url(&signing_secret())}),
        json!({"kty": "oct", "use": TAG_USE, "k": to_base64url(&tag)}),
    ];
    keys.extend_from_slice(further);
    json!({"keys": keys})
}

/// A ring with one new key of an algorithm for access tokens, and that key.
pub(crate) fn of_algorithm(algorithm: SignatureAlgorithm) -> (Value, Value) {
    let key = NewKey::signing(algorithm).expect("a key").expose();
    let tag = NewKey::tag().expect("a key").expose();
    (json!({"keys": [key, tag]}), key)
}

impl World {
    /// Stores a secret in this world's Secrets Manager and returns its name.
    pub(crate) async fn secret(&self, name: &str, value: &str) -> String {
        let client = self.stack().services().secrets().client();
        client.create_secret().name(name).secret_string(value).send().await.expect("a secret");
        name.to_owned()
    }

    /// Replaces a secret.
    pub(crate) async fn replace_secret(&self, name: &str, value: &str) {
        let client = self.stack().services().secrets().client();
        let put = client.put_secret_value().secret_id(name).secret_string(value);
        put.send().await.expect("a replaced secret");
    }
}

/// The header and claims of a JWT.
pub(crate) fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        let bytes = from_base64url(part).expect("base64url");
        serde_json::from_slice(&bytes).unwrap_or(Value::Null)
    });
    (parts.next().expect("a header"), parts.next().expect("claims"))
}

/// A JWT with any header and claims, signed with a secret, even if its header says otherwise.
pub(crate) fn forge(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let part = |value: &Value| to_base64url(value.to_string().as_bytes());
    sign(&format!("{}.{}", part(header), part(claims)), secret)
}

/// Signs the part before the signature.
pub(crate) fn sign(input: &str, secret: &[u8]) -> String {
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
    format!("{input}.{}", to_base64url(signature.as_ref()))
}

/// `token` with members of its header and claims replaced; `null` removes one.
pub(crate) fn altered(token: &str, header: &Value, claims: &Value, secret: &[u8]) -> String {
    let (mut own_header, mut own_claims) = parts(token);
    for (to, from) in [(&mut own_header, header), (&mut own_claims, claims)] {
        let to = to.as_object_mut().expect("an object");
        for (name, value) in from.as_object().expect("an object") {
            if value.is_null() {
                to.remove(name);
            } else {
                to.insert(name.clone(), value.clone());
            }
        }
    }
    forge(&own_header, &own_claims, secret)
}
