//! Sessions.

use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use ratchet_core::{
    amr::Amr,
    authentication::Authentication,
    dpop::Thumbprint,
    entropy::random,
    ids::{SessionId, UserId},
    rotation::{Presented, Rotation},
    seal::SealedSecret,
    secret::SecretHash,
    session::{LateRecoveries, Origin, REGISTER_SLOTS, RevocationReason, Session},
    time::UnixMillis,
};
use ratchet_store::{LogOutResult, SessionUpdate};

use super::{AttributeValue, Item, number, text};
use crate::support::{World, people::now, run};

const WINDOW: Duration = Duration::from_secs(60);

fn origin() -> Origin {
    Origin { network: "192.0.2.0/24".to_owned(), user_agent: "tests".to_owned() }
}

pub(super) fn session() -> Session {
    let created = now();
    Session {
        user_id: UserId::generate(created, &random().unwrap()),
        session_id: SessionId::generate(created, &random().unwrap()),
        generation: 3,
        token_hash: SecretHash::from_bytes([1; 32]),
        superseded: [None; REGISTER_SLOTS],
        recovered: LateRecoveries::default(),
        jkt: None,
        amr: Amr::PASSWORD,
        stepped_up: None,
        auth_time: created,
        cut_seen: UnixMillis::new(0),
        absolute_expires_at: created.plus(Duration::from_secs(1_000)).seconds(),
        expires_at: created.plus(Duration::from_secs(500)).seconds(),
        origin: origin(),
        source_ip: String::new(),
        device: Some("phone".to_owned()),
        revoked: None,
    }
}

/// A stored session, whose item can be changed.
struct Stored {
    world: &'static World,
    session: Session,
}

impl Stored {
    async fn new() -> Self {
        let (world, session) = (World::shared().await, session());
        world.sessions().create(&session).await.unwrap();
        Self { world, session }
    }

    fn key(&self) -> Item {
        let binary = |bytes: &[u8]| AttributeValue::B(Blob::new(bytes));
        Item::from([
            ("user_id".to_owned(), binary(self.session.user_id.as_bytes())),
            ("session_id".to_owned(), binary(self.session.session_id.as_bytes())),
        ])
    }

    async fn item(&self) -> Item {
        let get = self.world.stack().dynamodb().get_item().consistent_read(true);
        let get = get.table_name(&self.world.stack().data().tokens_table);
        get.set_key(Some(self.key())).send().await.unwrap().item.expect("a session")
    }

    /// The item with one attribute changed, or without it.
    async fn with(self, name: &str, value: Option<AttributeValue>) -> Self {
        let mut item = self.item().await;
        match value {
            Some(value) => drop(item.insert(name.to_owned(), value)),
            None => drop(item.remove(name)),
        }
        self.world.put_item(item).await;
        self
    }

    /// Whether the token of generation 3 can be rotated. If not, the item is as it was.
    async fn rotates(&self) -> bool {
        self.rotates_with(None).await
    }

    /// The same for a request that proves possession of a key.
    async fn rotates_with(&self, key: Option<Thumbprint>) -> bool {
        let before = self.item().await;
        let presented = Presented { generation: 3, hash: SecretHash::from_bytes([1; 32]), key };
        let rotation = Rotation {
            next_hash: SecretHash::from_bytes([2; 32]),
            sealed_successor: SealedSecret::from_bytes([3; 60]),
            now: now(),
            expires_at: now().plus(Duration::from_secs(600)).seconds(),
            origin: origin(),
        };
        let Session { user_id, session_id, .. } = self.session;
        let recent_since = now().minus(WINDOW);
        let rotated = self
            .world
            .sessions()
            .rotate(user_id, session_id, &presented, &rotation, recent_since)
            .await;
        let written = self.item().await != before;
        assert_eq!(matches!(rotated, Ok(SessionUpdate::Written(_))), written, "{rotated:?}");
        written
    }

    /// Whether a step-up is noted. If not, the item is as it was.
    async fn steps_up(&self) -> bool {
        let before = self.item().await;
        let Session { user_id, session_id, .. } = self.session;
        let authentication = Authentication { at: now(), amr: Amr::PASSWORD };
        let sessions = self.world.sessions();
        let noted = sessions.step_up(user_id, session_id, authentication).await.unwrap();
        let mut after = self.item().await;
        assert_eq!(after != before, noted);
        assert_eq!(after.remove("step_up").is_some(), noted);
        assert_eq!(after, before, "nothing else changes");
        noted
    }

    async fn revoke(&self, reason: RevocationReason) -> bool {
        let Session { user_id, session_id, .. } = self.session;
        self.world.sessions().revoke(user_id, session_id, reason, now()).await.unwrap()
    }
}

#[test]
fn a_live_token_rotates_and_only_the_live_one() {
    run(async {
        assert!(Stored::new().await.rotates().await);
        let other = AttributeValue::B(Blob::new([9; 32]));
        for (name, value) in [("generation", number(4)), ("token_hash", other)] {
            assert!(!Stored::new().await.with(name, Some(value)).await.rotates().await, "{name}");
        }
    });
}

#[test]
fn an_ended_session_does_not_rotate() {
    run(async {
        let past = number(now().seconds().get() - 1);
        for (name, value) in [
            ("revoked_at", number(now().get())),
            ("expires_at", past.clone()),
            ("absolute_expires_at", past),
        ] {
            let stored = Stored::new().await.with(name, Some(value)).await;
            let stored = stored.with("revoked_reason", Some(text("logout"))).await;
            assert!(!stored.rotates().await, "{name}");
        }
    });
}

