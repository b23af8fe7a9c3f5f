//! Messages that arrive in moto.

use std::time::Duration;

use local::mail::Message;
use ratchet_core::entropy::random;
use serde_json::{Value, json};

use super::{Answer, World, logs::CANARY};

/// Somebody who is about to register.
#[derive(Debug, Clone)]
pub(crate) struct Newcomer {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) password: String,
}

impl Newcomer {
    pub(crate) fn new() -> Self {
        let unique = u64::from_be_bytes(random().expect("random bytes"));
        Self {
            name: format!("New-{unique:016x}"),
            email: format!("new-{unique:016x}@example.com"),
            password: format!("{CANARY} words of {unique:016x}"),
        }
    }

    pub(crate) fn body(&self) -> Value {
        json!({"name": self.name, "email": self.email, "password": self.password})
    }
}

impl World {
    pub(crate) async fn register(&self, newcomer: &Newcomer) -> Answer {
        self.api().post("/users", newcomer.body()).await
    }

    /// Registers somebody and confirms the address.
    pub(crate) async fn member(&self) -> Newcomer {
        let newcomer = Newcomer::new();
        assert_eq!(self.register(&newcomer).await.status, 202);
        let mail = self.mail(&newcomer.email, 1).await;
        let body = json!({"token": token(&mail)});
        assert_eq!(self.api().post("/users/confirm-email", body).await.status, 204);
        newcomer
    }

    /// The messages to an address so far.
    pub(crate) async fn mails(&self, to: &str) -> Vec<Message> {
        let all = self.stack().services().messages().await.expect("messages");
        all.into_iter().filter(|message| message.to == to).collect()
    }

    /// The `number`th message to an address, once it has arrived.
    pub(crate) async fn mail(&self, to: &str, number: usize) -> Message {
        for _ in 0..300 {
            if let Some(message) = self.mails(to).await.into_iter().nth(number - 1) {
                return message;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no message {number}");
    }
}

/// The token of a message.
pub(crate) fn token(message: &Message) -> String {
    let at = message.html.find("rm1_").expect("a token");
    message.html[at..].chars().take_while(|c| c.is_alphanumeric() || "_-".contains(*c)).collect()
}

/// The code of a message.
pub(crate) fn code(message: &Message) -> String {
    let (_, rest) = message.html.split_once("<strong>").expect("a code");
    rest.split_once('<').expect("a code").0.to_owned()
}
