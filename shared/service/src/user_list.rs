//! The list of users: names for every signed-in user, details for administrators.

use ratchet_core::{access_token::Claims, config::ListUsers, user::NameKey};
use ratchet_store::{
    Stores, Users,
    users::{ListedUser, Page},
};

use crate::{Fault, access::CallerLookup, fault::from_faults};

/// Lists users.
#[derive(Debug, Clone)]
pub struct UserList {
    users: Users,
    callers: CallerLookup,
    allowed: ListUsers,
}

/// Why users were not listed.
#[derive(Debug, thiserror::Error)]
pub enum UserListError {
    /// Only administrators may list users here.
    #[error("only administrators may list users")]
    NotAdministrator,
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(UserListError);

/// Which part of the list.
#[derive(Debug)]
pub struct UserQuery {
    /// Only names with this prefix; `None` for all.
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
        Self {
            users: stores.users(),
            callers: CallerLookup::new(stores),
            allowed: stores.config().list_users,
        }
    }

    /// A page of the list, in name order. It has details only if the caller is an administrator.
    ///
    /// # Errors
    /// [`UserListError`].
    pub async fn list(
        &self,
        caller: Claims,
        query: UserQuery,
    ) -> Result<Page<ListedUser>, UserListError> {
        if self.allowed == ListUsers::Administrators
            && !self.callers.is_administrator(caller.clone()).await?
        {
            return Err(UserListError::NotAdministrator);
        }
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
