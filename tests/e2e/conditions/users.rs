//! Users, their names and addresses.

use std::time::Duration;

use ratchet_core::entropy::random;
use ratchet_core::{
    custom_claims::CustomClaims,
    email::EmailAddress,
    ids::{SessionId, UserId},
    letter::{Letter, Notice},
    password::PhcHash,
    registration::{Address, Round},
    time::UnixMillis,
    user::{NameKey, SessionsCut, User, UserStatus},
};
use ratchet_store::{
    Account, NewUser, Registration, Users,
    users::{AccountUpdate, Deletion, Imported},
};

use super::{between, hash, letter, number, proxied, text};
use crate::support::{
    World,
    mail::Newcomer,
    people::{Person, now},
    run,
};

/// An update that disables a user.
pub(super) fn disabled() -> AccountUpdate<'static> {
    AccountUpdate { status: Some(UserStatus::Disabled), ..AccountUpdate::default() }
}

fn new_user(newcomer: &Newcomer) -> NewUser {
    NewUser {
        user: User {
            id: UserId::generate(now(), &random().unwrap()),
            name: newcomer.name.clone(),
            status: UserStatus::Active,
            email_confirmed: false,
            second_factor: false,
            has_passkeys: false,
            roles: Vec::new(),
            claims: CustomClaims::default(),
            cut: None,
        },
        name_key: NameKey::parse(&newcomer.name).unwrap(),
        email: newcomer.email.clone(),
        password_hash: hash(1),
        expires_at: None,
    }
}

async fn account(world: &World, person: &Person) -> Account {
    world.users().find_account(person.id, now()).await.unwrap().expect("an account")
}

fn keys(account: &Account) -> [String; 3] {
    [
        format!("user#{}", account.user.id),
        format!("name#{}", account.name_key),
        format!("email#{}", account.email),
    ]
}

#[test]
fn a_new_user_takes_no_id_no_name_and_no_address_of_another() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let there = account(world, &person).await;
        let fresh = || new_user(&Newcomer::new());
        let id = NewUser { user: User { id: person.id, ..fresh().user }, ..fresh() };
        let name = NewUser { name_key: there.name_key.clone(), ..fresh() };
        let email = NewUser { email: there.email.to_string(), ..fresh() };
        for (what, new, imported) in [
            ("id", id, Imported::IdTaken),
            ("name", name, Imported::NameTaken),
            ("address", email, Imported::EmailTaken),
        ] {
            assert!(!world.users().create(&new, now()).await.unwrap(), "{what}");
            let taken = world.users().import(&[new], &[], now()).await.unwrap();
            assert_eq!(taken, [imported], "{what}");
            assert_eq!(account(world, &person).await.password_hash, there.password_hash);
            for pointer in &keys(&there)[1..] {
                assert_eq!(world.owner(pointer).await, person.id.to_string(), "{what}");
            }
        }
    });
}

#[test]
fn what_has_expired_is_written_over_and_what_has_not_is_kept() {
    run(async {
        let world = World::shared().await;
        let newcomer = Newcomer::new();
        let end = now().plus(Duration::from_secs(60));
        let first = NewUser { expires_at: Some(end.seconds()), ..new_user(&newcomer) };
        assert!(world.users().create(&first, now()).await.unwrap());
        let just_before = UnixMillis::new(end.seconds().get() * 1_000 - 1);
        assert!(!world.users().create(&new_user(&newcomer), just_before).await.unwrap());
        let second = new_user(&newcomer);
        assert!(
            world
                .users()
                .create(&second, UnixMillis::new(end.seconds().get() * 1_000))
                .await
                .unwrap()
        );
        let name = format!("name#{}", second.name_key);
        assert_eq!(world.owner(&name).await, second.user.id.to_string());
    });
}

/// A letter that sends nothing, because no user has the address.
fn silent() -> Letter {
    let email = EmailAddress::parse(&Newcomer::new().email).unwrap();
    Letter::new(Notice::AddressTaken { email }, now(), &random().unwrap())
}

/// A registration with this address that waits for its confirmation.
fn waiting(email: &str) -> NewUser {
    let newcomer = Newcomer { email: email.to_owned(), ..Newcomer::new() };
    let end = now().plus(Duration::from_secs(1_000));
    NewUser { expires_at: Some(end.seconds()), ..new_user(&newcomer) }
}

/// Registers somebody, and somebody else between the reads and the write of that.
async fn register_late(
    world: &World,
    late: &NewUser,
    meanwhile: impl AsyncFnOnce(),
) -> Registration {
    let (client, proxy) = proxied(world).await;
    let users = Users::new(client, world.stack().data().users_table.as_str());
    let late = NewUser { user: late.user.clone(), ..waiting(&late.email) };
    let registering =
        Box::pin(async move { users.register(&late, |_| silent(), now()).await.unwrap() });
    between(&proxy, "TransactWriteItems", registering, meanwhile).await
}

