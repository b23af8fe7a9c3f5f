//! Clients that prove possession of a key.

use std::sync::Mutex;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use ratchet_core::encoding::{sha256, to_base64url};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{Answer, Api, Tokens, World, people::Person, people::now};

/// A client with a key. It remembers the last nonce and uses it.
pub(crate) struct KeyClient {
    pub(crate) api: Api,
    issuer: String,
    key: EcdsaKeyPair,
    nonce: Mutex<Option<String>>,
}

impl KeyClient {
    pub(crate) async fn new(world: &World) -> Self {
        let api = world.api();
        let metadata = api.request("GET", "/.well-known/oauth-authorization-server");
        let metadata = Answer::of(metadata).await.json();
        Self {
            api,
            issuer: metadata["issuer"].as_str().expect("an issuer").to_owned(),
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"),
            nonce: Mutex::default(),
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "x": to_base64url(x), "y": to_base64url(y)})
    }

    pub(crate) fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()})
    }

    /// The claims of a proof for a request to the service.
    pub(crate) fn claims(&self, method: &str, path: &str, access_token: Option<&str>) -> Value {
        let mut claims = json!({
            "jti": "a-proof", "htm": method, "htu": format!("{}{path}", self.issuer),
            "iat": now().seconds().get(),
        });
        if let Some(token) = access_token {
            claims["ath"] = json!(to_base64url(&sha256(token.as_bytes())));
        }
        if let Some(nonce) = self.nonce.lock().expect("a nonce").as_ref() {
            claims["nonce"] = json!(nonce);
        }
        claims
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| to_base64url(value.to_string().as_bytes());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).expect("a signature");
        format!("{input}.{}", to_base64url(signature.as_ref()))
    }

    pub(crate) fn proof(&self, method: &str, path: &str, access_token: Option<&str>) -> String {
        self.sign(&self.header(), &self.claims(method, path, access_token))
    }

    /// Sends a request with a proof, and again with the nonce if it is asked for one.
    pub(crate) async fn send(
        &self,
        (method, path): (&str, &str),
        access_token: Option<&str>,
        complete: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Answer {
        let send = || {
            let request = complete(self.api.request(method, path));
            let request = request.header("dpop", self.proof(method, path, access_token));
            Answer::of(match access_token {
                None => request,
                Some(token) => request.header("authorization", format!("DPoP {token}")),
            })
        };
        let answer = send().await;
        self.remember(&answer);
        if answer.body.contains("use_dpop_nonce") { send().await } else { answer }
    }

    pub(crate) fn remember(&self, answer: &Answer) {
        if let Some(nonce) = answer.headers.get("dpop-nonce") {
            let nonce = nonce.to_str().expect("text").to_owned();
            *self.nonce.lock().expect("a nonce") = Some(nonce);
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(("POST", path), None, |request| request.json(body)).await
    }

    pub(crate) async fn try_sign_in(&self, person: &Person) -> Answer {
        let body = json!({"name": person.name, "password": person.password});
        self.post("/authenticate", &body).await
    }

    pub(crate) async fn sign_in(&self, person: &Person) -> Tokens {
        self.try_sign_in(person).await.tokens()
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post("/refresh", &json!({"refresh_token": refresh_token})).await
    }

    pub(crate) async fn get(&self, path: &str, access_token: &str) -> Answer {
        self.send(("GET", path), Some(access_token), |request| request).await
    }
}
