//! Confirmations, resets and challenges.

use std::time::Duration;

use ratchet_core::{
    challenge::{Hashes, LetterSecrets, Proof, Purpose},
    email::EmailAddress,
    entropy::random,
    ids::{LetterId, UserId},
    key_ring::TagKey,
    letter::{Letter, Notice},
    registration::Address,
};
use ratchet_store::{Account, Challenges, ConfirmResult, Opened, ResetResult, Users};

use super::{between, hash, letter, number, proxied, text, users::disabled};
use crate::support::{
    World,
    mail::Newcomer,
    people::{Person, now},
    proxy::{Fault, Proxy},
    run,
};

/// A person whose registration expires, or does not, with a client whose writes can be held up.
struct Scene {
    world: &'static World,
    users: Users,
    challenges: Challenges,
    proxy: Proxy,
    person: Person,
}

fn secrets(purpose: Purpose, user: UserId) -> (Proof, (LetterId, Hashes)) {
    let (letter, key) = (LetterId::generate(now(), &random().unwrap()), TagKey::new(&[7; 32]));
    let hashes = LetterSecrets::derive(&key, letter, purpose, user).hashes(&key);
    (Proof::Token(hashes.token), (letter, hashes))
}

impl Scene {
    async fn new(expires: bool) -> Self {
        let world = World::shared().await;
        let (client, proxy) = proxied(world).await;
        let table = world.stack().data().users_table.as_str();
        let person = world.person_with(|new| {
            new.user.email_confirmed = !expires;
            new.password_hash = hash(1);
            let end = now().plus(Duration::from_secs(1_000));
            new.expires_at = expires.then(|| end.seconds());
        });
        let person = person.await;
        let users = Users::new(client.clone(), table);
        Self { world, users, challenges: Challenges::new(client, table), proxy, person }
    }

    async fn account(&self) -> Account {
        let found = self.world.users().find_account(self.person.id, now()).await.unwrap();
        found.expect("an account")
    }

    fn key(&self) -> String {
        format!("user#{}", self.person.id)
    }

    async fn open_for(&self, purpose: Purpose, email: &EmailAddress) -> Proof {
        let (proof, (letter, hashes)) = secrets(purpose, self.person.id);
        let message = (letter, &[hashes][..]);
        let opened = self.challenges.open(purpose, self.person.id, email, message, now()).await;
        assert_eq!(opened.unwrap(), Opened::With(0));
        proof
    }

    async fn open(&self, purpose: Purpose) -> Proof {
        self.open_for(purpose, &self.account().await.email).await
    }

    /// Has the person ask for another address; the proof that confirms it.
    async fn ask_for(&self, pending: &EmailAddress) -> Proof {
        self.world.set_user(self.person.id, "pending_email", text(pending)).await;
        self.open_for(Purpose::ChangeEmail, pending).await
    }

    async fn confirm(&self, proof: &Proof) -> ConfirmResult {
        self.users.confirm_email(self.person.id, proof, now()).await.unwrap()
    }

    async fn reset(&self, proof: &Proof, number: u32) -> ResetResult {
        let (id, new) = (self.person.id, hash(number));
        self.users.reset_password(id, proof, &new, now(), &letter(id)).await.unwrap()
    }

    async fn change(&self, proof: &Proof) -> ConfirmResult {
        let account = self.account().await;
        self.users.confirm_email_change(&account, proof, now(), &silent()).await.unwrap()
    }
}

/// A letter that sends nothing, because no user has the address.
fn silent() -> Letter {
    let email = EmailAddress::parse(&Newcomer::new().email).unwrap();
    Letter::new(Notice::ResetAsked { email }, now(), &random().unwrap())
}

fn address() -> EmailAddress {
    EmailAddress::parse(&Newcomer::new().email).unwrap()
}

#[test]
fn a_proof_that_is_used_while_another_one_is_written_changes_nothing() {
    run(async {
        let scene = Scene::new(false).await;
        let (first, second) =
            (scene.open(Purpose::ResetPassword).await, scene.open(Purpose::ResetPassword).await);
        let (users, id) = (scene.users.clone(), scene.person.id);
        let late = Box::pin(async move {
            users.reset_password(id, &first, &hash(2), now(), &letter(id)).await.unwrap()
        });
        let late = between(&scene.proxy, "TransactWriteItems", late, async || {
            let users = scene.world.users();
            let reset = users.reset_password(id, &second, &hash(3), now(), &letter(id)).await;
            assert!(matches!(reset.unwrap(), ResetResult::Reset));
        });
        assert!(matches!(late.await, ResetResult::Invalid));
        assert_eq!(scene.account().await.password_hash, hash(3));
    });
}

