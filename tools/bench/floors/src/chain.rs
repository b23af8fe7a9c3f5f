//! A session that is rotated with the store's own statement, and without any cryptography.

use std::sync::atomic::{AtomicU32, Ordering};

use lambda_http::Error;
use ratchet_core::{
    amr::Amr,
    ids::{SessionId, UserId},
    rotation::{Presented, Rotation},
    seal::{SEALED_LEN, SealedSecret},
    secret::SecretHash,
    session::{LateRecoveries, Origin, REGISTER_SLOTS, Session, Superseded},
    time::{UnixMillis, UnixSeconds},
};
use ratchet_store::{SessionUpdate, Sessions};

use crate::Tables;

const USER: UserId = UserId::from_bytes([0xf2; 16]);
/// The session of each function that rotates one: they take turns.
pub const SESSIONS: [SessionId; 2] =
    [SessionId::from_bytes([0xf2; 16]), SessionId::from_bytes([0xf3; 16])];
/// Every generation has the same secret: that there is one to compare with is what costs.
const HASH: SecretHash = SecretHash::from_bytes([0xf2; 32]);
const SUCCESSOR: SealedSecret = SealedSecret::from_bytes([0xf2; SEALED_LEN]);
const NOW: UnixMillis = UnixMillis::new(1_780_000_000_000);
/// Whatever the register holds is old by then: every rotation is written.
const RECENT_SINCE: UnixMillis = UnixMillis::new(4_000_000_000_000);
const EXPIRES_AT: UnixSeconds = UnixSeconds::new(4_000_000_000);

/// The session, as far as it has been rotated.
#[derive(Debug)]
pub struct Chain {
    sessions: Sessions,
    session_id: SessionId,
    generation: AtomicU32,
}

impl Chain {
    /// One of [`SESSIONS`], which the driver has put into the table.
    ///
    /// # Errors
    /// If it is not there.
    pub async fn find(tables: &Tables, session_id: SessionId) -> Result<Self, Error> {
        let sessions = tables.sessions();
        let session = sessions.find(USER, session_id).await?.ok_or("there is no session")?;
        Ok(Self { sessions, session_id, generation: AtomicU32::new(session.generation) })
    }

    /// Exactly one rotation.
    ///
    /// # Errors
    /// If DynamoDB refuses, or the condition does not hold.
    pub async fn rotate(&self) -> Result<Session, Error> {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        let presented = Presented { generation, hash: HASH, key: None };
        let rotation = Rotation {
            next_hash: HASH,
            sealed_successor: SUCCESSOR,
            now: NOW,
            expires_at: EXPIRES_AT,
            origin: origin(),
        };
        match self
            .sessions
            .rotate(USER, self.session_id, &presented, &rotation, RECENT_SINCE)
            .await?
        {
            SessionUpdate::Written(session) => Ok(session),
            SessionUpdate::Unmet(_) => Err("the rotation's condition does not hold".into()),
        }
    }
}

/// A session with a full register, as large as those that the driver refreshes.
#[must_use]
pub fn session(session_id: SessionId) -> Session {
    let superseded = Superseded { hash: HASH, sealed_successor: SUCCESSOR, superseded_at: NOW };
    Session {
        user_id: USER,
        session_id,
        generation: 0,
        token_hash: HASH,
        superseded: [Some(superseded); REGISTER_SLOTS],
        recovered: LateRecoveries::default(),
        jkt: None,
        amr: Amr::PASSWORD,
        stepped_up: None,
        auth_time: NOW,
        absolute_expires_at: EXPIRES_AT,
        expires_at: EXPIRES_AT,
        origin: origin(),
        source_ip: "203.0.113.7".to_owned(),
        device: None,
        cut_seen: UnixMillis::new(0),
        revoked: None,
    }
}

fn origin() -> Origin {
    Origin {
        network: "203.0.113.0/24".to_owned(),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
            .to_owned(),
    }
}