async fn address(world: &World, email: &str) -> Address {
    world.users().address(&EmailAddress::parse(email).unwrap(), now()).await.unwrap()
}

#[test]
fn a_registration_opens_a_round_only_if_there_is_none_by_then() {
    run(async {
        let world = World::shared().await;
        let first = waiting(&Newcomer::new().email);
        let late = waiting(&first.email);
        let registered = register_late(world, &late, async || {
            assert!(world.users().create(&first, now()).await.unwrap());
        });
        assert_eq!(registered.await, Registration::Registered);
        let round = Round::open(first.user.id).join(late.user.id);
        assert_eq!(address(world, &first.email).await, Address::Awaited(round));
        let account = world.users().find_account(late.user.id, now()).await.unwrap().unwrap();
        assert_eq!(account.round, Some(first.user.id));
    });
}

#[test]
fn a_registration_joins_the_round_that_it_has_read_and_no_other() {
    run(async {
        let world = World::shared().await;
        let first = waiting(&Newcomer::new().email);
        assert!(world.users().create(&first, now()).await.unwrap());
        let late = waiting(&first.email);
        // An administrator's user takes the address, which ends the round.
        let newcomer = Newcomer { email: first.email.clone(), ..Newcomer::new() };
        let taker = new_user(&newcomer);
        let registered = register_late(world, &late, async || {
            assert!(world.users().create(&taker, now()).await.unwrap());
        });
        assert_eq!(registered.await, Registration::AddressTaken);
        assert_eq!(address(world, &first.email).await, Address::Taken(taker.user.id));
        assert!(world.users().find(late.user.id).await.unwrap().is_none());
    });
}

#[test]
fn a_registration_that_gets_its_address_meanwhile_is_not_deleted_in_part() {
    run(async {
        let world = World::shared().await;
        let person = world
            .person_with(|new| {
                new.expires_at = waiting(&new.email).expires_at;
                new.user.email_confirmed = false;
            })
            .await;
        let read = account(world, &person).await;
        assert_eq!(read.round, Some(person.id));
        // As a confirmation leaves it.
        world.remove_user_attributes(person.id, &["round", "expires_at"]).await;
        let pointer = format!("email#{}", read.email);
        let own = [("pk", text(&pointer)), ("user_id", text(&person.id))];
        world.put_user_item(own.map(|(name, value)| (name.to_owned(), value)).into()).await;
        assert!(!world.users().delete(Deletion::of(&read), None).await.unwrap());
        for key in keys(&read) {
            assert!(world.users_item(&key).await.is_some(), "{key}");
        }
        let read = account(world, &person).await;
        assert!(world.users().delete(Deletion::of(&read), None).await.unwrap());
        assert_eq!(address(world, read.email.as_str()).await, Address::Free);
    });
}

#[test]
fn a_decoy_is_written_over_another_decoy_and_over_nothing_permanent() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let there = account(world, &person).await;
        let register = async || {
            let new = NewUser { name_key: there.name_key.clone(), ..new_user(&Newcomer::new()) };
            world.users().register(&new, |_| silent(), now()).await
        };
        for _ in 0..2 {
            assert_eq!(register().await.unwrap(), Registration::NameTaken);
        }
        let [_, name, _] = keys(&there);
        world.give_away(&format!("decoy#{name}")).await;
        assert!(register().await.is_err());
    });
}

#[test]
fn a_hash_replaces_the_hash_that_was_verified_and_no_other() {
    run(async {
        let world = World::shared().await;
        let person = world.person_with(|new| new.password_hash = hash(1)).await;
        let users = world.users();
        let hash_now = async || account(world, &person).await.password_hash;
        assert!(users.rehash(person.id, &hash(1), &hash(2)).await.unwrap());
        // Somebody has changed the password since it was verified.
        assert!(!users.rehash(person.id, &hash(1), &hash(3)).await.unwrap());
        assert_eq!(hash_now().await, hash(2));
        let change = async |old: &PhcHash, new: &PhcHash| {
            users.change_password(person.id, old, new, None, &letter(person.id)).await.unwrap()
        };
        assert!(change(&hash(2), &hash(4)).await);
        assert!(!change(&hash(2), &hash(5)).await);
        assert_eq!(hash_now().await, hash(4));
    });
}

#[test]
fn only_who_proved_the_present_password_and_may_sign_in_asks_for_another_address() {
    run(async {
        let world = World::shared().await;
        let person = world.person_with(|new| new.password_hash = hash(1)).await;
        let users = world.users();
        let ask = async |proved: &PhcHash| {
            let pending = EmailAddress::parse(&Newcomer::new().email).unwrap();
            // These letters send nothing, because no user has the address.
            let letters = [(); 2].map(|()| {
                let email = EmailAddress::parse(&Newcomer::new().email).unwrap();
                Letter::new(Notice::ResetAsked { email }, now(), &random().unwrap())
            });
            let [first, second] = &letters;
            users.ask_email_change(person.id, proved, &pending, [first, second]).await.unwrap()
        };
        assert!(!ask(&hash(2)).await);
        assert!(account(world, &person).await.pending_email.is_none());
        assert!(ask(&hash(1)).await);
        assert!(users.administer(person.id, disabled(), now()).await.unwrap());
        assert!(!ask(&hash(1)).await);
        assert!(account(world, &person).await.pending_email.is_none());
    });
}

