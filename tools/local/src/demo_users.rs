//! Demo users.

use std::time::{SystemTime, UNIX_EPOCH};

use ratchet_core::{
    config::Config,
    custom_claims::CustomClaims,
    entropy::random,
    ids::UserId,
    password::{Password, PasswordHasher},
    time::UnixMillis,
    user::{NameKey, User, UserStatus},
};
use ratchet_store::{NewUser, Users};

use crate::{stack::Stack, starting::StartError};

/// A user of the local stack. The passwords are public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoUser {
    /// User name.
    pub name: &'static str,
    /// Password.
    pub password: &'static str,
    /// Whether the e-mail address is confirmed, which signing in requires.
    pub email_confirmed: bool,
}

/// The user of the tour.
pub const ADA: DemoUser =
    DemoUser { name: "ada", password: "correct horse battery staple", email_confirmed: true };

/// All of them.
pub const DEMO_USERS: [DemoUser; 3] = [
    ADA,
    DemoUser { name: "grace", password: "an admiral finds the first bug", email_confirmed: true },
    DemoUser { name: "alan", password: "can machines think tonight", email_confirmed: false },
];

/// Creates the demo users, with password hashes as the stack's functions make them.
///
/// # Errors
/// If one of them cannot be hashed or stored.
pub async fn create(stack: &Stack) -> Result<(), StartError> {
    let hasher = hasher(stack).map_err(StartError::create("demo users"))?;
    let users = Users::new(stack.dynamodb(), stack.data().users_table.as_str());
    for demo in DEMO_USERS {
        let created = async {
            let now = now().map_err(|error| error.to_string())?;
            let new = demo.to_new_user(&hasher, now).map_err(|error| error.to_string())?;
            match users.create(&new, now).await {
                // `false`: there is one already, kept from an earlier run.
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        };
        let what = format!("the demo user {}", demo.name);
        created.await.map_err(StartError::create(&what))?;
    }
    Ok(())
}

fn hasher(stack: &Stack) -> Result<PasswordHasher, String> {
    let variables = stack.environment().variables();
    let config = Config::read(|name| variables.get(name).cloned());
    let config = config.map_err(|error| error.to_string())?;
    PasswordHasher::new(config.hash_cost).map_err(|error| error.to_string())
}

#[expect(clippy::disallowed_methods, reason = "ids of demo users carry the real time")]
pub(crate) fn now() -> Result<UnixMillis, Box<dyn std::error::Error + Send + Sync>> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(UnixMillis::new(since_epoch.as_millis().try_into()?))
}

impl DemoUser {
    fn to_new_user(
        self,
        hasher: &PasswordHasher,
        now: UnixMillis,
    ) -> Result<NewUser, Box<dyn std::error::Error + Send + Sync>> {
        Ok(NewUser {
            user: User {
                id: UserId::generate(now, &random()?),
                name: self.name.to_owned(),
                status: UserStatus::Active,
                email_confirmed: self.email_confirmed,
                second_factor: false,
                has_passkeys: false,
                roles: Vec::new(),
                claims: CustomClaims::default(),
                cut: None,
            },
            name_key: NameKey::parse(self.name)?,
            email: format!("{}@example.com", self.name),
            password_hash: hasher.hash(&Password::parse(self.password)?)?,
            expires_at: None,
        })
    }
}
