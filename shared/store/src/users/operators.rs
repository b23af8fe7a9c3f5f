//! Operations for operators only: reading whole users, importing many.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::KeysAndAttributes;
use ratchet_core::{
    email::EmailAddress,
    ids::UserId,
    password::PhcHash,
    second_factor::Enabled,
    time::UnixMillis,
    user::{NameKey, User},
};

use super::{NAMES_INDEX, NewUser, Page, Users, item};
use crate::{
    StoreError,
    item::{Item, Reader, string},
    transact::transact_each,
    write::pk,
};

/// How often keys that a batch left unprocessed are read, including the first time.
const BATCH_TRIES: u32 = 8;

/// A user with everything in the table.
#[derive(Debug)]
pub struct Profile {
    /// The user.
    pub user: User,
    /// The name in the form that is unique, and by which users are ordered.
    pub name_key: NameKey,
    /// The e-mail address in the form that is unique.
    pub email: String,
    /// What proves the password.
    pub password_hash: PhcHash,
    /// The round of registrations that the user waits in; `None` if the address is the user's.
    pub round: Option<UserId>,
}

/// A user on a page of the list. A damaged one must not hide the others.
#[derive(Debug)]
pub struct ListedProfile {
    /// The name by which the list is ordered.
    pub name_key: String,
    /// The user, if the item can be read.
    pub profile: Result<Profile, StoreError>,
}

/// The result of importing a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// The user was written.
    Created,
    /// A user with that name and address exists already: an earlier run imported them.
    Present,
    /// Another user has the name.
    NameTaken,
    /// Another user has the address.
    EmailTaken,
    /// Another user has, or had, the id.
    IdTaken,
}

impl Users {
    /// The most users of one [`import`](Self::import): up to four items each, and a transaction has a
    /// hundred.
    pub const IMPORT_BATCH: usize = 25;

