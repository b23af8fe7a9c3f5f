//! Several registrations that wait for the confirmation of one address.

use ratchet_core::{
    challenge::CODE_TRIES_PER_DAY,
    email::EmailAddress,
    registration::{Address, LISTED},
    user::NameKey,
};
use serde_json::{Value, json};

use super::{admin, patch};
use crate::support::{
    Answer, World,
    api::available,
    logs::CANARY,
    mail::{Newcomer, code, token},
    people::{early_in_the_hour, now},
    run,
};

const CONFIRM: &str = "/users/confirm-email";

/// Registers a person with another one's address.
async fn register_with(world: &World, email: &str) -> Newcomer {
    let newcomer = Newcomer { email: email.to_owned(), ..Newcomer::new() };
    assert_eq!(world.register(&newcomer).await.status, 202);
    newcomer
}

fn by_code(of: &Newcomer, code: &str) -> Value {
    json!({"email": of.email, "name": of.name, "code": code})
}

impl World {
    async fn confirm(&self, body: &Value) -> Answer {
        let api = self.api();
        available(|| api.post(CONFIRM, body.clone())).await
    }

    /// Fails unless the proof is invalid.
    async fn proves_nothing(&self, body: &Value) {
        assert_eq!(self.confirm(body).await.code(), "invalid_proof", "{body}");
    }

    async fn address(&self, email: &str) -> Address {
        self.users().address(&EmailAddress::parse(email).unwrap(), now()).await.unwrap()
    }

    async fn id_of(&self, newcomer: &Newcomer) -> String {
        let key = NameKey::parse(&newcomer.name).unwrap();
        let name = self.users_item(&format!("name#{key}")).await.expect("a name");
        name["user_id"].as_s().unwrap().clone()
    }

    async fn is_confirmed(&self, newcomer: &Newcomer) -> bool {
        let user = self.users_item(&format!("user#{}", self.id_of(newcomer).await)).await;
        *user.expect("a user")["email_confirmed"].as_bool().unwrap()
    }
}

#[test]
fn a_code_confirms_the_registration_that_it_was_sent_for_and_ends_the_others() {
    run(async {
        let world = World::shared().await;
        for owner_is_first in [true, false] {
            let first = Newcomer::new();
            assert_eq!(world.register(&first).await.status, 202);
            let second = register_with(world, &first.email).await;
            let mails = [world.mail(&first.email, 1).await, world.mail(&first.email, 2).await];
            let (owner, stranger, [mine, theirs]) = if owner_is_first {
                (&first, &second, mails)
            } else {
                let [theirs, mine] = mails;
                (&second, &first, [mine, theirs])
            };
            for (of, mail) in [(owner, &mine), (stranger, &theirs)] {
                assert!(mail.text().contains(&of.name.to_lowercase()), "{}", mail.text());
            }

            // The code of the other message, typed where the owner registered.
            world.proves_nothing(&by_code(owner, &code(&theirs))).await;
            assert!(!world.is_confirmed(stranger).await && !world.is_confirmed(owner).await);
            let right = if owner_is_first {
                by_code(owner, &code(&mine))
            } else {
                json!({"email": owner.email, "code": code(&mine)})
            };
            assert_eq!(world.confirm(&right).await.status, 204);
            assert_eq!(world.confirm(&right).await.status, 204, "it is done");
            assert!(world.is_confirmed(owner).await && !world.is_confirmed(stranger).await);

            for proof in [
                json!({"token": token(&theirs)}),
                by_code(stranger, &code(&theirs)),
                json!({"email": owner.email, "code": code(&theirs)}),
            ] {
                world.proves_nothing(&proof).await;
            }
            let api = world.api();
            let theirs = api.authenticate(&stranger.name, &stranger.password).await;
            assert_eq!(theirs.code(), "email_not_confirmed");
            for name in [&owner.name, &owner.email] {
                assert_eq!(api.authenticate(name, &owner.password).await.status, 200);
                let wrong = api.authenticate(name, &stranger.password).await;
                assert_eq!(wrong.code(), "invalid_credentials");
            }
        }
    });
}

#[test]
fn of_two_confirmations_at_once_exactly_one_wins() {
    run(async {
        let world = World::shared().await;
        for _ in 0..5 {
            let first = Newcomer::new();
            assert_eq!(world.register(&first).await.status, 202);
            let second = register_with(world, &first.email).await;
            let [one, other] = [
                json!({"token": token(&world.mail(&first.email, 1).await)}),
                json!({"token": token(&world.mail(&first.email, 2).await)}),
            ];
            let (one, other) = tokio::join!(world.confirm(&one), world.confirm(&other));
            let won = [one.status == 204, other.status == 204];
            assert!(won[0] != won[1], "{one:?}, {other:?}");
            let confirmed = [world.is_confirmed(&first).await, world.is_confirmed(&second).await];
            assert_eq!(confirmed, won);
            let winner = if won[0] { &first } else { &second };
            let Address::Taken(id) = world.address(&first.email).await else { panic!("nobody") };
            assert_eq!(id.to_string(), world.id_of(winner).await);
        }
    });
}

