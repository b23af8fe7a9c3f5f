//! `ratchet restore`: restores both tables to a point in time, into new tables, without what has
//! ended since. docs/restore.md describes how a stack uses them.

mod replay;
mod tables;

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    primitives::{DateTime, DateTimeFormat},
    types::AttributeValue,
};
use indicatif::ProgressBar;
use ratchet_core::time::UnixSeconds;

use crate::{
    arguments::{ConnectionArguments, Restore},
    connection,
    failure::Failure,
    output,
    time::now,
};
use replay::{Fate, Item, Now};
use tables::{Kind, Table};

pub(crate) async fn run(
    arguments: &ConnectionArguments,
    restore: Restore,
    json: bool,
) -> Result<(), Failure> {
    let at = DateTime::from_str(&restore.at, DateTimeFormat::DateTime).map_err(|_| {
        Failure::Usage("--at is a point in time, for example 2026-11-28T08:00:00Z".to_owned())
    })?;
    let client = connection::dynamodb(arguments).await;
    let (users_source, tokens_source) = connection::tables(arguments)?;
    let new_name =
        |source: &str, given: Option<String>| given.unwrap_or_else(|| name_of(source, at));
    let users =
        Table { name: new_name(users_source, restore.into_users), source: users_source.to_owned() };
    let tokens = Table {
        name: new_name(tokens_source, restore.into_tokens),
        source: tokens_source.to_owned(),
    };
    for table in [&users, &tokens] {
        eprintln!("{} is restored from {}", table.name, table.source);
        table.start(&client, at).await?;
    }
    let bar = ProgressBar::new_spinner();
    for table in [&users, &tokens] {
        table.wait(&client, &bar).await?;
    }
    sessions(&client, &tokens, &bar).await?;
    accounts(&client, &users, restore.undelete, &bar).await?;
    bar.finish_and_clear();
    for table in [&users, &tokens] {
        table.configure(&client).await?;
    }
    let of_users = users.stream_label(&client).await?;
    let of_tokens = tokens.stream_label(&client).await?;
    let parameters = [
        ("ExistingUsersTable", &users.name),
        ("ExistingUsersStreamLabel", &of_users),
        ("ExistingTokensTable", &tokens.name),
        ("ExistingTokensStreamLabel", &of_tokens),
    ];
    if json {
        return output::json(&HashMap::from(parameters));
    }
    let parameters = parameters.map(|(name, value)| format!("{name}={value}"));
    output::line(&parameters.join(" "))
}

/// The name of a new table. It is the same for the same point in time, so another run continues.
fn name_of(source: &str, at: DateTime) -> String {
    format!("{source}-{}", at.secs())
}

/// Deletes restored sessions that have ended, and brings the others up to date.
async fn sessions(client: &Client, tokens: &Table, bar: &ProgressBar) -> Result<(), Failure> {
    let is_known = tables::exists(client, &tokens.source).await?;
    if !is_known {
        eprintln!("{} is gone: every session ends", tokens.source);
    }
    let mut counted = Counted::default();
    let mut after = None;
    loop {
        let page = tables::scan(client, &tokens.name, after).await?;
        let keys: Vec<Item> = page.items.iter().map(|item| key(item, Kind::Tokens)).collect();
        let current = if is_known {
            tables::get_all(client, &tokens.source, keys.clone(), Kind::Tokens).await?
        } else {
            HashMap::new()
        };
        let now: UnixSeconds = now().seconds();
        let fates = page.items.iter().zip(keys).map(|(item, key)| {
            let fate = replay::session(item, current.get(&tables::name_of(&key)), now);
            (key, fate)
        });
        counted.write(client, tokens, fates).await?;
        bar.set_message(format!("{} sessions", counted.seen));
        bar.tick();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    counted.report("sessions");
    Ok(())
}

/// Deletes restored users that were deleted since, and those items of others that must not come
/// back.
async fn accounts(
    client: &Client,
    users: &Table,
    undelete: bool,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let is_known = tables::exists(client, &users.source).await?;
    if !is_known {
        let source = &users.source;
        eprintln!(
            "{source} is gone: deletions and changed passwords, roles and second factors since then \
             are lost"
        );
    }
    let mut counted = Counted::default();
    let mut after = None;
    loop {
        let page = tables::scan(client, &users.name, after).await?;
        let keys: Vec<Item> = page.items.iter().map(|item| key(item, Kind::Users)).collect();
        let owners = page.items.iter().map(|item| replay::owner(item).map(|pk| user_key(&pk)));
        let owners: Vec<Option<Item>> = owners.collect();
        let current = if is_known {
            let asked = keys.iter().chain(owners.iter().flatten()).cloned().collect();
            tables::get_all(client, &users.source, asked, Kind::Users).await?
        } else {
            HashMap::new()
        };
        let found = |key: &Item| match (is_known, current.get(&tables::name_of(key))) {
            (false, _) => Now::Unknown,
            (true, None) => Now::Nothing,
            (true, Some(item)) => Now::Item(item),
        };
        let fates = page.items.iter().zip(keys).zip(&owners).map(|((item, key), owner)| {
            let owner = owner.as_ref().map_or(Now::Unknown, found);
            let fate = replay::user(item, found(&key), owner, undelete);
            (key, fate)
        });
        counted.write(client, users, fates).await?;
        let beside = page.items.iter().flat_map(|item| {
            let keys = replay::beside_user(item, found(&key(item, Kind::Users)));
            keys.into_iter().map(|pk| user_key(&pk))
        });
        let beside = tables::get_all(client, &users.source, beside.collect(), Kind::Users).await?;
        let puts = beside.into_values().map(tables::put).collect::<Result<_, _>>()?;
        tables::write_all(client, &users.name, puts).await?;
        bar.set_message(format!("{} items of users", counted.seen));
        bar.tick();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    counted.report("items of users");
    Ok(())
}

/// The key attributes of an item.
fn key(item: &Item, kind: Kind) -> Item {
    let attributes = kind.key().iter();
    let found = attributes.filter_map(|name| item.get_key_value(*name));
    found.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn user_key(pk: &str) -> Item {
    HashMap::from([("pk".to_owned(), AttributeValue::S(pk.to_owned()))])
}

/// How many items were read, deleted and replaced.
#[derive(Default)]
struct Counted {
    seen: u64,
    deleted: u64,
    replaced: u64,
}

impl Counted {
    async fn write(
        &mut self,
        client: &Client,
        table: &Table,
        fates: impl Iterator<Item = (Item, Fate)>,
    ) -> Result<(), Failure> {
        let mut requests = Vec::new();
        for (key, fate) in fates {
            self.seen += 1;
            match fate {
                Fate::Keep => {}
                Fate::Replace(item) => {
                    self.replaced += 1;
                    requests.push(tables::put(*item)?);
                }
                Fate::Delete => {
                    self.deleted += 1;
                    requests.push(tables::delete(key)?);
                }
            }
        }
        tables::write_all(client, &table.name, requests).await
    }

    fn report(&self, what: &str) {
        let Self { seen, deleted, replaced } = self;
        eprintln!("{seen} {what}: {deleted} deleted, {replaced} brought up to date");
    }
}
