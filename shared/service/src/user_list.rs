//! The list of users: names for everybody who is signed in, details for administrators.

use ratchet_core::{access_token::Claims, user::NameKey};
use ratchet_store::{
    Stores, Users,
    users::{ListedUser, Page},
};

use crate::{Fault, access::CallerLookup};

/// Lists users.
#[derive(Debug, Clone)]
pub struct UserList {
    users: Users,
    callers: CallerLookup,
}

/// Which part of the list.
#[derive(Debug)]
pub struct UserQuery {
    /// How the names begin; `None` for all.
    pub prefix: Option<NameKey>,
    /// After which name the page starts.
    pub after: Option<String>,
    /// The maximum number of users.
    pub limit: u8,
}

impl UserList {
    /// The users in these stores.
    #[must_use]
    pub fn new(stores: &Stores<'_>) -> Self {
        Self { users: stores.users(), callers: CallerLookup::new(stores) }
    }

    /// A page of the list, in name order. It has details only if the caller is an administrator.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn list(&self, caller: Claims, query: UserQuery) -> Result<Page<ListedUser>, Fault> {
        let UserQuery { prefix, after, limit } = query;
        let prefix = prefix.as_ref().map_or("", NameKey::as_str);
        let mut page = self.users.list(prefix, after.as_deref(), limit.into()).await?;
        if !self.callers.is_administrator(caller).await? {
            for user in &mut page.users {
                user.details = None;
            }
        }
        Ok(page)
    }
}
