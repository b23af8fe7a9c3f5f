//! Registrations that are not confirmed.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::{
    challenge::{LetterSecrets, Proof, Purpose},
    custom_claims::CustomClaims,
    email::EmailAddress,
    entropy::random,
    ids::LetterId,
    key_ring::TagKey,
    letter::{Letter, Notice},
    time::UnixMillis,
    user::{ADDRESS_OUTLIVES, NameKey, UNCONFIRMED_LIFE},
};
use ratchet_store::{ConfirmResult, Registration, users::NewUser};
use serde_json::json;

use super::{admin, post};
use crate::support::{
    World,
    logs::CANARY,
    mail::{Newcomer, token},
    people::now,
    run,
};

impl World {
    /// The three items of a registration: the user, the name, the address.
    async fn registered(&self, newcomer: &Newcomer) -> [HashMap<String, AttributeValue>; 3] {
        let kept = async |pk: String| self.users_item(&pk).await.expect("an item");
        let name = kept(format!("name#{}", newcomer.name.to_lowercase())).await;
        let user = kept(format!("user#{}", name["user_id"].as_s().unwrap())).await;
        [user, name, kept(format!("email#{}", newcomer.email)).await]
    }

    /// Makes a registration look as if it had expired a second ago.
    async fn expire(&self, newcomer: &Newcomer) {
        for mut item in self.registered(newcomer).await {
            let at: u64 = item["expires_at"].as_n().unwrap().parse().unwrap();
            let life = at - now().seconds().get();
            assert!(life <= (UNCONFIRMED_LIFE + ADDRESS_OUTLIVES).as_secs(), "{life}");
            let past = AttributeValue::N((now().seconds().get() - 1).to_string());
            item.insert("expires_at".to_owned(), past);
            let put = self.stack().dynamodb().put_item();
            let put = put.table_name(&self.stack().data().users_table).set_item(Some(item));
            put.send().await.expect("a kept item");
        }
    }
}

#[test]
fn a_registration_that_is_not_confirmed_in_time_is_as_if_it_had_never_been() {
    run(async {
        let (world, api) = (World::shared().await, World::shared().await.api());
        let ada = Newcomer::new();
        world.register(&ada).await;
        let mail = world.mail(&ada.email, 1).await;
        assert_eq!(api.authenticate(&ada.name, &ada.password).await.code(), "email_not_confirmed");
        world.expire(&ada).await;
        let late = api.post("/users/confirm-email", json!({"token": token(&mail)})).await;
        assert_eq!(late.code(), "invalid_proof");
        let unknown = api.authenticate(&ada.name, &ada.password).await;
        assert_eq!(unknown.code(), "invalid_credentials");
        for path in ["/users/password-reset", "/users/confirm-email/resend"] {
            assert_eq!(api.post(path, json!({"email": ada.email})).await.status, 202);
        }

        // Two others register: one takes the name, one the address.
        let namesake = Newcomer { name: ada.name.to_uppercase(), ..Newcomer::new() };
        let heir = Newcomer { email: ada.email.clone(), ..Newcomer::new() };
        for (newcomer, number) in [(&namesake, 1), (&heir, 2)] {
            world.register(newcomer).await;
            let mail = world.mail(&newcomer.email, number).await;
            assert!(mail.subject.starts_with("Confirm"), "{}", mail.subject);
            let body = json!({"token": token(&mail)});
            assert_eq!(api.post("/users/confirm-email", body).await.status, 204);
            assert_eq!(api.authenticate(&newcomer.name, &newcomer.password).await.status, 200);
        }
        let late = api.post("/users/confirm-email", json!({"token": token(&mail)})).await;
        assert_eq!(late.code(), "invalid_proof");
    });
}

#[test]
fn a_user_who_confirms_stays_and_is_listed_from_then_on() {
    run(async {
        let (world, api) = (World::shared().await, World::shared().await.api());
        let (reader, tokens) = world.signed_in().await;
        let listed = async |ada: &Newcomer| {
            let path = format!("/users?name={}", ada.name);
            !api.get(&path, &tokens.access).await.json()["users"].as_array().unwrap().is_empty()
        };
        let (by_link, by_reset) = (Newcomer::new(), Newcomer::new());
        for ada in [&by_link, &by_reset] {
            world.register(ada).await;
            for item in world.registered(ada).await {
                assert!(item.contains_key("expires_at"), "{item:?}");
            }
            assert!(!listed(ada).await, "{} sees no strangers' names", reader.name);
        }
        let body = json!({"token": token(&world.mail(&by_link.email, 1).await)});
        assert_eq!(api.post("/users/confirm-email", body).await.status, 204);
        api.post("/users/password-reset", json!({"email": by_reset.email})).await;
        world.mail(&by_reset.email, 1).await;
        let reset = token(&world.mail(&by_reset.email, 2).await);
        let body = json!({"token": reset, "password": format!("{CANARY} words for good")});
        assert_eq!(api.post("/users/password-reset/confirm", body).await.status, 204);
        for ada in [&by_link, &by_reset] {
            for item in world.registered(ada).await {
                assert!(!item.contains_key("expires_at"), "{item:?}");
            }
            assert!(listed(ada).await);
        }
    });
}

