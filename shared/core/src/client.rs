//! Clients: resource servers with a credential of their own, which lets them introspect tokens.
//!
//! ```text
//! id        a UUIDv7
//! secret    rs1_ base64url( secret (32) ‖ tag (16) )
//! ```
//!
//! The tag is made like that of a device token, with a key derived from the key ring's tag key,
//! over the prefix, the client's id and the secret. A forged secret, or that of another client, is
//! refused without a database call. The tag alone does not authenticate: the secret is compared
//! with the SHA-256 in the client's item, and a revoked client has no item. The secret has 256 bits
//! of entropy, so it needs neither salt nor stretching.

use std::{fmt, time::Duration};

use aws_lc_rs::hmac;

use crate::{
    device_token,
    encoded_token::encoded_token,
    ids::ClientId,
    key_ring::TagKey,
    secret::{SecretHash, TokenSecret},
    tagged_token::{Format, TagError},
    time::UnixSeconds,
};

/// The prefix of every version 1 secret. Secret scanners can search for it.
pub const PREFIX: &str = "rs1_";

/// How long a credential is valid. A secret cannot outlive the key that tagged it, so it has a
/// fixed end. The key ring keeps the key until then, so no rotation ends the secret earlier.
pub const LIFE: Duration = Duration::from_hours(365 * 24);
const _: () = assert!(LIFE.as_secs() <= device_token::LIFE.as_secs(), "the ring keeps the key");

/// The maximum length of a client's name, in characters.
pub const NAME_CHARS: usize = 64;

const FORMAT: Format = Format::new(PREFIX, 32);

/// A client as its item describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The client's permanent id, which contains the time of its creation.
    pub id: ClientId,
    /// What operators call it. Clients may share a name, for example while a secret is replaced.
    pub name: ClientName,
    /// The hash of its secret.
    pub secret_hash: SecretHash,
}

/// A genuine credential: its tag was checked, or is about to be made.
#[derive(Debug)]
pub struct Credential {
    /// The client that it belongs to.
    pub client_id: ClientId,
    secret: TokenSecret,
}

/// Why an id and a secret are not a valid credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The id or the secret is malformed.
    #[error("the credential is malformed")]
    Malformed,
    /// Well-formed, but no tag key of the ring made this tag for this id.
    #[error("the credential's tag is not ours")]
    Forged,
    /// Genuine, but older than [`LIFE`].
    #[error("the credential has expired")]
    Expired,
}

impl Credential {
    /// The credential of a new client. `secret` must be newly drawn.
    #[must_use]
    pub const fn new(client_id: ClientId, secret: TokenSecret) -> Self {
        Self { client_id, secret }
    }

    /// The client of this credential.
    #[must_use]
    pub fn client(&self, name: ClientName) -> Client {
        Client { id: self.client_id, name, secret_hash: self.secret.hash() }
    }

    /// The secret as the client gets it.
    #[must_use]
    pub fn encode(&self, key: &TagKey) -> EncodedSecret {
        let fields = [self.secret.expose().as_slice()];
        EncodedSecret(FORMAT.encode(&fields, self.client_id.as_bytes(), &derived(key)))
    }

    /// Reads a credential that a client presented.
    ///
    /// `keys` are [`KeyRing::device_tag_keys`](crate::key_ring::KeyRing::device_tag_keys), because
    /// a secret is valid for longer than its key makes new tags.
    ///
    /// # Errors
    /// [`CredentialError`], without looking anything up.
    pub fn parse<'k>(
        id: &str,
        secret: &str,
        keys: impl IntoIterator<Item = &'k TagKey>,
        now: UnixSeconds,
    ) -> Result<Self, CredentialError> {
        let client_id: ClientId = id.parse().map_err(|_| CredentialError::Malformed)?;
        let keys = keys.into_iter().map(derived);
        let fields = FORMAT.decode(secret, client_id.as_bytes(), keys);
        let mut fields = fields.map_err(|error| match error {
            TagError::Malformed => CredentialError::Malformed,
            TagError::Forged => CredentialError::Forged,
        })?;
        let secret = TokenSecret::new(fields.take().ok_or(CredentialError::Malformed)?);
        // The tag covers the id, and with it the time of creation.
        if expires_at(client_id) <= now {
            return Err(CredentialError::Expired);
        }
        Ok(Self { client_id, secret })
    }
}

impl Client {
    /// Whether a genuine credential belongs to this client.
    ///
    /// # Security
    /// The hashes are compared in constant time.
    #[must_use]
    pub fn accepts(&self, credential: &Credential) -> bool {
        self.id == credential.client_id && self.secret_hash == credential.secret.hash()
    }
}

/// When a client's credential expires: the first second in which it is refused.
#[must_use]
pub fn expires_at(id: ClientId) -> UnixSeconds {
    id.created_at().seconds().plus(LIFE)
}

fn derived(key: &TagKey) -> hmac::Key {
    key.derive(b"ratchet client secret v1")
}

/// What operators call a client: text without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientName(String);

/// The text is not a client's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a client's name has 1 to {NAME_CHARS} characters, and no control characters")]
pub struct InvalidClientName;

