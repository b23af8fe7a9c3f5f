//! What the table has about one user, for people who ask for their own data.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::{attempts::AttemptKey, challenge::Purpose, ids::UserId};

use super::{Users, factor::factor_pk, item, passkeys::passkeys_pk};
use crate::{StoreError, challenges};

/// The maximum number of keys in a `BatchGetItem`.
const MOST_READ: usize = 100;

impl Users {
    /// The items of the user, of the user's second factor and passkeys, of the challenges of the user's
    /// messages, and of these counters of attempts, as they are stored and in the order of their keys.
    /// Missing items are left out.
    ///
    /// # Security
    /// They contain hashes of secrets, and sealed ones.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn items_about(
        &self,
        id: UserId,
        counters: &[AttemptKey],
    ) -> Result<Vec<HashMap<String, AttributeValue>>, StoreError> {
        let mut keys = vec![item::user_pk(id), factor_pk(id), passkeys_pk(id)];
        keys.extend(Purpose::ALL.map(|purpose| challenges::key(purpose, id)));
        keys.extend(counters.iter().map(|counter| counter.as_str().to_owned()));
        keys.sort();
        keys.dedup();
        let mut found = HashMap::new();
        for chunk in keys.chunks(MOST_READ) {
            found.extend(self.get_all(chunk.to_vec()).await?);
        }
        Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
    }
}
