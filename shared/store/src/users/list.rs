//! The list of users, in name order.

use ratchet_core::{ids::UserId, user::UserStatus};

use super::{NAMES_INDEX, Users, item};
use crate::{StoreError, item::string};

/// A page of the list of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The users on this page; fewer than requested if some were deleted meanwhile.
    pub users: Vec<T>,
    /// The name after which the next page starts; `None` if this is the last one.
    pub next: Option<String>,
}

/// One line of the list of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUser {
    /// The user's id.
    pub id: UserId,
    /// The user name.
    pub name: String,
    /// What only administrators see; `None` if it is damaged, which must not hide the other users.
    pub details: Option<ListedDetails>,
}

/// What administrators see of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDetails {
    /// The e-mail address.
    pub email: String,
    /// Whether it has been confirmed.
    pub email_confirmed: bool,
    /// Whether the user may sign in.
    pub status: UserStatus,
    /// The user's roles.
    pub roles: Vec<String>,
}

impl Users {
    /// Up to `limit` users in name order whose name begins with `prefix`, from the first one after
    /// `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: i32,
    ) -> Result<Page<ListedUser>, StoreError> {
        let query =
            self.client.query().table_name(&self.table).index_name(NAMES_INDEX).limit(limit);
        // Appending the least character gives the next possible key. Keys are ordered by their
        // UTF-8 bytes, and no character is greater than the last one.
        let first = after.map_or_else(|| prefix.to_owned(), |after| format!("{after}\0"));
        // DynamoDB does not accept an empty key in a comparison.
        let first = if first.is_empty() { "\0".to_owned() } else { first };
        let last = format!("{prefix}{}", char::MAX);
        if last <= first {
            return Ok(Page { users: Vec::new(), next: None });
        }
        let query = query
            .key_condition_expression("listing = :listing AND name_key BETWEEN :first AND :last")
            .expression_attribute_values(":listing", string(item::LISTING))
            .expression_attribute_values(":first", string(first))
            .expression_attribute_values(":last", string(last));
        let output = query.send().await.map_err(|error| StoreError::new("Query", error))?;
        let next = item::next(output.last_evaluated_key.as_ref())?;
        let users = output.items.unwrap_or_default();
        let users = users.iter().map(item::to_listed_user).collect::<Result<_, _>>()?;
        Ok(Page { users, next })
    }
}