#[test]
fn registrations_at_the_same_time_all_wait() {
    run(async {
        let world = World::shared().await;
        let email = Newcomer::new().email;
        let registering = (0..LISTED).map(|_| {
            let (api, ada) = (world.api(), Newcomer { email: email.clone(), ..Newcomer::new() });
            tokio::spawn(async move { available(|| api.post("/users", ada.body())).await.status })
        });
        for answer in registering.collect::<Vec<_>>() {
            assert_eq!(answer.await.unwrap(), 202);
        }
        let Address::Awaited(round) = world.address(&email).await else { panic!("nobody waits") };
        assert!(round.newest.iter().all(Option::is_some), "{round:?}");
    });
}

#[test]
fn the_owner_of_an_address_is_not_kept_out_by_registering_often() {
    run(async {
        let world = World::shared().await;
        early_in_the_hour().await;
        let owner = Newcomer::new();
        assert_eq!(world.register(&owner).await.status, 202);
        let mail = world.mail(&owner.email, 1).await;
        for _ in 0..=LISTED {
            register_with(world, &owner.email).await;
        }
        let code = code(&mail);
        world.proves_nothing(&json!({"email": owner.email, "code": code})).await;
        assert_eq!(world.confirm(&by_code(&owner, &code)).await.status, 204);
    });
}

#[test]
fn a_registration_stays_unconfirmable_when_the_address_is_free_again() {
    run(async {
        let world = World::shared().await;
        let owner = Newcomer::new();
        assert_eq!(world.register(&owner).await.status, 202);
        register_with(world, &owner.email).await;
        let [mine, theirs] = [world.mail(&owner.email, 1).await, world.mail(&owner.email, 2).await];
        assert_eq!(world.confirm(&json!({"token": token(&mine)})).await.status, 204);
        let access = world.api().authenticate(&owner.name, &owner.password).await.tokens().access;
        let delete = world.api().request("DELETE", "/users/me").bearer_auth(access);
        let delete = delete.json(&json!({"password": owner.password}));
        assert_eq!(Answer::of(delete).await.status, 204);
        assert_eq!(world.address(&owner.email).await, Address::Free);
        let theirs = json!({"token": token(&theirs)});
        world.proves_nothing(&theirs).await;
        // Nor does a new registration open their round again.
        let heir = register_with(world, &owner.email).await;
        world.proves_nothing(&theirs).await;
        let last = world.mail(&owner.email, 4).await;
        assert!(last.text().contains(&heir.name.to_lowercase()), "{}", last.text());
        assert_eq!(world.confirm(&json!({"token": token(&last)})).await.status, 204);
    });
}

#[test]
fn more_registrations_allow_no_more_guesses() {
    run(async {
        let world = World::shared().await;
        early_in_the_hour().await;
        let owner = Newcomer::new();
        assert_eq!(world.register(&owner).await.status, 202);
        for _ in 1..LISTED {
            register_with(world, &owner.email).await;
        }
        let mut codes = Vec::new();
        for number in 1..=LISTED {
            codes.push(code(&world.mail(&owner.email, number).await));
        }
        let mut guesses = (0..=LISTED).map(|number| format!("{number:06}"));
        let wrong = guesses.find(|code| !codes.contains(code));
        let guess = json!({"email": owner.email, "code": wrong.unwrap()});
        for _ in 0..CODE_TRIES_PER_DAY / LISTED {
            world.proves_nothing(&guess).await;
        }
        world.proves_nothing(&json!({"email": owner.email, "code": codes[0]})).await;
        // One comparison is left, for a code with a name.
        assert_eq!(world.confirm(&by_code(&owner, &codes[0])).await.status, 204);
    });
}

#[test]
fn a_name_with_another_address_is_no_way_around_the_count() {
    run(async {
        let world = World::shared().await;
        let owner = Newcomer::new();
        assert_eq!(world.register(&owner).await.status, 202);
        let code = code(&world.mail(&owner.email, 1).await);
        let elsewhere = Newcomer { name: owner.name.clone(), ..Newcomer::new() };
        world.proves_nothing(&by_code(&elsewhere, &code)).await;
        assert_eq!(world.confirm(&by_code(&owner, &code)).await.status, 204);
    });
}

