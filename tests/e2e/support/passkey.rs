//! Users with passkeys.

use authenticator::Passkey;
use serde_json::{Value, json};

use super::{Answer, Tokens, World, people::Person};

/// The page that the stacks of these tests have passkeys for.
pub(crate) const ORIGIN: &str = "https://example.com";

/// Options, with what has to be sent back.
#[derive(Debug, Clone)]
pub(crate) struct Ceremony {
    pub(crate) text: String,
    pub(crate) options: Value,
}

/// Somebody with a passkey.
pub(crate) struct Keeper {
    pub(crate) person: Person,
    /// Of the session in which it was added.
    pub(crate) tokens: Tokens,
    pub(crate) passkey: Passkey,
    /// The id of the passkey.
    pub(crate) id: String,
}

impl Ceremony {
    /// That of an answer with options.
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        let text = body["ceremony"].as_str().expect("a ceremony").to_owned();
        Self { text, options: body["options"].clone() }
    }

    /// The body that adds a passkey.
    pub(crate) fn addition(&self, passkey: &Passkey, name: &str) -> Value {
        let credential = passkey.registration(&self.options, ORIGIN);
        json!({"ceremony": self.text, "credential": credential, "name": name})
    }

    /// The body that signs in.
    pub(crate) fn sign_in(&self, passkey: &mut Passkey) -> Value {
        let credential = passkey.assertion(&self.options, ORIGIN);
        json!({"ceremony": self.text, "credential": credential})
    }
}

impl World {
    /// Begins to add a passkey.
    pub(crate) async fn begin_passkey(&self, person: &Person, access: &str) -> Ceremony {
        let body = json!({"password": person.password});
        Ceremony::of(&self.ask("POST", "/users/me/passkeys/options", access, body).await)
    }

    /// Begins to add a passkey with the access token of a step-up.
    pub(crate) async fn begin_passkey_stepped_up(&self, access: &str) -> Ceremony {
        Ceremony::of(&self.ask("POST", "/users/me/passkeys/options", access, json!({})).await)
    }

    /// Makes a ceremony look as if somebody had made it with the keys of the ring.
    pub(crate) async fn forget_ceremony(&self, ceremony: &Ceremony) {
        self.forget_challenge(&ceremony.text).await;
    }

    /// Adds a passkey.
    pub(crate) async fn add_passkey(&self, access: &str, body: &Value) -> Answer {
        self.ask("POST", "/users/me/passkeys", access, body.clone()).await
    }

    /// Somebody who has added a passkey.
    pub(crate) async fn keeper(&self) -> Keeper {
        let (person, tokens) = self.signed_in().await;
        self.keeper_of(person, tokens).await
    }

    /// Adds a passkey for somebody who is signed in.
    pub(crate) async fn keeper_of(&self, person: Person, tokens: Tokens) -> Keeper {
        let ceremony = self.begin_passkey(&person, &tokens.access).await;
        self.keeper_with(person, tokens, &ceremony).await
    }

    /// Adds a passkey in this ceremony.
    pub(crate) async fn keeper_with(
        &self,
        person: Person,
        tokens: Tokens,
        ceremony: &Ceremony,
    ) -> Keeper {
        let passkey = Passkey::create(&ceremony.options);
        let added = self.add_passkey(&tokens.access, &ceremony.addition(&passkey, "Phone")).await;
        assert_eq!(added.status, 201, "{added:?}");
        let id = added.json()["id"].as_str().expect("an id").to_owned();
        Keeper { person, tokens, passkey, id }
    }

    /// Begins to sign in with any passkey.
    pub(crate) async fn begin_passkey_sign_in(&self) -> Ceremony {
        Ceremony::of(&self.api().post("/passkeys/options", json!({})).await)
    }

    /// Signs in with a passkey.
    pub(crate) async fn sign_in_with(&self, passkey: &mut Passkey) -> Answer {
        let ceremony = self.begin_passkey_sign_in().await;
        self.api().post("/passkeys/authenticate", ceremony.sign_in(passkey)).await
    }

    /// Removes a passkey.
    pub(crate) async fn remove_passkey(&self, keeper: &Keeper) -> Answer {
        let path = format!("/users/me/passkeys/{}", keeper.id);
        let body = json!({"password": keeper.person.password});
        self.ask("DELETE", &path, &keeper.tokens.access, body).await
    }
}
