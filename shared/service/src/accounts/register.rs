//! Registration.

use std::net::IpAddr;

use ratchet_core::{
    custom_claims::CustomClaims,
    email::EmailAddress,
    entropy::random,
    ids::UserId,
    letter::{Letter, Notice},
    password::{PasswordRule, policy::About},
    user::{NameKey, UNCONFIRMED_LIFE, User, UserStatus},
};
use ratchet_store::{NewUser, Registration};

use super::Accounts;
use crate::{
    Fault, clock,
    events::{AccountChange, SecurityEvent, record},
    fault::from_faults,
    throttle::{AttemptError, AttemptScope, Throttled},
};

/// Characters that a new name must not contain.
///
/// # Security
/// The name appears in a message to an unconfirmed address. Without these characters it cannot be a
/// link or look like an address.
const FORBIDDEN_CHARACTERS: [char; 6] = ['/', ':', '@', '<', '>', '\\'];

/// A valid name and address to register with.
#[derive(Debug)]
pub struct Registrant {
    name: String,
    name_key: NameKey,
    email: EmailAddress,
}

/// The name or the address is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name or the e-mail address is not valid")]
pub struct InvalidRegistrant;

/// Why a registration failed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The password misses these rules of the policy.
    #[error("the password misses {} rules", .0.len())]
    PasswordRefused(Vec<PasswordRule>),
    /// There were too many requests before.
    #[error(transparent)]
    Throttled(Throttled),
    /// Something that is needed failed.
    #[error(transparent)]
    Fault(Fault),
}

from_faults!(RegisterError);

impl From<AttemptError> for RegisterError {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Throttled(throttled) => Self::Throttled(throttled),
            AttemptError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl Registrant {
    /// Checks a name and an address as typed.
    ///
    /// # Errors
    /// [`InvalidRegistrant`].
    pub fn parse(name: &str, email: &str) -> Result<Self, InvalidRegistrant> {
        let name_key = NameKey::parse(name).map_err(|_| InvalidRegistrant)?;
        // In the key, characters typed in another width have their usual form.
        if name.contains(FORBIDDEN_CHARACTERS) || name_key.as_str().contains(FORBIDDEN_CHARACTERS) {
            return Err(InvalidRegistrant);
        }
        let email = EmailAddress::parse(email).map_err(|_| InvalidRegistrant)?;
        Ok(Self { name: name.trim().to_owned(), name_key, email })
    }
}

impl Accounts {
    /// Registers a user, on behalf of an administrator or of an anonymous client.
    ///
    /// # Security
    /// Succeeds even if the name or the address is taken, after the same work. Only the message
    /// that follows says so, to somebody who can read the mail of the address.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register(
        &self,
        registrant: Registrant,
        password: &str,
        administrator: Option<UserId>,
        source_ip: Option<IpAddr>,
    ) -> Result<(), RegisterError> {
        let Registrant { name, name_key, email } = registrant;
        let now = clock::now();
        let about = About { name: &name, email: email.as_str() };
        let password =
            self.check_new_password(password, about).map_err(RegisterError::PasswordRefused)?;
        if administrator.is_none() {
            self.limiter.record_attempt(AttemptScope::AccountRequests(source_ip), now).await?;
        }
        // An unconfirmed registration expires, so it cannot reserve a name forever.
        let may_expire = self.policy.require_confirmed_email && administrator.is_none();
        let new = NewUser {
            user: User {
                id: UserId::generate(now, &random()?),
                name,
                status: UserStatus::Active,
                email_confirmed: false,
                second_factor: false,
                has_passkeys: false,
                roles: Vec::new(),
                claims: CustomClaims::default(),
                cut: None,
            },
            name_key,
            email: email.to_string(),
            password_hash: self.hashing.hash(password).await?,
            expires_at: may_expire.then(|| now.seconds().plus(UNCONFIRMED_LIFE)),
        };
        let random = random()?;
        let letter = |found| Letter::new(notice(found, &new, &email), now, &random);
        if self.users.register(&new, letter, now).await? == Registration::Registered {
            let change = AccountChange::Registered;
            let event = SecurityEvent::AccountChanged { change, by: administrator };
            record(event, Some(new.user.id), None);
        }
        Ok(())
    }
}

fn notice(found: Registration, new: &NewUser, email: &EmailAddress) -> Notice {
    let email = email.clone();
    match found {
        Registration::Registered => Notice::Registered { user_id: new.user.id },
        Registration::AddressTaken => Notice::AddressTaken { email },
        Registration::NameTaken => Notice::NameTaken { email, name: new.user.name.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_the_characters_of_links_and_addresses_is_refused_in_every_width() {
        assert!(Registrant::parse("ada", "ada@example.com").is_ok());
        for name in ["a/b", "a:b", "a@b", "<a>", "a\\b", "a\u{ff0f}b", "a\u{ff20}b"] {
            let refused = Registrant::parse(name, "ada@example.com").map(|_| ());
            assert_eq!(refused, Err(InvalidRegistrant), "{name}");
        }
    }
}
