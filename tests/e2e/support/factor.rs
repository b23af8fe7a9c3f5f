//! Users with an authenticator app.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use ratchet_core::{
    encoding::to_base64url,
    ids::UserId,
    second_factor::{ChallengeHash, SECRET_LEN, TotpSecret},
    time::UnixSeconds,
};
use serde_json::{Value, json};

use super::{
    Answer, Tokens, World,
    people::{Person, now},
};

/// An authenticator app.
#[derive(Clone)]
pub(crate) struct Authenticator(Arc<TotpSecret>);

impl Authenticator {
    /// From the secret as it is typed.
    pub(crate) fn new(base32: &str) -> Self {
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let (mut bits, mut number, mut bytes) = (0, 0_u32, Vec::new());
        for sign in base32.chars() {
            let value = alphabet.find(sign).expect("base 32");
            number = ((number << 5) | u32::try_from(value).expect("five bits")) & 0xffff;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from((number >> bits) & 0xff).expect("a byte"));
            }
        }
        let bytes: [u8; SECRET_LEN] = bytes.try_into().expect("a secret");
        Self(Arc::new(TotpSecret::new(bytes)))
    }

    /// The code that it shows.
    pub(crate) fn code(&self) -> String {
        self.code_after(0)
    }

    /// The code that it shows after this many seconds.
    pub(crate) fn code_after(&self, seconds: i64) -> String {
        let now = now().seconds().get().checked_add_signed(seconds).expect("a time");
        self.0.code_at(UnixSeconds::new(now))
    }

    /// A code that is wrong now and in the next minutes.
    pub(crate) fn wrong_code(&self) -> String {
        let right: Vec<_> = (-4..=4).map(|step| self.code_after(step * 30)).collect();
        let mut codes = (0..20).map(|number| format!("{number:06}"));
        codes.find(|code| !right.contains(code)).expect("a wrong code")
    }
}

/// Somebody whose second factor is on.
pub(crate) struct Enrolled {
    pub(crate) person: Person,
    /// Of the session in which it was switched on.
    pub(crate) tokens: Tokens,
    pub(crate) app: Authenticator,
    pub(crate) recovery: Vec<String>,
}

/// The challenge of an answer.
pub(crate) fn challenge(answer: &Answer) -> String {
    assert_eq!(answer.status, 401, "{answer:?}");
    answer.json()["challenge"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

/// The recovery codes of an answer.
pub(crate) fn recovery_codes(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let codes = answer.json()["recovery_codes"].as_array().expect("codes").clone();
    codes.iter().map(|code| code.as_str().expect("a code").to_owned()).collect()
}

impl World {
    /// A request with an access token.
    pub(crate) async fn ask(&self, method: &str, path: &str, access: &str, body: Value) -> Answer {
        Answer::of(self.api().request(method, path).bearer_auth(access).json(&body)).await
    }

    /// Begins to set up a second factor.
    pub(crate) async fn begin_totp(&self, person: &Person, access: &str) -> Authenticator {
        let body = json!({"password": person.password});
        let answer = self.ask("POST", "/users/me/totp", access, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Authenticator::new(answer.json()["secret"].as_str().expect("a secret"))
    }

    /// Somebody who has switched a second factor on.
    pub(crate) async fn enrolled(&self) -> Enrolled {
        let (person, tokens) = self.signed_in().await;
        let app = self.begin_totp(&person, &tokens.access).await;
        let body = json!({"code": app.code()});
        let answer = self.ask("POST", "/users/me/totp/confirm", &tokens.access, body).await;
        let recovery = recovery_codes(&answer);
        self.forget_steps(person.id).await;
        Enrolled { person, tokens, app, recovery }
    }

    /// Makes a factor look as if its last code had been used long ago.
    pub(crate) async fn forget_steps(&self, id: UserId) {
        self.set_factor(id, "last_step", AttributeValue::N("0".to_owned())).await;
    }

    /// Sets an attribute of a user's second factor.
    pub(crate) async fn set_factor(&self, id: UserId, name: &str, value: AttributeValue) {
        let mut item = self.users_item(&format!("factor#{id}")).await.expect("a factor");
        item.insert(name.to_owned(), value);
        self.put_user_item(item).await;
    }

    /// The challenge that somebody gets for the right password.
    pub(crate) async fn challenge(&self, person: &Person) -> String {
        let answer = super::api::available(|| self.try_sign_in(person)).await;
        assert_eq!(answer.code(), "second_factor_required");
        challenge(&answer)
    }

    /// Makes a challenge look as if somebody had made it with the keys of the ring.
    pub(crate) async fn forget_challenge(&self, challenge: &str) {
        let hash = to_base64url(ChallengeHash::of(challenge).as_bytes());
        let pk = AttributeValue::S(format!("challenge#sign_in#{hash}"));
        let delete = self.stack().dynamodb().delete_item().key("pk", pk);
        let delete = delete.return_values(ReturnValue::AllOld);
        let deleted = delete.table_name(&self.stack().data().users_table).send().await;
        assert!(deleted.expect("a table").attributes.is_some(), "it was stored");
    }

    /// Completes a sign-in with a code.
    pub(crate) async fn complete(&self, challenge: &str, code: &str) -> Answer {
        self.api()
            .post("/authenticate/second-factor", json!({"challenge": challenge, "code": code}))
            .await
    }

    /// Completes a sign-in with a recovery code.
    pub(crate) async fn recover(&self, challenge: &str, code: &str) -> Answer {
        let body = json!({"challenge": challenge, "recovery_code": code});
        self.api().post("/authenticate/second-factor", body).await
    }
}
