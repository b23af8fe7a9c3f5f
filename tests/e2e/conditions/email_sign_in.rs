//! Messages that sign in.

use std::time::Duration;

use ratchet_core::{
    amr::Amr,
    challenge::{Addressee, LetterSecrets, Proof, Purpose},
    ids::LetterId,
    key_ring::TagKey,
    second_factor::ChallengeHash,
    session::Session,
};
use ratchet_store::{
    Challenges, Opened, Users,
    users::{EmailProof, RightProof},
};

use super::sessions::session;
use crate::support::{
    World,
    people::{Person, now},
    run,
};

struct Scene {
    world: &'static World,
    users: Users,
    person: Person,
    proof: Proof,
}

impl Scene {
    /// Somebody with a message that has not been used.
    async fn new() -> Self {
        let world = World::shared().await;
        let (person, users) = (world.person().await, world.users());
        let id = LetterId::generate(now(), &[7; 10]);
        let key = TagKey::new(&[7; 32]);
        let secrets = LetterSecrets::derive(&key, id, Purpose::EmailSignIn, person.id);
        let hashes = secrets.hashes(&key);
        let account = users.find_account(person.id, now()).await.unwrap().unwrap();
        let to = Addressee { email: &account.email, cut_seen: Some(account.user.cut_seen()) };
        let table = world.stack().data().users_table.as_str();
        let challenges = Challenges::new(world.stack().dynamodb(), table);
        let message = (id, &[hashes][..]);
        let opened = challenges.open(Purpose::EmailSignIn, person.id, to, message, now()).await;
        assert_eq!(opened.unwrap(), Opened::With(0));
        Self { world, users, person, proof: Proof::Token(hashes.token) }
    }

    async fn judge(&self) -> EmailProof {
        self.users.judge_email_sign_in(self.person.id, &self.proof, now()).await.unwrap()
    }

    async fn right(&self) -> Box<RightProof> {
        match self.judge().await {
            EmailProof::Right(right) => right,
            other => panic!("{other:?}"),
        }
    }

    fn session(&self) -> Session {
        Session { user_id: self.person.id, amr: Amr::EMAIL, ..session() }
    }

    async fn start(&self, right: &RightProof, session: &Session) -> bool {
        let sessions = self.world.sessions();
        self.users.use_proof_and_start(right, &sessions, session).await.unwrap()
    }

    async fn keep(&self, right: &RightProof, hash: ChallengeHash) -> bool {
        let until = now().seconds().plus(Duration::from_mins(5));
        self.users.use_proof_and_keep_challenge(right, hash, until).await.unwrap()
    }

    async fn sessions(&self) -> usize {
        self.world.sessions().list(self.person.id).await.unwrap().sessions.len()
    }
}

#[test]
fn of_two_requests_with_a_right_proof_one_starts_a_session() {
    run(async {
        let scene = Scene::new().await;
        let (first, second) = (scene.right().await, scene.right().await);
        assert!(scene.start(&first, &scene.session()).await);
        assert!(!scene.start(&second, &scene.session()).await);
        assert_eq!(scene.sessions().await, 1);
        assert!(matches!(scene.judge().await, EmailProof::Before));
        let hash = ChallengeHash::of("a challenge of the second one");
        assert!(!scene.keep(&second, hash).await);
        assert_eq!(scene.users.find_challenge(hash).await.unwrap(), None);
    });
}

#[test]
fn a_challenge_of_the_second_step_uses_the_proof_up() {
    run(async {
        let scene = Scene::new().await;
        let (first, second) = (scene.right().await, scene.right().await);
        let hash = ChallengeHash::of(&scene.person.id.to_string());
        assert!(scene.keep(&first, hash).await);
        assert!(scene.users.find_challenge(hash).await.unwrap().is_some());
        assert!(!scene.start(&second, &scene.session()).await);
        assert_eq!(scene.sessions().await, 0);
        assert!(matches!(scene.judge().await, EmailProof::Before));
    });
}

#[test]
fn a_session_of_the_same_id_is_not_overwritten_and_the_proof_stays_good() {
    run(async {
        let scene = Scene::new().await;
        let session = scene.session();
        scene.world.sessions().create(&session).await.unwrap();
        let other = Session { cut_seen: now(), ..session.clone() };
        let right = scene.right().await;
        assert!(!scene.start(&right, &other).await);
        let kept = scene.world.sessions().find(session.user_id, session.session_id).await;
        assert_eq!(kept.unwrap().unwrap().cut_seen, session.cut_seen);
        let right = scene.right().await;
        assert!(scene.start(&right, &scene.session()).await);
    });
}