#[test]
fn the_same_proof_twice_at_once_sets_one_password() {
    run(async {
        let scene = Scene::new(false).await;
        let proof = scene.open(Purpose::ResetPassword).await;
        let (users, id, used) = (scene.users.clone(), scene.person.id, proof.clone());
        let late = Box::pin(async move {
            users.reset_password(id, &used, &hash(2), now(), &letter(id)).await.unwrap()
        });
        let late = between(&scene.proxy, "TransactWriteItems", late, async || {
            let users = scene.world.users();
            let reset = users.reset_password(id, &proof, &hash(3), now(), &letter(id)).await;
            assert!(matches!(reset.unwrap(), ResetResult::Reset));
        });
        let ResetResult::MetBefore(account) = late.await else { panic!("it was used before") };
        assert_eq!(account.password_hash, hash(3), "the caller compares the password with this");
        assert_eq!(scene.account().await.password_hash, hash(3));
    });
}

#[test]
fn a_message_that_is_opened_while_another_one_is_written_stays_good() {
    run(async {
        let scene = Scene::new(false).await;
        let purpose = Purpose::ResetPassword;
        for _ in 0..2 {
            let (late, (letter, hashes)) = secrets(purpose, scene.person.id);
            let (challenges, id) = (scene.challenges.clone(), scene.person.id);
            let email = scene.account().await.email;
            let opening = Box::pin(async move {
                let message = (letter, &[hashes][..]);
                challenges.open(purpose, id, &email, message, now()).await.unwrap()
            });
            let mut other = None;
            let opened = between(&scene.proxy, "PutItem", opening, async || {
                let table = scene.world.stack().data().users_table.as_str();
                let challenges = Challenges::new(scene.world.stack().dynamodb(), table);
                let (proof, (letter, hashes)) = secrets(purpose, id);
                let email = scene.account().await.email;
                let message = (letter, &[hashes][..]);
                challenges.open(purpose, id, &email, message, now()).await.unwrap();
                other = Some(proof);
            });
            assert_eq!(opened.await, Opened::With(0));
            // Of a new challenge, and of one that is there already.
            let other = other.unwrap();
            let item = format!("{:?}", scene.world.users_item(&challenge(purpose, id)).await);
            for proof in [&late, &other] {
                let Proof::Token(token) = proof else { panic!("a token") };
                let bytes =
                    format!("{:?}", aws_sdk_dynamodb::primitives::Blob::new(token.as_bytes()));
                assert!(item.contains(&bytes), "{item}");
            }
        }
    });
}

fn challenge(purpose: Purpose, id: UserId) -> String {
    format!("challenge#{}#{id}", purpose.as_str())
}

#[test]
fn what_is_used_up_blindly_is_used_up_for_those_who_have_read_it_too() {
    run(async {
        let scene = Scene::new(false).await;
        let proof = scene.open(Purpose::ResetPassword).await;
        let (users, id) = (scene.users.clone(), scene.person.id);
        let late = Box::pin(async move {
            users.reset_password(id, &proof, &hash(2), now(), &letter(id)).await.unwrap()
        });
        let late = between(&scene.proxy, "TransactWriteItems", late, async || {
            let users = scene.world.users();
            let changed = users.change_password(id, &hash(1), &hash(3), None, &letter(id)).await;
            assert!(changed.unwrap());
        });
        assert!(matches!(late.await, ResetResult::Invalid));
        assert_eq!(scene.account().await.password_hash, hash(3));
    });
}

#[test]
fn a_user_who_is_removed_meanwhile_is_not_made_again() {
    run(async {
        for reset in [false, true] {
            let scene = Scene::new(false).await;
            let purpose = if reset { Purpose::ResetPassword } else { Purpose::ConfirmEmail };
            let proof = scene.open(purpose).await;
            let (users, id) = (scene.users.clone(), scene.person.id);
            let late = Box::pin(async move {
                if reset {
                    let done = users.reset_password(id, &proof, &hash(2), now(), &letter(id)).await;
                    matches!(done.unwrap(), ResetResult::Reset)
                } else {
                    let done = users.confirm_email(id, &proof, now()).await;
                    done.unwrap() == ConfirmResult::Confirmed
                }
            });
            let late = between(&scene.proxy, "TransactWriteItems", late, async || {
                scene.world.delete_users_item(&scene.key()).await;
            });
            assert!(!late.await, "reset: {reset}");
            assert_eq!(scene.world.users_item(&scene.key()).await, None, "reset: {reset}");
        }
    });
}

