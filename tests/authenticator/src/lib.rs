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
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that a test changes")]
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
    /// Whether the user's devices share it.
    pub is_shared: bool,
    /// Whether it signs what it has made, although nobody asks.
    pub attests: bool,
    /// Members of the client's data, in place of its own.
    pub client_data: Vec<(String, Value)>,
}

impl std::fmt::Debug for Passkey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passkey").field("id", &self.id).finish_non_exhaustive()
    }
}

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
/// Eligible for a backup, and backed up.
const SHARED: u8 = (1 << 3) | (1 << 4);
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
            is_shared: false,
            attests: false,
            client_data: Vec::new(),
        }
    }

    /// The answer to creation options on a page of this origin, as `toJSON()` writes it.
    #[must_use]
    pub fn registration(&self, options: &Value, origin: &str) -> Value {
        let authenticator_data =
            self.authenticator_data(options["rp"]["id"].as_str().unwrap(), true);
        let client_data = self.client_data("webauthn.create", options, origin);
        // CBOR: {"fmt": "none", "attStmt": {}, "authData": …}, or "packed" with {"alg": -7, "sig": …}.
        let mut attestation = if self.attests {
            let signature = self.sign(&authenticator_data, &client_data);
            let mut attestation =
                b"\xa3\x63fmt\x66packed\x67attStmt\xa2\x63alg\x26\x63sig\x58".to_vec();
            attestation.push(u8::try_from(signature.len()).unwrap());
            attestation.extend(&signature);
            attestation
        } else {
            b"\xa3\x63fmt\x64none\x67attStmt\xa0".to_vec()
        };
        attestation.extend(b"\x68authData\x58");
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
                "clientDataJSON": client_data,
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
        let client_data = self.client_data("webauthn.get", options, origin);
        let signature = self.sign(&authenticator_data, &client_data);
        json!({
            "id": to_base64url(&self.id),
            "rawId": to_base64url(&self.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "authenticatorData": to_base64url(&authenticator_data),
                "clientDataJSON": client_data,
                "signature": to_base64url(&signature),
                "userHandle": to_base64url(&self.user_handle),
            },
        })
    }

    fn sign(&self, authenticator_data: &[u8], client_data: &str) -> Vec<u8> {
        let mut signed = authenticator_data.to_vec();
        signed.extend(digest(&SHA256, &from_base64url(client_data).unwrap()).as_ref());
        self.key.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec()
    }

    /// WebAuthn §6.1.
    fn authenticator_data(&self, rp_id: &str, with_credential: bool) -> Vec<u8> {
        let mut data = digest(&SHA256, rp_id.as_bytes()).as_ref().to_vec();
        let verified = if self.verifies_user { USER_VERIFIED } else { 0 };
        let credential = if with_credential { HAS_CREDENTIAL } else { 0 };
        let shared = if self.is_shared { SHARED } else { 0 };
        data.push(USER_PRESENT | verified | shared | credential);
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

    fn client_data(&self, kind: &str, options: &Value, origin: &str) -> String {
        let mut data = json!({
            "type": kind,
            "challenge": options["challenge"],
            "origin": origin,
            "crossOrigin": false,
        });
        for (member, value) in &self.client_data {
            data[member] = value.clone();
        }
        to_base64url(data.to_string().as_bytes())
    }
}
