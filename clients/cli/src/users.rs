//! `ratchet users …`.

mod export;
mod export_one;
mod import;

use ratchet_core::{
    attempts::AttemptKey,
    custom_claims::CustomClaims,
    email::EmailAddress,
    entropy::random,
    ids::UserId,
    letter::{Letter, Notice},
    password::{HashCost, PasswordHasher, PasswordPolicy, policy::About},
    user::{NameKey, User, UserStatus, are_roles},
};
use ratchet_service::accounts::AccountUpdate;
use ratchet_store::{
    NewUser, StoreError,
    users::{Deletion, Profile},
};
use serde_json::{Map, Value};

use crate::{
    arguments::{Add, UsersCommand},
    connection::Connection,
    failure::Failure,
    output::{self, PrintedUser},
    password,
    time::now,
};

/// The maximum number of users of one read.
const PAGE: i32 = 100;

pub(crate) async fn run(
    connection: &Connection,
    command: UsersCommand,
    json: bool,
) -> Result<(), Failure> {
    match command {
        UsersCommand::Add(add) => create(connection, add, json).await,
        UsersCommand::List { limit, after } => list(connection, limit, after, json).await,
        UsersCommand::Show { name } => show(connection, &name, json).await,
        UsersCommand::Disable { name } => {
            update(connection, &name, with_status(UserStatus::Disabled)).await?;
            output::done(&format!("{name} is disabled, all sessions are ended"), json)
        }
        UsersCommand::Enable { name } => {
            update(connection, &name, with_status(UserStatus::Active)).await?;
            output::done(&format!("{name} may sign in"), json)
        }
        UsersCommand::Unlock { name } => {
            unlock(connection, &name).await?;
            output::done(&format!("{name} is unlocked"), json)
        }
        UsersCommand::ResetSecondFactor { name } => {
            let id = connection.user(&name).await?.user.id;
            let reset = connection.administration.reset_second_factor(id).await;
            let done = if reset.map_err(Failure::administration(&name))? {
                format!("{name} has no second factor any more, all sessions are ended")
            } else {
                format!("{name} has no second factor")
            };
            output::done(&done, json)
        }
        UsersCommand::RemovePasskeys { name } => {
            let id = connection.user(&name).await?.user.id;
            let reset = connection.administration.reset_passkeys(id).await;
            let done = if reset.map_err(Failure::administration(&name))? {
                format!("{name} has no passkey any more, all sessions are ended")
            } else {
                format!("{name} has no passkey")
            };
            output::done(&done, json)
        }
        UsersCommand::Roles { name, roles } => {
            check_roles(&roles)?;
            let roles_only = AccountUpdate { roles: Some(&roles), ..AccountUpdate::default() };
            update(connection, &name, roles_only).await?;
            output::done(&format!("{name} has the roles: {}", roles.join(" ")), json)
        }
        UsersCommand::SetClaims { name, claims } => {
            let claims = serde_json::from_str(&claims)
                .map_err(|_| Failure::Usage("the claims must be a JSON object".to_owned()))?;
            let claims = custom_claims(claims)?;
            let claims_only = AccountUpdate { claims: Some(&claims), ..AccountUpdate::default() };
            update(connection, &name, claims_only).await?;
            output::done(&format!("{name} has the claims: {claims}"), json)
        }
        UsersCommand::Delete { name, yes } => delete(connection, &name, yes, json).await,
        UsersCommand::Import(import) => import::run(connection, import, json).await,
        UsersCommand::Export { file } => export::run(connection, &file).await,
        UsersCommand::ExportOne { name } => export_one::run(connection, &name, json).await,
    }
}

fn with_status(status: UserStatus) -> AccountUpdate<'static> {
    AccountUpdate { status: Some(status), ..AccountUpdate::default() }
}

async fn update(
    connection: &Connection,
    name: &str,
    update: AccountUpdate<'_>,
) -> Result<(), Failure> {
    let id = connection.user(name).await?.user.id;
    let updated = connection.administration.update(id, update, None).await;
    updated.map_err(Failure::administration(name))
}

