//! Users that tests create.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ratchet_core::{
    custom_claims::CustomClaims,
    entropy::random,
    ids::UserId,
    password::{HashCost, Password, PasswordHasher},
    time::UnixMillis,
    user::{NameKey, User, UserStatus},
};
use ratchet_store::{NewUser, Users};

use super::{Answer, Tokens, World, api::available, logs::CANARY};

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A user of one test.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) password: String,
}

#[expect(clippy::disallowed_methods, reason = "tests talk to functions that have a real clock")]
pub(crate) fn now() -> UnixMillis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    UnixMillis::new(since_epoch.as_millis().try_into().expect("milliseconds"))
}

/// Waits for the next hour if this one is about to end, because some counters count by the hour.
pub(crate) async fn early_in_the_hour() {
    let left = 3_600 - now().seconds().get() % 3_600;
    if left < 120 {
        tokio::time::sleep(Duration::from_secs(left)).await;
    }
}

impl World {
    pub(crate) fn users(&self) -> Users {
        Users::new(self.stack().dynamodb(), self.stack().data().users_table.as_str())
    }

    /// A new active user with a confirmed address.
    pub(crate) async fn person(&self) -> Person {
        self.person_with(|_| ()).await
    }

    /// A new user, changed before it is stored.
    pub(crate) async fn person_with(&self, change: impl FnOnce(&mut NewUser)) -> Person {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let unique = u64::from_be_bytes(random().expect("random bytes"));
        let name = format!("Person-{number}-{unique:016x}");
        let password = format!("{CANARY} {unique:016x}");
        let cost = HashCost { memory_kib: 64, iterations: 1, parallelism: 1 };
        let hasher = PasswordHasher::new(cost).expect("a hasher");
        let id = UserId::generate(now(), &random().expect("random bytes"));
        let mut new = NewUser {
            user: User {
                id,
                name: name.clone(),
                status: UserStatus::Active,
                email_confirmed: true,
                second_factor: false,
                has_passkeys: false,
                roles: vec!["reader".to_owned()],
                claims: CustomClaims::default(),
                cut: None,
            },
            name_key: NameKey::parse(&name).expect("a name"),
            email: format!("{name}@example.com").to_lowercase(),
            password_hash: hasher
                .hash(&Password::parse(&password).expect("a password"))
                .expect("a hash"),
            expires_at: None,
        };
        change(&mut new);
        assert!(self.users().create(&new, now()).await.expect("a kept user"), "the name is new");
        Person { id, name, password }
    }

    /// Signs a person in, however long this machine takes.
    pub(crate) async fn sign_in(&self, person: &Person) -> Tokens {
        available(|| self.try_sign_in(person)).await.tokens()
    }

    pub(crate) async fn try_sign_in(&self, person: &Person) -> Answer {
        self.api().authenticate(&person.name, &person.password).await
    }

    /// A new person, signed in.
    pub(crate) async fn signed_in(&self) -> (Person, Tokens) {
        let person = self.person().await;
        let tokens = self.sign_in(&person).await;
        (person, tokens)
    }
}