#[test]
fn a_name_or_an_address_that_was_registered_anew_stays_with_its_new_user() {
    run(async {
        for reset in [false, true] {
            for of_name in [false, true] {
                let scene = Scene::new(true).await;
                let purpose = if reset { Purpose::ResetPassword } else { Purpose::ConfirmEmail };
                let proof = scene.open(purpose).await;
                let account = scene.account().await;
                let pointer = if of_name {
                    format!("name#{}", account.name_key)
                } else {
                    format!("email#{}", account.email)
                };
                let other = scene.world.give_away(&pointer).await;
                if reset {
                    assert!(matches!(scene.reset(&proof, 2).await, ResetResult::Invalid));
                } else {
                    assert_eq!(scene.confirm(&proof).await, ConfirmResult::Invalid);
                }
                assert_eq!(scene.world.owner(&pointer).await, other);
                assert!(!scene.account().await.user.email_confirmed, "{pointer}");
            }
        }
    });
}

#[test]
fn a_confirmed_address_keeps_its_name_and_is_done_the_second_time() {
    run(async {
        let scene = Scene::new(true).await;
        let proof = scene.open(Purpose::ConfirmEmail).await;
        assert_eq!(scene.confirm(&proof).await, ConfirmResult::Confirmed);
        assert_eq!(scene.confirm(&proof).await, ConfirmResult::AlreadyDone);
        let account = scene.account().await;
        assert!(account.user.email_confirmed && account.expires_at.is_none());
        let name = scene.world.users_item(&format!("name#{}", account.name_key)).await.unwrap();
        assert!(!name.contains_key("expires_at"));
        let other = Proof::Token(secrets(Purpose::ConfirmEmail, scene.person.id).1.1.token);
        assert_eq!(scene.confirm(&other).await, ConfirmResult::Invalid);
    });
}

#[test]
fn an_address_that_nobody_wants_any_more_is_not_given() {
    run(async {
        let scene = Scene::new(false).await;
        let proof = scene.ask_for(&address()).await;
        let before = scene.account().await;
        let (users, account) = (scene.users.clone(), before.clone());
        let late = Box::pin(async move {
            users.confirm_email_change(&account, &proof, now(), &silent()).await.unwrap()
        });
        let late = between(&scene.proxy, "TransactWriteItems", late, async || {
            // Disabling forgets the address, and leaves the challenge alone.
            let users = scene.world.users();
            assert!(users.administer(scene.person.id, disabled(), now()).await.unwrap());
        });
        assert_eq!(late.await, ConfirmResult::Invalid);
        assert_eq!(scene.account().await.email, before.email);
    });
}

#[test]
fn an_address_that_another_user_has_by_now_is_not_given() {
    run(async {
        let scene = Scene::new(false).await;
        let pending = address();
        let proof = scene.ask_for(&pending).await;
        let pointer = format!("email#{pending}");
        let other = scene.world.give_away(&pointer).await;
        assert_eq!(scene.change(&proof).await, ConfirmResult::Invalid);
        assert_eq!(scene.world.owner(&pointer).await, other);
        assert_ne!(scene.account().await.email, pending);
    });
}

#[test]
fn of_the_former_address_only_the_users_own_pointer_is_freed() {
    run(async {
        let scene = Scene::new(false).await;
        let proof = scene.ask_for(&address()).await;
        let account = scene.account().await;
        let pointer = format!("email#{}", account.email);
        let other = scene.world.give_away(&pointer).await;
        let changed = scene.users.confirm_email_change(&account, &proof, now(), &silent()).await;
        assert!(changed.is_err(), "the table contradicts itself: {changed:?}");
        assert_eq!(scene.world.owner(&pointer).await, other);
    });
}

