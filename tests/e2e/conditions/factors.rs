//! Second factors.

use std::time::Duration;

use ratchet_core::{
    amr::Amr,
    authentication::{Authentication, SteppedUp},
    ids::SessionId,
    second_factor::{ChallengeHash, Pending, RecoveryHash, SealedTotpSecret, Spend, Spent},
    session::Session,
    user::{SessionsCut, User},
};
use ratchet_store::{
    Users,
    users::{Enabling, KeptChallenge, Spending, Start, SteppingUp},
};

use super::{letter, sessions::session};
use crate::support::{World, people::now, run};

fn sealed(byte: u8) -> SealedTotpSecret {
    SealedTotpSecret { kid: "kid".to_owned(), sealed: vec![byte; 48] }
}

fn hash(byte: u8) -> RecoveryHash {
    RecoveryHash::from_bytes([byte; 32])
}

fn pending(byte: u8, left: u64) -> Pending {
    let expires_at = now().seconds().plus(Duration::from_secs(left));
    Pending { secret: sealed(byte), expires_at }
}

/// A user of one test, as read last.
struct Owner {
    world: &'static World,
    users: Users,
    user: User,
}

impl Owner {
    async fn new() -> Self {
        let world = World::shared().await;
        let person = world.person().await;
        let users = world.users();
        let user = users.find(person.id).await.unwrap().unwrap();
        Self { world, users, user }
    }

    /// A user whose factor with the secret 1 is on, since step 5, with the recovery codes 1 and 2.
    async fn enrolled() -> Self {
        let mut owner = Self::new().await;
        assert!(owner.users.begin_factor(owner.user.id, &pending(1, 60)).await.unwrap());
        assert!(owner.enable(1).await);
        owner.read().await;
        owner
    }

    async fn read(&mut self) {
        self.user = self.users.find(self.user.id).await.unwrap().unwrap();
    }

    async fn enable(&self, secret: u8) -> bool {
        let letter = letter(self.user.id);
        let (secret, recovery) = (sealed(secret), [hash(1), hash(2)]);
        let enabling = Enabling {
            user: &self.user,
            secret: &secret,
            step: 5,
            recovery: &recovery,
            spared: None,
            letter: &letter,
        };
        self.users.enable_factor(enabling).await.unwrap()
    }

    fn session(&self) -> Session {
        // It has seen the cut that came with the factor, or the mailer would revoke it.
        let amr = Amr::PASSWORD.and(Amr::CODE);
        Session { user_id: self.user.id, amr, cut_seen: now(), ..session() }
    }

    /// The challenge of a sign-in that waits for its code.
    async fn challenge(&self) -> ChallengeHash {
        let hash = ChallengeHash::of(&self.session().session_id.to_string());
        let until = now().seconds().plus(Duration::from_mins(5));
        self.users.keep_challenge(hash, until).await.unwrap();
        hash
    }

    async fn spend(&self, secret: u8, spend: Spend, session: &Session) -> Spent {
        let challenge = self.challenge().await;
        self.spend_with(secret, spend, (session, challenge)).await
    }

    async fn spend_with(
        &self,
        secret: u8,
        spend: Spend,
        (session, challenge): (&Session, ChallengeHash),
    ) -> Spent {
        let secret = sealed(secret);
        let sessions = self.world.sessions();
        let spending = Spending { user: &self.user, secret: &secret, spend };
        let start = Start { sessions: &sessions, session, challenge };
        self.users.spend_factor_and_start(spending, start, None).await.unwrap()
    }

    async fn step_up(&self, secret: u8, spend: Spend, session: &Session) -> SteppedUp {
        let (secret, sessions) = (sealed(secret), self.world.sessions());
        let spending = Spending { user: &self.user, secret: &secret, spend };
        let authentication = Authentication { at: now(), amr: Amr::CODE };
        let stepping_up =
            SteppingUp { sessions: &sessions, session_id: session.session_id, authentication };
        self.users.spend_factor_and_step_up(spending, stepping_up, None).await.unwrap()
    }

    async fn disable(&self, secret: u8, spend: Spend) -> bool {
        let (letter, secret) = (letter(self.user.id), sealed(secret));
        let spending = Spending { user: &self.user, secret: &secret, spend };
        let spared = SessionId::from_bytes([1; 16]);
        self.users.disable_factor(spending, spared, &letter).await.unwrap()
    }

    async fn replace(&self, secret: u8, spend: Spend) -> bool {
        let (letter, secret) = (letter(self.user.id), sealed(secret));
        let spending = Spending { user: &self.user, secret: &secret, spend };
        self.users.replace_recovery_codes(spending, &[hash(7)], &letter).await.unwrap()
    }

