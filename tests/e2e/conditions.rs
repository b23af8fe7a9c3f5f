//! The conditions of the store's writes, one by one, on the real database. Each test fails if its
//! condition is left out of the write; `tests/README.md` lists the test of each.

mod clients;
mod counters;
mod email_sign_in;
mod factors;
mod model;
mod proofs;
mod sessions;
mod users;

use std::{collections::HashMap, pin::Pin, time::Duration};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use ratchet_core::{
    entropy::random,
    ids::UserId,
    letter::{Letter, Notice},
    password::PhcHash,
};

use crate::support::{
    World, aws,
    people::now,
    proxy::{Fault, Proxy},
};

type Item = HashMap<String, AttributeValue>;

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn text(value: &(impl ToString + ?Sized)) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

fn hash(number: u32) -> PhcHash {
    PhcHash::new(format!("$argon2id$number-{number}"))
}

fn letter(user_id: UserId) -> Letter {
    Letter::new(Notice::PasswordChanged { user_id }, now(), &random().unwrap())
}

/// A client whose calls go through a proxy.
async fn proxied(world: &World) -> (Client, Proxy) {
    let proxy = Proxy::before(world.stack().services().dynamodb().endpoint()).await;
    let endpoint = proxy.endpoint();
    let settings = aws::settings(&endpoint, &endpoint).await;
    (settings.dynamodb(), proxy)
}

/// Does something between the reads of a call and its write, which is delayed until then.
async fn between<T: Send + 'static>(
    proxy: &Proxy,
    operation: &str,
    call: Pin<Box<dyn Future<Output = T> + Send>>,
    meanwhile: impl AsyncFnOnce(),
) -> T {
    let calls = proxy.calls(operation);
    proxy.break_next(operation, 1, Fault::Delay(Duration::from_millis(500)));
    let call = tokio::spawn(call);
    proxy.arrived(operation, calls, &call).await;
    Box::pin(meanwhile()).await;
    call.await.unwrap()
}

impl World {
    /// Deletes an item of the users table, as TTL would.
    async fn delete_users_item(&self, pk: &str) {
        let delete = self.stack().dynamodb().delete_item();
        let delete = delete.table_name(&self.stack().data().users_table);
        delete.key("pk", text(pk)).send().await.expect("a deleted item");
    }

    /// Removes attributes of a user's item.
    async fn remove_user_attributes(&self, id: UserId, names: &[&str]) {
        let mut item = self.users_item(&format!("user#{id}")).await.expect("a user");
        item.retain(|name, _| !names.contains(&name.as_str()));
        self.put_user_item(item).await;
    }

    /// Gives a name or an address to another user.
    async fn give_away(&self, pk: &str) -> String {
        let other = UserId::generate(now(), &random().unwrap()).to_string();
        let item = [("pk", text(pk)), ("user_id", text(&other))];
        let item = item.map(|(name, value)| (name.to_owned(), value));
        self.put_user_item(item.into()).await;
        other
    }

    async fn owner(&self, pk: &str) -> String {
        self.users_item(pk).await.expect("a pointer")["user_id"].as_s().unwrap().clone()
    }
}