#[test]
fn a_changed_address_keeps_its_name_and_is_done_the_second_time() {
    run(async {
        // An account that expires can have asked for another address before confirmation was required.
        let scene = Scene::new(true).await;
        let pending = address();
        let proof = scene.ask_for(&pending).await;
        let account = scene.account().await;
        let name = format!("name#{}", account.name_key);
        let other = scene.world.give_away(&name).await;
        assert_eq!(scene.change(&proof).await, ConfirmResult::Invalid);
        assert_eq!(scene.world.owner(&name).await, other);
        let own = [
            ("pk", text(&name)),
            ("user_id", text(&scene.person.id)),
            ("expires_at", number(9_999_999_999)),
        ];
        scene.world.put_user_item(own.map(|(name, value)| (name.to_owned(), value)).into()).await;
        assert_eq!(scene.change(&proof).await, ConfirmResult::Confirmed);
        assert_eq!(scene.change(&proof).await, ConfirmResult::AlreadyDone);
        assert_eq!(scene.account().await.email, pending);
        assert!(!scene.world.users_item(&name).await.unwrap().contains_key("expires_at"));
        let former = scene.users.address(&account.email, now()).await.unwrap();
        assert!(!matches!(former, Address::Taken(_)), "{former:?}");
        assert_eq!(scene.account().await.round, None);
    });
}

#[test]
fn of_a_changed_address_no_pointer_is_left_behind_by_a_registration_confirmed_meanwhile() {
    run(async {
        let scene = Scene::new(true).await;
        let (pending, before) = (address(), scene.account().await);
        let confirmation = scene.open(Purpose::ConfirmEmail).await;
        let proof = scene.ask_for(&pending).await;
        let (users, account) = (scene.users.clone(), before.clone());
        let late = Box::pin(async move {
            users.confirm_email_change(&account, &proof, now(), &silent()).await.unwrap()
        });
        let late = between(&scene.proxy, "TransactWriteItems", late, async || {
            let users = scene.world.users();
            let confirmed = users.confirm_email(scene.person.id, &confirmation, now()).await;
            assert_eq!(confirmed.unwrap(), ConfirmResult::Confirmed);
        });
        assert_eq!(late.await, ConfirmResult::Confirmed);
        let found = async |email| scene.users.address(email, now()).await.unwrap();
        assert_eq!(found(&pending).await, Address::Taken(scene.person.id));
        assert_eq!(found(&before.email).await, Address::Free);
    });
}

/// The answers to all tries are lost.
#[test]
fn a_transaction_that_was_applied_is_done_although_nobody_heard() {
    run(async {
        let scene = Scene::new(true).await;
        let id = scene.person.id;
        let lose = || scene.proxy.break_all("TransactWriteItems", Fault::ApplyAndDrop);
        let proof = scene.open(Purpose::ConfirmEmail).await;
        lose();
        assert_eq!(scene.confirm(&proof).await, ConfirmResult::Confirmed);
        scene.proxy.heal();

        let pending = address();
        let proof = scene.ask_for(&pending).await;
        lose();
        assert_eq!(scene.change(&proof).await, ConfirmResult::Confirmed);
        scene.proxy.heal();

        let proof = scene.open(Purpose::ResetPassword).await;
        lose();
        assert!(matches!(scene.reset(&proof, 2).await, ResetResult::Reset));
        let changed = scene.users.change_password(id, &hash(2), &hash(3), None, &letter(id)).await;
        assert!(changed.unwrap());
        let account = scene.account().await;
        let deletion = ratchet_store::users::Deletion::proved(&account);
        assert!(scene.users.delete(deletion, None).await.unwrap());
        assert_eq!(scene.world.users_item(&scene.key()).await, None);
    });
}

#[test]
fn a_transaction_that_was_not_applied_is_a_fault() {
    run(async {
        let scene = Scene::new(true).await;
        let id = scene.person.id;
        let proof = scene.open(Purpose::ConfirmEmail).await;
        let reset = scene.open(Purpose::ResetPassword).await;
        scene.proxy.break_all("TransactWriteItems", Fault::Refuse);
        scene.users.confirm_email(id, &proof, now()).await.unwrap_err();
        let done = scene.users.reset_password(id, &reset, &hash(2), now(), &letter(id)).await;
        done.unwrap_err();
        let changed = scene.users.change_password(id, &hash(1), &hash(3), None, &letter(id)).await;
        changed.unwrap_err();
        scene.proxy.heal();
        assert_eq!(scene.account().await.password_hash, hash(1));
        assert_eq!(scene.confirm(&proof).await, ConfirmResult::Confirmed);
    });
}