#[test]
fn each_registration_gets_its_own_message_when_another_is_requested() {
    run(async {
        let world = World::shared().await;
        early_in_the_hour().await;
        let first = Newcomer::new();
        assert_eq!(world.register(&first).await.status, 202);
        let second = register_with(world, &first.email).await;
        world.mail(&first.email, 2).await;
        let resend = async |body: Value| {
            assert_eq!(world.api().post("/users/confirm-email/resend", body).await.status, 202);
        };
        resend(json!({"email": first.email})).await;
        let (newest, older) =
            (world.mail(&first.email, 3).await, world.mail(&first.email, 4).await);
        for (of, mail) in [(&second, &newest), (&first, &older)] {
            assert!(mail.text().contains(&of.name.to_lowercase()), "{}", mail.text());
        }
        assert_ne!(code(&newest), code(&older));
        // Six in an hour, and the fifth is for one of them.
        resend(json!({"email": first.email, "name": first.name})).await;
        let fifth = world.mail(&first.email, 5).await;
        assert!(fifth.text().contains(&first.name.to_lowercase()), "{}", fifth.text());
        resend(json!({"email": first.email, "name": Newcomer::new().name})).await;
        resend(json!({"email": first.email})).await;
        let sixth = world.mail(&first.email, 6).await;
        assert!(sixth.text().contains(&second.name.to_lowercase()), "{}", sixth.text());
        assert_eq!(world.confirm(&json!({"token": token(&sixth)})).await.status, 204);
        assert_eq!(world.mails(&first.email).await.len(), 6);
    });
}

#[test]
fn a_reset_confirms_the_registration_that_it_was_sent_for() {
    run(async {
        let world = World::shared().await;
        early_in_the_hour().await;
        let owner = Newcomer::new();
        assert_eq!(world.register(&owner).await.status, 202);
        let stranger = register_with(world, &owner.email).await;
        world.mail(&owner.email, 2).await;
        let body = json!({"email": owner.email});
        assert_eq!(world.api().post("/users/password-reset", body).await.status, 202);
        let (theirs, mine) = (world.mail(&owner.email, 3).await, world.mail(&owner.email, 4).await);
        for (of, mail) in [(&owner, &mine), (&stranger, &theirs)] {
            assert!(mail.text().contains(&of.name.to_lowercase()), "{}", mail.text());
        }
        let new = format!("{CANARY} words for good");
        let reset = async |proof: &Value| {
            let mut body = proof.clone();
            body["password"] = json!(new);
            world.api().post("/users/password-reset/confirm", body).await
        };
        let crossed = reset(&by_code(&owner, &code(&theirs))).await;
        assert_eq!(crossed.code(), "invalid_proof");
        let right = json!({"email": owner.email, "code": code(&mine)});
        assert_eq!(reset(&right).await.status, 204);
        assert_eq!(reset(&right).await.status, 204, "it is done");
        assert_eq!(world.api().authenticate(&owner.name, &new).await.status, 200);
        let late = reset(&json!({"token": token(&theirs)})).await;
        assert_eq!(late.code(), "invalid_proof");
        assert!(!world.is_confirmed(&stranger).await);
    });
}

#[test]
fn who_waits_takes_nothing_from_a_changed_address_or_an_administrators_user() {
    run(async {
        let world = World::shared().await;
        let (_, access) = admin(world).await;
        let stranger = Newcomer::new();
        assert_eq!(world.register(&stranger).await.status, 202);
        let theirs = json!({"token": token(&world.mail(&stranger.email, 1).await)});
        let ada = world.member().await;
        let own = world.api().authenticate(&ada.name, &ada.password).await.tokens().access;
        let body = json!({"email": stranger.email, "password": ada.password});
        assert_eq!(patch(world, "/users/me", &own, body).await.status, 202);
        let asked = world.mail(&stranger.email, 2).await;
        assert!(asked.subject.starts_with("Confirm your new"), "{}", asked.subject);
        assert_eq!(world.confirm(&json!({"token": token(&asked)})).await.status, 204);
        world.proves_nothing(&theirs).await;
        let Address::Taken(id) = world.address(&stranger.email).await else { panic!("nobody") };
        assert_eq!(id.to_string(), world.id_of(&ada).await);

        let stranger = Newcomer::new();
        assert_eq!(world.register(&stranger).await.status, 202);
        let theirs = json!({"token": token(&world.mail(&stranger.email, 1).await)});
        let made = Newcomer { email: stranger.email.clone(), ..Newcomer::new() };
        assert_eq!(super::post(world, "/users", &access, made.body()).await.status, 202);
        world.proves_nothing(&theirs).await;
        let letter = world.mail(&made.email, 2).await;
        assert!(letter.text().contains(&made.name.to_lowercase()), "{}", letter.text());
        assert_eq!(world.confirm(&json!({"token": token(&letter)})).await.status, 204);
    });
}

#[test]
fn an_administrator_deletes_a_registration_that_waits_and_the_others_go_on_waiting() {
    run(async {
        let world = World::shared().await;
        let (_, access) = admin(world).await;
        let stranger = Newcomer::new();
        assert_eq!(world.register(&stranger).await.status, 202);
        let owner = register_with(world, &stranger.email).await;
        let [theirs, mine] = [world.mail(&owner.email, 1).await, world.mail(&owner.email, 2).await];
        let path = format!("/users/{}", world.id_of(&stranger).await);
        assert_eq!(world.api().delete(&path, &access).await.status, 204);
        world.proves_nothing(&json!({"token": token(&theirs)})).await;
        let right = json!({"email": owner.email, "code": code(&mine)});
        assert_eq!(world.confirm(&right).await.status, 204);
    });
}