#[test]
fn what_administrators_make_does_not_expire() {
    run(async {
        let world = World::shared().await;
        let (_, access) = admin(world).await;
        let (ada, person) = (Newcomer::new(), world.person().await);
        assert_eq!(post(world, "/users", &access, ada.body()).await.status, 202);
        for item in world.registered(&ada).await {
            assert!(!item.contains_key("expires_at"), "{item:?}");
        }
        let user = world.users_item(&format!("user#{}", person.id)).await.unwrap();
        assert!(!user.contains_key("expires_at"));
        let open = [("RATCHET_REQUIRE_CONFIRMED_EMAIL", "false")];
        let open = World::beside("accounts-open", &open).await;
        let ada = Newcomer::new();
        open.register(&ada).await;
        assert_eq!(open.api().authenticate(&ada.name, &ada.password).await.status, 200);
        for item in open.registered(&ada).await {
            assert!(!item.contains_key("expires_at"), "who may sign in has an account: {item:?}");
        }
    });
}

/// Clocks differ: for one function the registration has expired, for the other it has not.
#[test]
fn of_a_confirmation_and_a_new_registration_at_the_end_exactly_one_wins() {
    run(async {
        let world = World::shared().await;
        let (users, mut won) = (world.users(), [0, 0]);
        for round in 0..20 {
            let (begun, one, other) = (now(), Newcomer::new(), Newcomer::new());
            let end = begun.plus(UNCONFIRMED_LIFE);
            let make = |ada: &Newcomer, at: UnixMillis| new_user(ada, &one.name, at);
            let (first, second) = (make(&one, begun), make(&other, end));
            let letter = |email: &str| {
                let email = EmailAddress::parse(email).unwrap();
                // No user has this address, so nothing is sent.
                Letter::new(Notice::AddressTaken { email }, begun, &random().unwrap())
            };
            let nobody = format!("nobody-{round}@example.com");
            let registered = users.register(&first, |_| letter(&nobody), begun).await.unwrap();
            assert_eq!(registered, Registration::Registered);
            let (id, key) = (first.user.id, TagKey::new(&[7; 32]));
            let opened = end.minus(std::time::Duration::from_secs(60));
            let letter_id = LetterId::generate(opened, &random().unwrap());
            let secrets = LetterSecrets::derive(&key, letter_id, Purpose::ConfirmEmail, id);
            let hashes = secrets.hashes(&key);
            let email = EmailAddress::parse(&first.email).unwrap();
            let challenges = ratchet_store::challenges::Challenges::new(
                world.stack().dynamodb(),
                world.stack().data().users_table.as_str(),
            );
            let message = (letter_id, &[hashes][..]);
            challenges.open(Purpose::ConfirmEmail, id, &email, message, opened).await.unwrap();
            let proof = Proof::Token(hashes.token);
            let earlier = end.minus(std::time::Duration::from_secs(2));
            let (confirmed, taken) = tokio::join!(
                users.confirm_email(id, &proof, earlier),
                users.register(&second, |_| letter(&nobody), end),
            );
            let (confirmed, taken) = (confirmed.unwrap(), taken.unwrap());
            let confirmed = confirmed == ConfirmResult::Confirmed;
            assert_eq!(confirmed, taken == Registration::NameTaken, "{round}: {taken:?}");
            let key = NameKey::parse(&one.name).unwrap();
            let owner = users.find_credentials(&key, end).await.unwrap().unwrap().user.id;
            assert_eq!(owner, if confirmed { id } else { second.user.id });
            won[usize::from(confirmed)] += 1;
        }
        println!("confirmed or taken: {won:?}");
    });
}

fn new_user(newcomer: &Newcomer, name: &str, at: UnixMillis) -> NewUser {
    let cheap = ratchet_core::password::PhcHash::new("$argon2id$none".to_owned());
    NewUser {
        user: ratchet_core::user::User {
            id: ratchet_core::ids::UserId::generate(at, &random().unwrap()),
            name: name.to_owned(),
            status: ratchet_core::user::UserStatus::Active,
            email_confirmed: false,
            second_factor: false,
            has_passkeys: false,
            roles: Vec::new(),
            claims: CustomClaims::default(),
            cut: None,
        },
        name_key: NameKey::parse(name).unwrap(),
        email: newcomer.email.clone(),
        password_hash: cheap,
        expires_at: Some(at.seconds().plus(UNCONFIRMED_LIFE)),
    }
}