#[test]
fn nobody_is_made_by_changes_to_a_user_who_does_not_exist() {
    run(async {
        let world = World::shared().await;
        let nobody = UserId::generate(now(), &random().unwrap());
        let roles = ["admin".to_owned()];
        let claims = CustomClaims::within(r#"{"tenant": "acme"}"#).unwrap();
        let none = CustomClaims::default();
        for update in [
            AccountUpdate { roles: Some(&roles), ..AccountUpdate::default() },
            AccountUpdate { claims: Some(&claims), ..AccountUpdate::default() },
            AccountUpdate { claims: Some(&none), ..AccountUpdate::default() },
            disabled(),
        ] {
            let administered = world.users().administer(nobody, update, now()).await;
            assert!(!administered.unwrap(), "{update:?}");
        }
        let cut = SessionsCut { valid_after: now(), spared: None };
        assert_eq!(world.users().cut_sessions(nobody, cut).await.unwrap(), None);
        assert_eq!(world.users_item(&format!("user#{nobody}")).await, None);
    });
}

#[test]
fn a_cut_is_later_than_the_last_one_whatever_the_clocks_say() {
    run(async {
        let world = World::shared().await;
        let person = world.person().await;
        let ahead = now().plus(Duration::from_secs(3_600));
        let spared = SessionId::generate(now(), &random().unwrap());
        let cut = |valid_after, spared| SessionsCut { valid_after, spared };
        let end = async |cut| world.users().cut_sessions(person.id, cut).await.unwrap().unwrap();
        assert_eq!(end(cut(ahead, Some(spared))).await, cut(ahead, Some(spared)));
        let next = ahead.plus(Duration::from_millis(1));
        assert_eq!(end(cut(now(), None)).await, cut(next, None));
        assert_eq!(account(world, &person).await.user.cut, Some(cut(next, None)));
    });
}

#[test]
fn a_deletion_takes_what_it_was_asked_for_and_nothing_of_others() {
    run(async {
        let world = World::shared().await;
        let deleted = async |account: &Account, proved| {
            let deletion = if proved { Deletion::proved(account) } else { Deletion::of(account) };
            world.users().delete(deletion, None).await.unwrap()
        };
        // Name, address or password have changed.
        for (name, value) in [
            ("name_key", text("another")),
            ("email", text("another@example.com")),
            ("password_hash", text("$argon2id$another")),
        ] {
            let person = world.person().await;
            let there = account(world, &person).await;
            world.set_user(person.id, name, value).await;
            assert!(!deleted(&there, true).await, "{name}");
            for key in keys(&there) {
                assert!(world.users_item(&key).await.is_some(), "{name}: {key}");
            }
        }
        // Name or address belong to another user.
        for which in [1, 2] {
            let person = world.person().await;
            let there = account(world, &person).await;
            let key = &keys(&there)[which];
            let other = world.give_away(key).await;
            assert!(!deleted(&there, false).await, "{key}");
            assert_eq!(world.owner(key).await, other);
            assert!(world.users_item(&keys(&there)[0]).await.is_some(), "{key}");
        }
        let person = world.person().await;
        let there = account(world, &person).await;
        assert!(deleted(&there, true).await);
        for key in keys(&there) {
            assert_eq!(world.users_item(&key).await, None);
        }
    });
}

#[test]
fn a_cut_number_grows_with_every_change_that_ends_sessions() {
    run(async {
        let world = World::shared().await;
        let person = world.person_with(|new| new.password_hash = hash(1)).await;
        let users = world.users();
        let far = now().plus(Duration::from_secs(3_600));
        world.set_user(person.id, "sessions_valid_after", number(far.get())).await;
        let spared = SessionId::generate(now(), &random().unwrap());
        let (told, old, new) = (letter(person.id), hash(1), hash(2));
        let changed = users.change_password(person.id, &old, &new, Some(spared), &told);
        assert!(changed.await.unwrap());
        let cut = account(world, &person).await.user.cut.unwrap();
        assert_eq!(
            (cut.valid_after, cut.spared),
            (far.plus(Duration::from_millis(1)), Some(spared))
        );
        assert!(users.administer(person.id, disabled(), now()).await.unwrap());
        let cut = account(world, &person).await.user.cut.unwrap();
        assert_eq!((cut.valid_after, cut.spared), (far.plus(Duration::from_millis(2)), None));
    });
}
