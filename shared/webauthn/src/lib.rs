//! The ceremonies of passkeys (WebAuthn level 3): options for authenticators, and the verification of
//! what they answer.
//!
//! Pure: a ceremony's state is a text that the caller keeps from one to the other, and a credential is a
//! text that the caller stores. Nothing here looks anything up.

use ratchet_core::{encoding::to_base64url, ids::UserId};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;
use webauthn_rs::{
    Webauthn, WebauthnBuilder,
    prelude::{
        AuthenticationResult, DiscoverableAuthentication, DiscoverableKey, Passkey,
        PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential, WebauthnError,
    },
};

/// The longest credential that is taken, in bytes. A user's passkeys are one item.
const LONGEST_CREDENTIAL: usize = 4 * 1024;

/// A web site that passkeys are for: the relying party.
#[derive(Debug, Clone)]
pub struct RelyingParty(Webauthn);

/// The settings do not make a relying party.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum InvalidRelyingParty {
    /// Not an origin.
    #[error("{0:?} is not an origin such as https://app.example.com")]
    Origin(String),
    /// A browser would refuse the id on this origin.
    #[error("the id has to be the host of each origin, or a parent domain of it")]
    Id,
    /// There is no origin.
    #[error("there has to be an origin")]
    NoOrigin,
}

/// Options for an authenticator.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// What `PublicKeyCredential.parseCreationOptionsFromJSON()` or `parseRequestOptionsFromJSON()`
    /// takes.
    pub options: Value,
    /// What the answer is verified with.
    pub state: String,
}

/// A credential that an authenticator has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// Its id.
    pub id: Vec<u8>,
    /// What later answers are verified with.
    pub credential: String,
    /// Whether the user's devices share it, or a backup has it.
    pub backed_up: bool,
}

/// Who a genuine answer may be from. Nothing has been verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The user, if the authenticator says so.
    pub user_id: Option<UserId>,
    /// The id of the credential.
    pub credential_id: Vec<u8>,
}

/// A verified answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The credential, if it has changed. It counts signatures, unless it is shared between devices.
    pub credential: Option<String>,
    /// Whether the user's devices share it, or a backup has it.
    pub backed_up: bool,
}