impl ClientName {
    /// Trims and checks a name.
    ///
    /// # Errors
    /// [`InvalidClientName`].
    pub fn parse(name: &str) -> Result<Self, InvalidClientName> {
        let name = name.trim();
        let is_long = name.chars().count() > NAME_CHARS;
        if name.is_empty() || is_long || name.chars().any(char::is_control) {
            return Err(InvalidClientName);
        }
        Ok(Self(name.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

encoded_token! {
    /// A secret's text on its way to the operator who made the client.
    EncodedSecret
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        encoding::{from_base64url, to_base64url},
        time::UnixMillis,
    };

    const NOW: UnixSeconds = UnixSeconds::new(1_780_000_000);

    fn key(byte: u8) -> TagKey {
        TagKey::new(&[byte; 32])
    }

    fn id(byte: u8) -> ClientId {
        ClientId::generate(UnixMillis::new(NOW.get() * 1_000), &[byte; 10])
    }

    fn credential(byte: u8) -> Credential {
        Credential::new(id(byte), TokenSecret::new([byte; 32]))
    }

    fn parse(id: &str, secret: &str) -> Result<Credential, CredentialError> {
        Credential::parse(id, secret, &[key(9), key(7)], NOW)
    }

    fn name(text: &str) -> ClientName {
        ClientName::parse(text).unwrap()
    }

    #[test]
    fn a_credential_reads_back_and_its_client_accepts_it() {
        let made = credential(1);
        let text = made.encode(&key(7));
        let read = parse(&id(1).to_string(), text.expose()).unwrap();
        assert!(made.client(name("orders")).accepts(&read));
    }

    #[test]
    fn a_client_accepts_no_credential_but_its_own() {
        let client = credential(1).client(name("orders"));
        assert!(!client.accepts(&credential(2)));
        assert!(!client.accepts(&Credential::new(id(1), TokenSecret::new([2; 32]))));
        assert!(!client.accepts(&Credential::new(id(2), TokenSecret::new([1; 32]))));
    }

    #[test]
    fn the_secret_of_another_client_or_ring_is_forged() {
        let text = credential(1).encode(&key(7));
        let refusal = parse(&id(2).to_string(), text.expose()).unwrap_err();
        assert_eq!(refusal, CredentialError::Forged);
        let own = id(1).to_string();
        for keys in [&[key(8)][..], &[]] {
            let refusal = Credential::parse(&own, text.expose(), keys, NOW).unwrap_err();
            assert_eq!(refusal, CredentialError::Forged);
        }
    }

    #[test]
    fn a_credential_ends_to_the_second() {
        let (own, text) = (id(1).to_string(), credential(1).encode(&key(7)));
        let at = |now| Credential::parse(&own, text.expose(), &[key(7)], UnixSeconds::new(now));
        let end = expires_at(id(1)).get();
        assert_eq!(end, NOW.get() + 365 * 86_400);
        assert!(at(end - 1).is_ok());
        assert_eq!(at(end).unwrap_err(), CredentialError::Expired);
    }

    #[test]
    fn every_flipped_bit_is_forged() {
        let (own, text) = (id(1).to_string(), credential(1).encode(&key(7)));
        let bytes = from_base64url(text.expose().strip_prefix(PREFIX).unwrap()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let text = [PREFIX, &to_base64url(&flipped)].concat();
            assert_eq!(parse(&own, &text).unwrap_err(), CredentialError::Forged, "bit {bit}");
        }
    }

    #[test]
    fn other_forms_are_malformed() {
        let (own, text) = (id(1).to_string(), credential(1).encode(&key(7)));
        let text = text.expose();
        let refresh = text.replacen(PREFIX, "rt1_", 1);
        for secret in ["", PREFIX, &text[1..], &format!("{text}="), &format!(" {text}"), &refresh] {
            let refusal = parse(&own, secret).unwrap_err();
            assert_eq!(refusal, CredentialError::Malformed, "{secret}");
        }
        for id in ["", "orders", &own.to_uppercase(), &own.replace('-', ""), &format!("{own} ")] {
            assert_eq!(parse(id, text).unwrap_err(), CredentialError::Malformed, "{id}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused(id: String, secret: String) {
            prop_assert!(parse(&id, &secret).is_err());
        }
    }

    #[test]
    fn names_are_short_text() {
        assert_eq!(name(" Orders API ").to_string(), "Orders API");
        assert_eq!(name(&"é".repeat(NAME_CHARS)).as_str().chars().count(), NAME_CHARS);
        for bad in ["", " ", "a\nb", "a\u{1b}[31m", &"a".repeat(NAME_CHARS + 1)] {
            assert_eq!(ClientName::parse(bad), Err(InvalidClientName), "{bad:?}");
        }
    }

    #[test]
    fn nothing_prints_a_secret() {
        let made = credential(b'x');
        let text = made.encode(&key(7));
        let secret = to_base64url(&[b'x'; 32]);
        for printed in [format!("{made:?}"), format!("{text:?}")] {
            assert!(!printed.contains(&secret) && !printed.contains("120"), "{printed}");
        }
    }
}
