//! An authenticator in software, for tests: it makes passkeys and signs with them as a phone would, and
//! does wrong whatever a test tells it to.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "it is part of tests, which fail by panicking"
)]

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::{SystemRandom, fill},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use ratchet_core::encoding::{from_base64url, to_base64url};
use serde_json::{Value, json};

/// A passkey, with the private key.
pub struct Passkey {
    key: EcdsaKeyPair,
    /// The id of the credential.
    pub id: Vec<u8>,
    /// Whom it was made for.
    pub user_handle: Vec<u8>,
    /// How often it has signed; zero forever if `counts` is `false`.
    pub counter: u32,
    /// Whether it counts. Those that devices share do not.
    pub counts: bool,
    /// Whether the user is verified, by a PIN or a finger, before it signs.
    pub verifies_user: bool,
}

impl std::fmt::Debug for Passkey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passkey").field("id", &self.id).finish_non_exhaustive()
    }
}

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const HAS_CREDENTIAL: u8 = 1 << 6;

impl Passkey {
    /// Makes a passkey for these creation options.
    #[must_use]
    pub fn create(options: &Value) -> Self {
        let mut id = vec![0; 32];
        fill(&mut id).unwrap();
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            id,
            user_handle: from_base64url(options["user"]["id"].as_str().unwrap()).unwrap(),
            counter: 0,
            counts: true,
            verifies_user: true,
        }
    }

    /// The answer to creation options on a page of this origin, as `toJSON()` writes it.
    #[must_use]
    pub fn registration(&self, options: &Value, origin: &str) -> Value {
        let authenticator_data =
            self.authenticator_data(options["rp"]["id"].as_str().unwrap(), true);
        // CBOR: {"fmt": "none", "attStmt": {}, "authData": …}
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        attestation.push(u8::try_from(authenticator_data.len()).unwrap());
        attestation.extend(&authenticator_data);
        json!({
            "id": to_base64url(&self.id),
            "rawId": to_base64url(&self.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {"credProps": {"rk": true}},
            "response": {
                "attestationObject": to_base64url(&attestation),
                "clientDataJSON": client_data("webauthn.create", options, origin),
                "transports": ["internal"],
            },
        })
    }

    /// The answer to request options on a page of this origin, as `toJSON()` writes it.
    #[must_use]
    pub fn assertion(&mut self, options: &Value, origin: &str) -> Value {
        if self.counts {
            self.counter += 1;
        }
        let authenticator_data = self.authenticator_data(options["rpId"].as_str().unwrap(), false);
        let client_data = client_data("webauthn.get", options, origin);
        let mut signed = authenticator_data.clone();
        signed.extend(digest(&SHA256, &from_base64url(&client_data).unwrap()).as_ref());
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": to_base64url(&self.id),
            "rawId": to_base64url(&self.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "authenticatorData": to_base64url(&authenticator_data),
                "clientDataJSON": client_data,
                "signature": to_base64url(signature.as_ref()),
                "userHandle": to_base64url(&self.user_handle),
            },
        })
    }

    /// WebAuthn §6.1.
    fn authenticator_data(&self, rp_id: &str, with_credential: bool) -> Vec<u8> {
        let mut data = digest(&SHA256, rp_id.as_bytes()).as_ref().to_vec();
        let verified = if self.verifies_user { USER_VERIFIED } else { 0 };
        let credential = if with_credential { HAS_CREDENTIAL } else { 0 };
        data.push(USER_PRESENT | verified | credential);
        data.extend(self.counter.to_be_bytes());
        if with_credential {
            data.extend([0; 16]);
            data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
            data.extend(&self.id);
            let point = self.key.public_key().as_ref();
            // CBOR: {1: 2, 3: -7, -1: 1, -2: x, -3: y}, an ES256 key (RFC 9053 §7.1.1).
            data.extend(b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20");
            data.extend(&point[1..33]);
            data.extend(b"\x22\x58\x20");
            data.extend(&point[33..65]);
        }
        data
    }
}

fn client_data(kind: &str, options: &Value, origin: &str) -> String {
    let data = json!({
        "type": kind,
        "challenge": options["challenge"],
        "origin": origin,
        "crossOrigin": false,
    });
    to_base64url(data.to_string().as_bytes())
}