/// Why an answer was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The answer is not genuine, of another ceremony or origin, or its user was not verified.
    #[error("the authenticator's answer is refused")]
    Wrong(#[source] WebauthnError),
    /// The credential's counter went back: there may be a copy of its key.
    #[error("the counter of the credential went back")]
    Cloned,
    /// The page that signed was in a frame of another site.
    #[error("the page was in a frame of another site")]
    Framed,
    /// The credential is longer than any that authenticators make without an attestation.
    #[error("the credential has more than {LONGEST_CREDENTIAL} bytes")]
    TooLong,
    /// What is stored of the ceremony or the credential cannot be read.
    #[error("the stored state or credential cannot be read")]
    Unreadable(#[from] serde_json::Error),
}

impl From<WebauthnError> for Refusal {
    fn from(error: WebauthnError) -> Self {
        match error {
            WebauthnError::CredentialPossibleCompromise => Self::Cloned,
            error => Self::Wrong(error),
        }
    }
}

/// The answer to creation options, as `PublicKeyCredential.toJSON()` writes it.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(transparent)]
pub struct RegistrationAnswer(RegisterPublicKeyCredential);

/// The answer to request options, as `PublicKeyCredential.toJSON()` writes it.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(transparent)]
pub struct AuthenticationAnswer(PublicKeyCredential);

impl AuthenticationAnswer {
    /// Who the answer may be from.
    #[must_use]
    pub fn claimed(&self) -> Claimed {
        let user_id = self.0.get_user_unique_id().and_then(|bytes| bytes.try_into().ok());
        Claimed {
            user_id: user_id.map(UserId::from_bytes),
            credential_id: self.0.get_credential_id().to_vec(),
        }
    }

    /// Whether the page that signed was in a frame of another site. The library checks that only when a
    /// passkey is made.
    fn is_framed(&self) -> bool {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Frame {
            #[serde(default)]
            cross_origin: bool,
            top_origin: Option<String>,
        }
        let frame = serde_json::from_slice(&self.0.response.client_data_json);
        frame.map_or(true, |frame: Frame| frame.cross_origin || frame.top_origin.is_some())
    }
}

impl RelyingParty {
    /// The relying party with this id, whose pages have these origins.
    ///
    /// # Errors
    /// [`InvalidRelyingParty`].
    pub fn new(id: &str, name: &str, origins: &[String]) -> Result<Self, InvalidRelyingParty> {
        let parse = |text: &String| {
            let url = Url::parse(text).map_err(|_| InvalidRelyingParty::Origin(text.clone()))?;
            let is_origin = url.origin().ascii_serialization() == *text;
            // Apps for Android have such an origin: the hash of their signing certificate.
            let is_app = url.scheme() == "android";
            if is_origin || is_app {
                Ok(url)
            } else {
                Err(InvalidRelyingParty::Origin(text.clone()))
            }
        };
        let origins: Vec<Url> = origins.iter().map(parse).collect::<Result<_, _>>()?;
        let mut sites = origins.iter().filter(|url| url.scheme() != "android");
        let first = sites.next().ok_or(InvalidRelyingParty::NoOrigin)?;
        let builder = WebauthnBuilder::new(id, first).map_err(|_| InvalidRelyingParty::Id)?;
        if sites.any(|site| WebauthnBuilder::new(id, site).is_err()) {
            return Err(InvalidRelyingParty::Id);
        }
        let builder =
            origins.iter().fold(builder.rp_name(name), WebauthnBuilder::append_allowed_origin);
        builder.build().map(Self).map_err(|_| InvalidRelyingParty::Id)
    }

    /// Options to make a passkey for a user who has these credentials already.
    ///
    /// # Errors
    /// [`Refusal::Unreadable`].
    pub fn begin_registration<'a>(
        &self,
        user_id: UserId,
        user_name: &str,
        credentials: impl IntoIterator<Item = &'a str>,
    ) -> Result<Begun, Refusal> {
        let user = Uuid::from_bytes(*user_id.as_bytes());
        // The library would keep the credentials in the state, which is then as long as they are many.
        let (options, state) =
            self.0.start_passkey_registration(user, user_name, user_name, None)?;
        let mut options = inner(serde_json::to_value(options)?);
        if let Some(options) = options.as_object_mut() {
            let known = descriptors(credentials)?;
            options.insert("excludeCredentials".to_owned(), Value::Array(known));
        }
        // The library asks for passkeys that need the user's name at sign-in, which it also accepts
        // without. These do not.
        if let Some(selection) = options.get_mut("authenticatorSelection") {
            *selection = json!({
                "residentKey": "required",
                "requireResidentKey": true,
                "userVerification": "required",
            });
        }
        Ok(Begun { options, state: serde_json::to_string(&state)? })
    }

    /// Verifies the answer to creation options.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn finish_registration(
        &self,
        answer: &RegistrationAnswer,
        state: &str,
    ) -> Result<NewCredential, Refusal> {
        let state: PasskeyRegistration = serde_json::from_str(state)?;
        let passkey = self.0.finish_passkey_registration(&answer.0, &state)?;
        let stored = serde_json::to_value(&passkey)?;
        let credential = stored.to_string();
        if credential.len() > LONGEST_CREDENTIAL {
            return Err(Refusal::TooLong);
        }
        // The library does not say it.
        let backed_up = stored.pointer("/cred/backup_state").and_then(Value::as_bool);
        Ok(NewCredential {
            id: passkey.cred_id().clone(),
            credential,
            backed_up: backed_up.unwrap_or(false),
        })
    }

    /// Options to sign with any passkey of this relying party, or with one of these credentials.
    ///
    /// # Errors
    /// [`Refusal::Unreadable`].
    pub fn begin_authentication<'a>(
        &self,
        credentials: impl IntoIterator<Item = &'a str>,
    ) -> Result<Begun, Refusal> {
        let allowed = descriptors(credentials)?;
        let (options, state) = self.0.start_discoverable_authentication()?;
        let mut options = inner(serde_json::to_value(options)?);
        if let Some(options) = options.as_object_mut() {
            options.insert("allowCredentials".to_owned(), Value::Array(allowed));
            options.remove("extensions");
        }
        Ok(Begun { options, state: serde_json::to_string(&state)? })
    }

    /// Verifies the answer to request options, by the credential that the answer names.
    ///
    /// # Security
    /// The caller has found the credential among those of the user whom the answer names, or whose
    /// password proved right.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn finish_authentication(
        &self,
        answer: &AuthenticationAnswer,
        state: &str,
        credential: &str,
    ) -> Result<Verified, Refusal> {
        if answer.is_framed() {
            return Err(Refusal::Framed);
        }
        let state: DiscoverableAuthentication = serde_json::from_str(state)?;
        let mut passkey = read(credential)?;
        let key = DiscoverableKey::from(&passkey);
        let result: AuthenticationResult =
            self.0.finish_discoverable_authentication_v2(&answer.0, state, &key)?;
        let changed = passkey.update_credential(&result) == Some(true);
        Ok(Verified {
            backed_up: result.backup_state(),
            credential: changed.then(|| serde_json::to_string(&passkey)).transpose()?,
        })
    }
}

/// The credentials' descriptors (WebAuthn §5.8.3).
fn descriptors<'a>(credentials: impl IntoIterator<Item = &'a str>) -> Result<Vec<Value>, Refusal> {
    let descriptor = |credential| {
        let id = to_base64url(read(credential)?.cred_id());
        Ok(json!({"type": "public-key", "id": id}))
    };
    credentials.into_iter().map(descriptor).collect()
}

fn read(credential: &str) -> Result<Passkey, serde_json::Error> {
    serde_json::from_str(credential)
}

/// The options themselves: browsers take what is inside `publicKey`.
fn inner(mut options: Value) -> Value {
    options.get_mut("publicKey").map(Value::take).unwrap_or_default()
}