    async fn cut(&self) {
        let cut = SessionsCut { valid_after: now(), spared: None };
        self.users.cut_sessions(self.user.id, cut).await.unwrap().unwrap();
    }
}

#[test]
fn a_factor_that_is_on_is_not_replaced_by_one_that_waits() {
    run(async {
        let owner = Owner::enrolled().await;
        assert!(!owner.users.begin_factor(owner.user.id, &pending(2, 60)).await.unwrap());
        let factor = owner.users.find_factor(owner.user.id).await.unwrap().unwrap();
        assert_eq!(factor.enabled.unwrap().secret, sealed(1));
        assert_eq!(factor.pending, None);
    });
}

#[test]
fn only_the_secret_that_waits_is_switched_on_and_only_in_its_time() {
    run(async {
        let owner = Owner::new().await;
        assert!(!owner.enable(1).await, "nothing waits");
        owner.users.begin_factor(owner.user.id, &pending(1, 60)).await.unwrap();
        assert!(!owner.enable(2).await, "another one waits");
        owner.users.begin_factor(owner.user.id, &pending(1, 0)).await.unwrap();
        assert!(!owner.enable(1).await, "its time is over");
        assert!(!owner.users.find(owner.user.id).await.unwrap().unwrap().second_factor);
        owner.users.begin_factor(owner.user.id, &pending(1, 60)).await.unwrap();
        assert!(owner.enable(1).await);
        let user = owner.users.find(owner.user.id).await.unwrap().unwrap();
        assert!(user.second_factor && user.cut.is_some());
    });
}

#[test]
fn a_factor_does_not_change_once_the_sessions_were_ended() {
    run(async {
        let owner = Owner::new().await;
        owner.users.begin_factor(owner.user.id, &pending(1, 60)).await.unwrap();
        owner.cut().await;
        assert!(!owner.enable(1).await);
        let owner = Owner::enrolled().await;
        owner.cut().await;
        assert!(!owner.disable(1, Spend::Step(6)).await);
        assert!(!owner.replace(1, Spend::Step(6)).await);
        assert!(!owner.users.reset_factor(&owner.user, now(), None).await.unwrap());
        let factor = owner.users.find_factor(owner.user.id).await.unwrap().unwrap();
        assert_eq!(factor.enabled.unwrap().recovery.len(), 2);
        // Nobody is made.
        let mut nobody = owner.user.clone();
        owner.world.delete_user(nobody.id).await;
        nobody.cut = None;
        assert!(!owner.users.reset_factor(&nobody, now(), None).await.unwrap());
        assert!(owner.users.find(nobody.id).await.unwrap().is_none());
    });
}

#[test]
fn a_code_is_used_up_once_and_only_of_the_same_secret() {
    run(async {
        let owner = Owner::enrolled().await;
        for (secret, spend, spent) in [
            (2, Spend::Step(9), Spent::CodeRefused),
            (1, Spend::Step(5), Spent::CodeRefused),
            (1, Spend::Step(6), Spent::Written),
            (1, Spend::Step(6), Spent::CodeRefused),
            (1, Spend::Recovery(hash(9)), Spent::CodeRefused),
            (1, Spend::Recovery(hash(1)), Spent::Written),
            (1, Spend::Recovery(hash(1)), Spent::CodeRefused),
            (1, Spend::Recovery(hash(2)), Spent::Written),
        ] {
            let session = owner.session();
            assert_eq!(owner.spend(secret, spend, &session).await, spent, "{secret} {spend:?}");
            let found = owner.world.sessions().find(session.user_id, session.session_id).await;
            assert_eq!(found.unwrap().is_some(), spent == Spent::Written, "{secret} {spend:?}");
        }
        for (secret, spend) in
            [(2, Spend::Step(9)), (1, Spend::Step(6)), (1, Spend::Recovery(hash(2)))]
        {
            assert!(!owner.disable(secret, spend).await, "{secret} {spend:?}");
            assert!(!owner.replace(secret, spend).await, "{secret} {spend:?}");
        }
        assert!(owner.replace(1, Spend::Step(7)).await);
        assert!(!owner.replace(1, Spend::Step(7)).await);
        assert!(owner.disable(1, Spend::Recovery(hash(7))).await);
        assert!(owner.users.find_factor(owner.user.id).await.unwrap().is_none());
    });
}

