//! What events for other systems are about, in a user's item.

use ratchet_core::{domain_event::UserState, ids::UserId, password::PhcHash, time::UnixSeconds};

use super::item::{self, CLAIMS, SECOND_FACTOR, USER_PREFIX};
use crate::{
    StoreError,
    conditions::EXPIRES_AT,
    item::{Item, Reader},
};

/// The attributes that [`to_state`] reads.
pub(crate) const STATE: [&str; 9] = [
    "email",
    "email_confirmed",
    "password_hash",
    "sessions_valid_after",
    "status",
    SECOND_FACTOR,
    "roles",
    CLAIMS,
    EXPIRES_AT,
];

/// The user that an item is about; `None` if it is about something else.
pub(crate) fn id_of_pk(pk: &str) -> Option<UserId> {
    pk.strip_prefix(USER_PREFIX)?.parse().ok()
}

/// Reads items of later releases too: an event must not wait for an upgrade.
pub(crate) fn to_state(item: &Item) -> Result<UserState, StoreError> {
    let item = Reader(item);
    Ok(UserState {
        email: item.string("email")?.to_owned(),
        email_confirmed: item::email_confirmed(&item)?,
        password_hash: PhcHash::new(item.string("password_hash")?.to_owned()),
        cut: item::cut(&item)?.map(|cut| cut.valid_after),
        status: item::status(&item)?,
        second_factor: item::has(&item, SECOND_FACTOR)?,
        roles: item::roles(&item)?,
        claims: item.optional_string(CLAIMS)?.map(str::to_owned),
        expires_at: item.optional_number(EXPIRES_AT)?.map(UnixSeconds::new),
    })
}

#[cfg(test)]
pub(crate) mod fixture {
    use ratchet_core::{
        custom_claims::CustomClaims,
        user::{NameKey, User, UserStatus},
    };

    use super::{super::NewUser, *};

    /// The item of a confirmed user, as it is written.
    pub(crate) fn user(id: UserId) -> Item {
        let new = NewUser {
            user: User {
                id,
                name: "Ada".to_owned(),
                status: UserStatus::Active,
                email_confirmed: true,
                second_factor: false,
                has_passkeys: false,
                roles: vec!["admin".to_owned()],
                claims: CustomClaims::within(r#"{"plan": "pro"}"#).unwrap(),
                cut: None,
            },
            name_key: NameKey::parse("Ada").unwrap(),
            email: "ada@example.com".to_owned(),
            password_hash: PhcHash::new("$argon2id$".to_owned()),
            expires_at: None,
        };
        let [user, _] = item::from_new_user(&new, id);
        user
    }
}