#[test]
fn a_session_rotates_four_times_within_a_window_and_not_a_fifth_time() {
    run(async {
        let slot = |at: UnixMillis| {
            let binary = |length| AttributeValue::B(Blob::new(vec![7; length]));
            let members = [("hash", binary(32)), ("next", binary(60)), ("at_ms", number(at.get()))];
            AttributeValue::M(members.map(|(name, value)| (name.to_owned(), value)).into())
        };
        let recent = slot(now().minus(WINDOW / 2));
        assert!(!Stored::new().await.with("superseded_4", Some(recent)).await.rotates().await);
        let old = slot(now().minus(WINDOW * 2));
        assert!(Stored::new().await.with("superseded_4", Some(old)).await.rotates().await);
    });
}

#[test]
fn an_item_that_this_release_cannot_read_is_found_before_it_is_written_to() {
    run(async {
        let absent = Stored::new().await.with("version", None).await;
        assert!(absent.rotates().await, "items of earlier releases have none");
        for (name, value) in [
            ("version", number(2)),
            ("auth_time", text("never")),
            ("cut_seen", text("never")),
            ("source_ip", number(1)),
            ("device", number(1)),
            ("late", number(1)),
            ("amr", text("pwd")),
            ("step_up", text("never")),
            ("superseded_1", text("nothing")),
            ("superseded_2", text("nothing")),
            ("superseded_3", text("nothing")),
        ] {
            assert!(!Stored::new().await.with(name, Some(value)).await.rotates().await, "{name}");
        }
        // A slot that is shifted out does not come back, so it is looked at too.
        let damaged = Stored::new().await.with("superseded_4", Some(text("nothing"))).await;
        assert!(!damaged.rotates().await);
    });
}

/// A key that sessions are bound to, as an attribute.
fn key(byte: u8) -> (Thumbprint, AttributeValue) {
    (Thumbprint::from_bytes([byte; 32]), AttributeValue::B(Blob::new([byte; 32])))
}

#[test]
fn a_session_rotates_and_logs_out_only_with_the_key_that_it_is_bound_to() {
    run(async {
        let ((own, attribute), (other, _)) = (key(1), key(2));
        for (bound, proved, rotates, logs_out) in [
            (false, None, true, LogOutResult::Ended),
            // Whether the session is bound has to be known before the next secret is written.
            (false, Some(own), false, LogOutResult::Ended),
            (true, None, false, LogOutResult::KeyNotProved),
            (true, Some(other), false, LogOutResult::KeyNotProved),
            (true, Some(own), true, LogOutResult::Ended),
        ] {
            let jkt = bound.then(|| attribute.clone());
            let stored = Stored::new().await.with("jkt", jkt.clone()).await;
            assert_eq!(stored.rotates_with(proved).await, rotates, "{bound} {proved:?}");
            let Session { user_id, session_id, .. } = stored.session;
            let sessions = stored.world.sessions();
            let before = stored.item().await;
            let log_out = || sessions.log_out(user_id, session_id, proved, now());
            assert_eq!(log_out().await.unwrap(), logs_out, "{bound} {proved:?}");
            let changed = stored.item().await != before;
            assert_eq!(changed, logs_out == LogOutResult::Ended, "{bound} {proved:?}");
            if changed {
                assert_eq!(log_out().await.unwrap(), LogOutResult::EndedBefore);
            }
        }
    });
}

#[test]
fn a_step_up_is_noted_in_live_sessions_only() {
    run(async {
        assert!(Stored::new().await.steps_up().await);
        let past = number(now().seconds().get() - 1);
        for (name, value) in [
            ("revoked_at", number(now().get())),
            ("expires_at", past.clone()),
            ("absolute_expires_at", past),
        ] {
            assert!(!Stored::new().await.with(name, Some(value)).await.steps_up().await, "{name}");
        }
        let (world, session) = (World::shared().await, session());
        let authentication = Authentication { at: now(), amr: Amr::PASSWORD };
        let Session { user_id, session_id, .. } = session;
        let sessions = world.sessions();
        assert!(!sessions.step_up(user_id, session_id, authentication).await.unwrap());
        assert!(sessions.find(user_id, session_id).await.unwrap().is_none(), "none is made");
    });
}

#[test]
fn a_session_ends_once_and_keeps_its_reason() {
    run(async {
        let stored = Stored::new().await;
        assert!(stored.revoke(RevocationReason::LoggedOut).await);
        let first = stored.item().await;
        assert!(!stored.revoke(RevocationReason::ReuseDetected).await);
        assert_eq!(stored.item().await, first);
    });
}

#[test]
fn ending_a_session_that_is_not_there_makes_none() {
    run(async {
        let (world, session) = (World::shared().await, session());
        let stored = Stored { world, session };
        assert!(!stored.revoke(RevocationReason::LoggedOut).await);
        let Session { user_id, session_id, .. } = stored.session;
        assert!(world.sessions().find(user_id, session_id).await.unwrap().is_none());
    });
}

#[test]
fn a_new_session_that_is_written_again_restores_nothing() {
    run(async {
        let stored = Stored::new().await;
        assert!(stored.rotates().await);
        let rotated = stored.item().await;
        stored.world.sessions().create(&stored.session).await.unwrap();
        assert_eq!(stored.item().await, rotated);
    });
}