#[test]
fn a_challenge_that_is_not_stored_or_is_spent_starts_no_session_and_nothing_is_used_up() {
    run(async {
        let owner = Owner::enrolled().await;
        let (first, second, kept) = (owner.session(), owner.session(), owner.challenge().await);
        let unknown = ChallengeHash::of("made with the keys of the ring");
        let spent = owner.spend_with(1, Spend::Step(6), (&first, unknown)).await;
        assert_eq!(spent, Spent::ChallengeBefore);
        assert_eq!(owner.users.find_challenge(unknown).await.unwrap(), None);
        let waiting = Some(KeptChallenge::Waiting);
        assert_eq!(owner.users.find_challenge(kept).await.unwrap(), waiting);
        let spent = owner.spend_with(1, Spend::Step(6), (&first, kept)).await;
        assert_eq!(spent, Spent::Written);
        let spent = owner.spend_with(1, Spend::Step(7), (&second, kept)).await;
        assert_eq!(spent, Spent::ChallengeBefore);
        assert_eq!(owner.users.find_challenge(kept).await.unwrap(), Some(KeptChallenge::Spent));
        let found = owner.world.sessions().find(second.user_id, second.session_id).await;
        assert!(found.unwrap().is_none());
        let factor = owner.users.find_factor(owner.user.id).await.unwrap().unwrap();
        assert_eq!(factor.enabled.unwrap().last_step, 6);
    });
}

#[test]
fn a_code_is_not_used_up_for_a_session_that_has_ended() {
    run(async {
        let owner = Owner::enrolled().await;
        let (session, sessions) = (owner.session(), owner.world.sessions());
        let missing = owner.step_up(1, Spend::Step(6), &session).await;
        assert_eq!(missing, SteppedUp::SessionEnded);
        sessions.create(&session).await.unwrap();
        for (secret, spend) in
            [(1, Spend::Step(5)), (2, Spend::Step(6)), (1, Spend::Recovery(hash(9)))]
        {
            assert_eq!(owner.step_up(secret, spend, &session).await, SteppedUp::CodeRefused);
        }
        let found = sessions.find(session.user_id, session.session_id).await.unwrap().unwrap();
        assert_eq!(found.stepped_up, None);
        for spend in [Spend::Step(6), Spend::Recovery(hash(1))] {
            assert_eq!(owner.step_up(1, spend, &session).await, SteppedUp::Written);
            let again = owner.step_up(1, spend, &session).await;
            assert_eq!(again, SteppedUp::CodeRefused, "{spend:?}");
        }
        let reason = ratchet_core::session::RevocationReason::LoggedOut;
        sessions.revoke(session.user_id, session.session_id, reason, now()).await.unwrap();
        for spend in [Spend::Step(7), Spend::Step(6), Spend::Recovery(hash(2))] {
            let ended = owner.step_up(1, spend, &session).await;
            assert_eq!(ended, SteppedUp::SessionEnded, "{spend:?}");
        }
        let factor = owner.users.find_factor(owner.user.id).await.unwrap().unwrap();
        let enabled = factor.enabled.unwrap();
        assert_eq!((enabled.last_step, enabled.recovery), (6, vec![hash(2)]));
    });
}

#[test]
fn a_session_that_exists_is_not_started_again_and_nothing_is_used_up() {
    run(async {
        let owner = Owner::enrolled().await;
        let session = owner.session();
        assert_eq!(owner.spend(1, Spend::Step(6), &session).await, Spent::Written);
        assert_eq!(owner.spend(1, Spend::Step(7), &session).await, Spent::ChallengeBefore);
        let both = owner.spend(1, Spend::Step(6), &session).await;
        assert_eq!(both, Spent::ChallengeBefore, "both conditions fail");
        let factor = owner.users.find_factor(owner.user.id).await.unwrap().unwrap();
        assert_eq!(factor.enabled.unwrap().last_step, 6);

        let owner = Owner::new().await;
        owner.users.begin_factor(owner.user.id, &pending(1, 60)).await.unwrap();
        let session = owner.session();
        owner.world.sessions().create(&session).await.unwrap();
        let (secret, letter, sessions) = (sealed(1), letter(owner.user.id), owner.world.sessions());
        let enabling = Enabling {
            user: &owner.user,
            secret: &secret,
            step: 5,
            recovery: &[hash(1)],
            spared: None,
            letter: &letter,
        };
        let challenge = owner.challenge().await;
        let start = Start { sessions: &sessions, session: &session, challenge };
        let spent = owner.users.enable_factor_and_start(enabling, start).await.unwrap();
        assert_eq!(spent, Spent::ChallengeBefore);
        assert!(!owner.users.find(owner.user.id).await.unwrap().unwrap().second_factor);
    });
}