    /// The user of that name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_profile(
        &self,
        name: &NameKey,
        now: UnixMillis,
    ) -> Result<Option<Profile>, StoreError> {
        self.find_profile_at(item::name_pk(name), now).await
    }

    /// The user whose confirmed address that is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_profile_by_email(
        &self,
        email: &EmailAddress,
        now: UnixMillis,
    ) -> Result<Option<Profile>, StoreError> {
        let found = self.find_profile_at(item::email_pk(email.as_str()), now).await?;
        Ok(found.filter(|profile| profile.user.email_confirmed))
    }

    async fn find_profile_at(
        &self,
        pk: String,
        now: UnixMillis,
    ) -> Result<Option<Profile>, StoreError> {
        let Some(pointer) = self.get_live(pk, now).await? else { return Ok(None) };
        // An address that registrations wait for has no owner.
        let Some(id) = Reader(&pointer).optional_string("user_id")? else { return Ok(None) };
        self.get(format!("user#{id}")).await?.as_ref().map(to_profile).transpose()
    }

    /// Up to `limit` users (at most 100) in name order, from the first one after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn profiles(
        &self,
        after: Option<&str>,
        limit: i32,
    ) -> Result<Page<ListedProfile>, StoreError> {
        let query =
            self.client.query().table_name(&self.table).index_name(NAMES_INDEX).limit(limit);
        let query = query.expression_attribute_values(":listing", string(item::LISTING));
        let query = match after {
            None => query.key_condition_expression("listing = :listing"),
            Some(after) => query
                .key_condition_expression("listing = :listing AND name_key > :after")
                .expression_attribute_values(":after", string(after)),
        };
        let output = query.send().await.map_err(|error| StoreError::new("Query", error))?;
        let next = item::next(output.last_evaluated_key.as_ref())?;
        let mut page = Vec::new();
        for listed in output.items.unwrap_or_default() {
            let listed = Reader(&listed);
            let pk = format!("user#{}", listed.string("user_id")?);
            page.push((pk, listed.string("name_key")?.to_owned()));
        }
        // The index has only the names; read the rest from the table.
        let mut found = self.get_all(page.iter().map(|(pk, _)| pk.clone()).collect()).await?;
        let listed = page.into_iter().filter_map(|(pk, name_key)| {
            let profile = to_profile(&found.remove(&pk)?);
            Some(ListedProfile { name_key, profile })
        });
        Ok(Page { users: listed.collect(), next })
    }

    /// Items by their key; those that are there.
    pub(super) async fn get_all(
        &self,
        keys: Vec<String>,
    ) -> Result<HashMap<String, Item>, StoreError> {
        let mut keys: Vec<Item> = keys.into_iter().map(pk).collect();
        let mut found = HashMap::new();
        if keys.is_empty() {
            return Ok(found);
        }
        for tries in 0..BATCH_TRIES {
            if tries > 0 {
                tokio::time::sleep(Duration::from_millis(20 << tries)).await;
            }
            let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
            let wanted = wanted.build().map_err(|_| StoreError::MalformedItem("keys"))?;
            let get = self.client.batch_get_item().request_items(&self.table, wanted);
            let output =
                get.send().await.map_err(|error| StoreError::new("BatchGetItem", error))?;
            for item in output.responses.unwrap_or_default().into_values().flatten() {
                found.insert(Reader(&item).string("pk")?.to_owned(), item);
            }
            let left = output.unprocessed_keys.unwrap_or_default().into_values();
            keys = left.flat_map(|left| left.keys).collect();
            if keys.is_empty() {
                return Ok(found);
            }
        }
        let source = "keys were left unprocessed time and again".into();
        Err(StoreError::Unavailable { operation: "BatchGetItem", source })
    }

    /// Writes up to [`Self::IMPORT_BATCH`] new users, each completely or not at all. Returns the
    /// result for each, in order. Names and addresses must differ within the batch. `factors` are
    /// the second factors of those users that have one.
    ///
    /// All users are one transaction. If some cannot be written, it is tried again without those.
    ///
    /// # Errors
    /// [`StoreError`]; users written before it are [`Imported::Present`] the next time.
    pub async fn import(
        &self,
        new: &[NewUser],
        factors: &[(UserId, Enabled)],
        now: UnixMillis,
    ) -> Result<Vec<Imported>, StoreError> {
        let mut results: Vec<Option<Imported>> = vec![None; new.len()];
        loop {
            let left: Vec<usize> =
                results.iter().enumerate().filter(|(_, r)| r.is_none()).map(|(i, _)| i).collect();
            let users: Vec<&NewUser> = left.iter().filter_map(|place| new.get(*place)).collect();
            if users.is_empty() {
                return Ok(results.into_iter().flatten().collect());
            }
            match self.try_import(&users, factors, now).await? {
                None => {
                    for place in left {
                        set(&mut results, place, Imported::Created);
                    }
                }
                Some(unmet) => {
                    for (place, unmet) in left.into_iter().zip(unmet) {
                        if unmet != [false; 3]
                            && let Some(user) = new.get(place)
                        {
                            set(&mut results, place, self.why_not(user, unmet, now).await?);
                        }
                    }
                }
            }
        }
    }

    /// Tries one transaction. `None` if it was written; otherwise which of each user's three items
    /// exist already.
    async fn try_import(
        &self,
        users: &[&NewUser],
        factors: &[(UserId, Enabled)],
        now: UnixMillis,
    ) -> Result<Option<Vec<[bool; 3]>>, StoreError> {
        let writes = users.iter().flat_map(|user| self.puts(user, now));
        // These come last. They have no condition, because an id belongs to one user for ever.
        let is_new = |id: &UserId| users.iter().any(|user| user.user.id == *id);
        let factors = factors.iter().filter(|(id, _)| is_new(id));
        let factors = factors.map(|(id, enabled)| self.put_factor(*id, enabled));
        let unmet = transact_each(&self.client, writes.chain(factors).collect()).await?;
        Ok(unmet.map(|unmet| {
            let (unmet, _) = unmet.as_chunks();
            unmet.iter().take(users.len()).copied().collect()
        }))
    }

    async fn why_not(
        &self,
        user: &NewUser,
        unmet: [bool; 3],
        now: UnixMillis,
    ) -> Result<Imported, StoreError> {
        let (name, email) = tokio::join!(
            self.get_live(item::name_pk(&user.name_key), now),
            self.get_live(item::email_pk(&user.email), now)
        );
        let owner = |pointer: Option<Item>| {
            pointer.and_then(|item| item.get("user_id").and_then(|id| id.as_s().ok()).cloned())
        };
        let (name, email) = (owner(name?), owner(email?));
        Ok(match unmet {
            _ if name.is_some() && name == email => Imported::Present,
            [_, true, _] => Imported::NameTaken,
            [_, _, true] => Imported::EmailTaken,
            _ => Imported::IdTaken,
        })
    }
}

fn set(results: &mut [Option<Imported>], place: usize, result: Imported) {
    if let Some(slot) = results.get_mut(place) {
        *slot = Some(result);
    }
}

fn to_profile(item: &Item) -> Result<Profile, StoreError> {
    let reader = Reader(item);
    Ok(Profile {
        user: item::to_user(item)?,
        name_key: NameKey::stored(reader.string("name_key")?.to_owned()),
        email: reader.string("email")?.to_owned(),
        password_hash: PhcHash::new(reader.string("password_hash")?.to_owned()),
        round: item::round(&reader)?,
    })
}
