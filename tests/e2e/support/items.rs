//! Reads and changes items in the tables. Tests let time pass by changing the times in items.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use ratchet_core::{
    encoding::from_base64url,
    ids::{SessionId, UserId},
    session::Session,
};
use ratchet_store::Sessions;

use super::World;

/// The fields of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenIds {
    pub(crate) user_id: UserId,
    pub(crate) session_id: SessionId,
    pub(crate) generation: u32,
}

pub(crate) fn ids(refresh_token: &str) -> TokenIds {
    let bytes = from_base64url(refresh_token.strip_prefix("rt1_").expect("a prefix"));
    let bytes = bytes.expect("base64url");
    TokenIds {
        user_id: UserId::from_bytes(bytes[..16].try_into().expect("16 bytes")),
        session_id: SessionId::from_bytes(bytes[16..32].try_into().expect("16 bytes")),
        generation: u32::from_be_bytes(bytes[32..36].try_into().expect("4 bytes")),
    }
}

impl World {
    pub(crate) fn sessions(&self) -> Sessions {
        Sessions::new(self.stack().dynamodb(), self.stack().data().tokens_table.as_str())
    }

    /// The session of a refresh token.
    pub(crate) async fn session(&self, refresh_token: &str) -> Option<Session> {
        let ids = ids(refresh_token);
        self.sessions().find(ids.user_id, ids.session_id).await.expect("a readable session")
    }

    /// The session's item as it is stored.
    pub(crate) async fn item(&self, refresh_token: &str) -> HashMap<String, AttributeValue> {
        let get = self.stack().dynamodb().get_item().consistent_read(true);
        let get = get.table_name(&self.stack().data().tokens_table);
        let output = get.set_key(Some(key(refresh_token))).send().await.expect("an item");
        output.item.expect("an item")
    }

    /// Stores an item as it is.
    pub(crate) async fn put_item(&self, item: HashMap<String, AttributeValue>) {
        let put = self.stack().dynamodb().put_item();
        let put = put.table_name(&self.stack().data().tokens_table).set_item(Some(item));
        put.send().await.expect("a kept item");
    }

    /// Deletes the session's item, as TTL would.
    pub(crate) async fn delete_item(&self, refresh_token: &str) {
        let delete = self.stack().dynamodb().delete_item();
        let delete = delete.table_name(&self.stack().data().tokens_table);
        delete.set_key(Some(key(refresh_token))).send().await.expect("a deleted item");
    }

    /// Makes everything superseded so far look as if it had been superseded this much earlier.
    pub(crate) async fn age_superseded(&self, refresh_token: &str, by: Duration) {
        let mut item = self.item(refresh_token).await;
        for slot in ["superseded_1", "superseded_2", "superseded_3", "superseded_4"] {
            let Some(AttributeValue::M(slot)) = item.get_mut(slot) else { panic!("no {slot}") };
            if let Some(AttributeValue::N(at)) = slot.get_mut("at_ms") {
                let millis: u64 = at.parse().expect("a number");
                *at = (millis - u64::try_from(by.as_millis()).expect("millis")).to_string();
            }
        }
        self.put_item(item).await;
    }

    /// Sets a number of the session's item.
    pub(crate) async fn set_number(&self, refresh_token: &str, name: &str, value: u64) {
        let mut item = self.item(refresh_token).await;
        item.insert(name.to_owned(), AttributeValue::N(value.to_string()));
        self.put_item(item).await;
    }

    /// Sets an attribute of a user's item.
    pub(crate) async fn set_user(&self, id: UserId, name: &str, value: AttributeValue) {
        let update = self.stack().dynamodb().update_item();
        update
            .table_name(&self.stack().data().users_table)
            .key("pk", AttributeValue::S(format!("user#{id}")))
            .update_expression("SET #name = :value")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value)
            .send()
            .await
            .expect("a changed user");
    }

    /// An attribute of a user's item.
    pub(crate) async fn user_text(&self, id: UserId, name: &str) -> String {
        let item = self.users_item(&format!("user#{id}")).await.expect("a user");
        item[name].as_s().expect("a text").clone()
    }

    /// The item under a key of the users table.
    pub(crate) async fn users_item(&self, pk: &str) -> Option<HashMap<String, AttributeValue>> {
        let get = self.stack().dynamodb().get_item().consistent_read(true);
        let get = get.table_name(&self.stack().data().users_table);
        let get = get.key("pk", AttributeValue::S(pk.to_owned()));
        get.send().await.expect("an answer").item
    }

    /// Stores an item of the users table as it is.
    pub(crate) async fn put_user_item(&self, item: HashMap<String, AttributeValue>) {
        let put = self.stack().dynamodb().put_item();
        let put = put.table_name(&self.stack().data().users_table).set_item(Some(item));
        put.send().await.expect("a kept item");
    }

    /// Deletes a user's item.
    pub(crate) async fn delete_user(&self, id: UserId) {
        let delete = self.stack().dynamodb().delete_item();
        let delete = delete.table_name(&self.stack().data().users_table);
        let delete = delete.key("pk", AttributeValue::S(format!("user#{id}")));
        delete.send().await.expect("a deleted user");
    }
}

fn key(refresh_token: &str) -> HashMap<String, AttributeValue> {
    let ids = ids(refresh_token);
    let binary = |bytes: &[u8]| AttributeValue::B(Blob::new(bytes));
    HashMap::from([
        ("user_id".to_owned(), binary(ids.user_id.as_bytes())),
        ("session_id".to_owned(), binary(ids.session_id.as_bytes())),
    ])
}