/// Unlocks an account. Users sign in with name or address, and each has its own counter.
async fn unlock(connection: &Connection, name: &str) -> Result<(), Failure> {
    // A name that no user has can be locked too.
    connection.administration.unlock(name).await?;
    match connection.user(name).await {
        Ok(Profile { user, email, .. }) => {
            connection.administration.unlock_second_factor(user.id).await?;
            connection.administration.unlock(&user.name).await?;
            Ok(connection.administration.unlock(&email).await?)
        }
        Err(Failure::NotFound(_) | Failure::Refused(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn check_roles(roles: &[String]) -> Result<(), Failure> {
    let expected = "roles are at most 16 names of a-z, 0-9, _ and -, of at most 32 characters each";
    if are_roles(roles) { Ok(()) } else { Err(Failure::Usage(expected.to_owned())) }
}

fn custom_claims(claims: Map<String, Value>) -> Result<CustomClaims, Failure> {
    CustomClaims::new(claims).map_err(|error| Failure::Refused(error.to_string()))
}

async fn create(connection: &Connection, add: Add, json: bool) -> Result<(), Failure> {
    check_roles(&add.roles)?;
    let name_key = name_key(&add.name)?;
    let email = email(&add.email)?;
    let policy = PasswordPolicy {
        min_chars: add.min_length.into(),
        require_uppercase: false,
        require_digit: false,
        service_name: "ratchet".to_owned(),
    };
    let typed = password::read(add.password_stdin)?;
    let about = About { name: &add.name, email: &email };
    let password = policy.check(&typed, about).map_err(Failure::Password)?;
    // If the function's cost is higher, the first sign-in hashes the password again.
    let hasher = PasswordHasher::new(HashCost::DEFAULT).map_err(|e| Failure::machine(&e))?;
    let new = NewUser {
        user: User {
            id: new_id()?,
            name: add.name.trim().to_owned(),
            status: UserStatus::Active,
            email_confirmed: add.confirmed,
            second_factor: false,
            has_passkeys: false,
            roles: add.roles,
            claims: CustomClaims::default(),
            cut: None,
        },
        name_key,
        email,
        password_hash: hasher.hash(&password).map_err(|error| Failure::machine(&error))?,
        expires_at: None,
    };
    if connection.users.create(&new, now()).await? {
        output::done(&format!("{} is added as {}", new.user.name, new.user.id), json)
    } else {
        Err(Failure::Taken("the name or the address is taken".to_owned()))
    }
}

async fn list(
    connection: &Connection,
    limit: usize,
    after: Option<String>,
    json: bool,
) -> Result<(), Failure> {
    let mut after = after.as_deref().map(name_key).transpose()?.map(|key| key.to_string());
    let mut left = limit;
    let mut damaged = Damaged::default();
    while left > 0 {
        let page = i32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = connection.users.profiles(after.as_deref(), page).await?;
        left = left.saturating_sub(page.users.len());
        for listed in page.users {
            match listed.profile {
                Ok(profile) => print(&profile, json)?,
                Err(error) => damaged.add(&listed.name_key, &error),
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    damaged.result()
}

/// Users whose items cannot be read. They are reported and counted, and do not hide the others.
#[derive(Default)]
struct Damaged(u64);

impl Damaged {
    fn add(&mut self, name_key: &str, error: &StoreError) {
        self.0 += 1;
        eprintln!("{name_key}: {error}");
    }

    const fn result(&self) -> Result<(), Failure> {
        if self.0 == 0 { Ok(()) } else { Err(Failure::Damaged(self.0)) }
    }
}

fn print(profile: &Profile, json: bool) -> Result<(), Failure> {
    let user = PrintedUser::new(profile);
    if json { output::json(&user) } else { output::line(&user.line()) }
}

async fn show(connection: &Connection, name: &str, json: bool) -> Result<(), Failure> {
    let profile = connection.user(name).await?;
    print(&profile, json)?;
    if !json {
        output::line(&format!("  id        {}", profile.user.id))?;
        output::line(&format!("  claims    {}", profile.user.claims))?;
        let failures = connection.attempts.find(&AttemptKey::account(name)).await?;
        output::line(&format!("  failures  {}", failures.map_or(0, |failures| failures.count)))?;
    }
    Ok(())
}

async fn delete(connection: &Connection, name: &str, yes: bool, json: bool) -> Result<(), Failure> {
    let profile = connection.user(name).await?;
    if !yes {
        output::line(&format!("Type the name again to delete {} forever:", profile.user.name))?;
        let mut typed = String::new();
        std::io::stdin()
            .read_line(&mut typed)
            .map_err(Failure::io("standard input cannot be read"))?;
        if typed.trim() != profile.user.name {
            return Err(Failure::Refused("that is another name; nothing is deleted".to_owned()));
        }
    }
    // The user gets the same message as after deleting the account. An invalid address gets none.
    let letter = match EmailAddress::parse(&profile.email) {
        Ok(email) => Some(deleted(email, &profile.user)?),
        Err(_) => None,
    };
    let deletion = Deletion::of_profile(&profile);
    let deleted = connection
        .administration
        .delete_as_read(profile.user.id, deletion, letter.as_ref(), None)
        .await
        .map_err(Failure::administration(name))?;
    deleted.sessions.inspect_err(|_| {
        eprintln!(
            "{name} is deleted, but not all sessions could be revoked: they end at their next \
             refresh, and access tokens when they expire"
        );
    })?;
    output::done(&format!("{name} is deleted, all sessions are ended"), json)
}

fn deleted(email: EmailAddress, user: &User) -> Result<Letter, Failure> {
    let random = random().map_err(|error| Failure::machine(&error))?;
    let name = user.email_confirmed.then(|| user.name.clone());
    Ok(Letter::new(Notice::Deleted { user_id: user.id, email, name }, now(), &random))
}

fn new_id() -> Result<UserId, Failure> {
    Ok(UserId::generate(now(), &random().map_err(|error| Failure::machine(&error))?))
}

fn name_key(name: &str) -> Result<NameKey, Failure> {
    NameKey::parse(name).map_err(|error| Failure::Refused(error.to_string()))
}

/// The address in its unique form.
fn email(text: &str) -> Result<String, Failure> {
    let address = EmailAddress::parse(text).map_err(|error| Failure::Refused(error.to_string()))?;
    Ok(address.as_str().to_owned())
}
