//! The users table: profiles, and the items that keep names and addresses unique.

use aws_sdk_dynamodb::{
    Client, operation::update_item::UpdateItemError, types::ReturnValuesOnConditionCheckFailure,
};
use ratchet_core::{
    ids::UserId,
    password::PhcHash,
    time::{UnixMillis, UnixSeconds},
    user::{NameKey, SessionsCut, User, UserStatus},
};

use crate::{
    StoreError,
    item::{Reader, number, string},
    transact::{put_free, transact},
};

mod accounts;
mod deletion;
mod item;
mod operators;
mod registration;

pub use accounts::Account;
pub use deletion::Deletion;
pub use operators::{Imported, ListedProfile, Profile};
pub use registration::Registration;

/// The users table.
#[derive(Debug, Clone)]
pub struct Users {
    client: Client,
    table: String,
}

/// A user together with what proves the password.
#[derive(Debug)]
pub struct Credentials {
    /// The user.
    pub user: User,
    /// The stored password hash.
    pub password_hash: PhcHash,
}

impl Credentials {
    /// Whether the user may sign in once the password is proved.
    #[must_use]
    pub fn may_sign_in(&self) -> bool {
        self.user.status == UserStatus::Active
    }
}

/// A user who is to be kept.
#[derive(Debug)]
pub struct NewUser {
    /// The user. `id` must never have been used.
    pub user: User,
    /// The name in the form that is unique.
    pub name_key: NameKey,
    /// The e-mail address in the form that is unique.
    pub email: String,
    /// The password's hash.
    pub password_hash: PhcHash,
    /// When name and address are free again unless the address is confirmed before. Until then the
    /// user is not listed.
    pub expires_at: Option<UnixSeconds>,
}

/// A part of the list of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The users of this part; fewer than were asked for if some were deleted meanwhile.
    pub users: Vec<T>,
    /// After which name the next part starts; `None` if this is the last one.
    pub next: Option<String>,
}

/// One line of the list of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUser {
    /// Who it is.
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

/// What became of a cut.
enum CutResult {
    Written,
    NoUser,
    /// The last cut is not earlier than this one.
    Follows(SessionsCut),
}

/// The index that lists users in name order.
const NAMES_INDEX: &str = "names";

impl Users {
    /// The table called `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Keeps a new user, in one transaction with the name and the address. Returns `false` if one
    /// of them is taken.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create(&self, new: &NewUser, now: UnixMillis) -> Result<bool, StoreError> {
        let puts = item::from_new_user(new).map(|item| put_free(&self.table, item, now));
        let puts: Result<Vec<_>, _> = puts.into_iter().collect();
        transact(&self.client, puts?).await
    }

    /// The user of that name with the password's hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_credentials(
        &self,
        name: &NameKey,
        now: UnixMillis,
    ) -> Result<Option<Credentials>, StoreError> {
        let Some(pointer) = self.get_live(item::name_pk(name), now).await? else {
            // Two reads whoever it is: the time that an answer takes must not tell who exists.
            self.get(item::NOBODY.to_owned()).await?;
            return Ok(None);
        };
        let id = Reader(&pointer).string("user_id")?;
        let Some(user) = self.get(format!("user#{id}")).await? else { return Ok(None) };
        Ok(Some(Credentials {
            user: item::to_user(&user)?,
            password_hash: PhcHash::new(Reader(&user).string("password_hash")?.to_owned()),
        }))
    }

    /// The user with that id, read consistently.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.get(item::user_pk(id)).await?.as_ref().map(item::to_user).transpose()
    }

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
        // A key is never followed more closely than by itself and the least character. Keys are
        // ordered by their UTF-8 bytes, and no character is greater than the last.
        let first = after.map_or_else(|| prefix.to_owned(), |after| format!("{after}\0"));
        // DynamoDB compares no key with the empty one.
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

    /// Replaces a password hash by a dearer one of the same password, unless it has changed
    /// meanwhile. Returns whether it was replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rehash(
        &self,
        id: UserId,
        old: &PhcHash,
        new: &PhcHash,
    ) -> Result<bool, StoreError> {
        let update = self.client.update_item().table_name(&self.table);
        let result = update
            .key("pk", string(item::user_pk(id)))
            .update_expression("SET password_hash = :new")
            .condition_expression("password_hash = :old")
            .expression_attribute_values(":new", string(new.expose()))
            .expression_attribute_values(":old", string(old.expose()))
            .send()
            .await;
        applied(result.map(drop))
    }

    /// Ends all sessions of a user, but for a spared one, in one write. Returns the cut as it was
    /// written, or `None` if there is no such user.
    ///
    /// A second write is needed only if the last cut seems to be in the future
    /// ([`SessionsCut::following`]).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cut_sessions(
        &self,
        id: UserId,
        cut: SessionsCut,
    ) -> Result<Option<SessionsCut>, StoreError> {
        let mut cut = cut;
        loop {
            let previous = match self.try_cut_sessions(id, cut).await? {
                CutResult::Written => return Ok(Some(cut)),
                CutResult::NoUser => return Ok(None),
                CutResult::Follows(previous) => previous,
            };
            // An earlier try of this very write, whose answer was lost.
            if previous == cut {
                return Ok(Some(cut));
            }
            cut = cut.following(previous.valid_after);
        }
    }

    async fn try_cut_sessions(
        &self,
        id: UserId,
        cut: SessionsCut,
    ) -> Result<CutResult, StoreError> {
        let update = self.client.update_item().table_name(&self.table);
        let update = update
            .key("pk", string(item::user_pk(id)))
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(sessions_valid_after) \
                 OR sessions_valid_after < :valid_after)",
            )
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_values(":valid_after", number(cut.valid_after.get()));
        let update = match cut.spared {
            None => update
                .update_expression("SET sessions_valid_after = :valid_after REMOVE spared_session"),
            Some(spared) => update
                .update_expression(
                    "SET sessions_valid_after = :valid_after, spared_session = :spared",
                )
                .expression_attribute_values(":spared", string(spared.to_string())),
        };
        match update.send().await {
            Ok(_) => Ok(CutResult::Written),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failure)) => {
                    let found = failure.item.as_ref().map(item::to_user).transpose()?;
                    Ok(found
                        .and_then(|user| user.cut)
                        .map_or(CutResult::NoUser, CutResult::Follows))
                }
                _ => Err(StoreError::new("UpdateItem", error)),
            },
        }
    }

    /// An item that has not expired.
    async fn get_live(
        &self,
        pk: String,
        now: UnixMillis,
    ) -> Result<Option<crate::item::Item>, StoreError> {
        match self.get(pk).await? {
            Some(item) if item::has_expired(&item, now)? => Ok(None),
            found => Ok(found),
        }
    }

    async fn get(&self, pk: String) -> Result<Option<crate::item::Item>, StoreError> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.key("pk", string(pk));
        Ok(get.send().await.map_err(|error| StoreError::new("GetItem", error))?.item)
    }
}

pub(crate) fn applied(
    result: Result<
        (),
        aws_sdk_dynamodb::error::SdkError<
            UpdateItemError,
            aws_sdk_dynamodb::config::http::HttpResponse,
        >,
    >,
) -> Result<bool, StoreError> {
    match result {
        Ok(()) => Ok(true),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => Err(StoreError::new("UpdateItem", error)),
        },
    }
}
