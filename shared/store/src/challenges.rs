//! Challenges and the counters around them, in the users table.

use aws_sdk_dynamodb::Client;
use ratchet_core::{
    challenge::{Addressee, Challenge, Hashes, Judgement, Opening, Proof, Purpose},
    ids::{LetterId, UserId},
    registration::LISTED,
    time::UnixMillis,
};

use crate::{StoreError, write::Write};

mod counters;
mod item;
mod part;

pub(crate) use item::key;
pub(crate) use part::{Found, delete, find, meet, use_up};

/// How often a challenge is read again because it has changed meanwhile.
pub(crate) const TRIES: usize = 3;

/// Challenges.
#[derive(Debug, Clone)]
pub struct Challenges {
    client: Client,
    table: String,
}

/// Whether a message may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// The message may be sent, with the candidate at this index.
    With(usize),
    /// The letter is used up: there is nothing to send.
    UsedUp,
}

impl Challenges {
    /// The challenges in the users table called `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Judges a code for each of several users, without a write.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn judge(
        &self,
        purpose: Purpose,
        proofs: &[(UserId, Proof); LISTED],
        now: UnixMillis,
    ) -> Result<[Judgement; LISTED], StoreError> {
        let judge = async |(id, proof): &(UserId, Proof)| {
            let found = find(&self.client, &self.table, purpose, *id).await?;
            let challenge = found.challenge();
            Ok::<_, StoreError>(challenge.map_or(Judgement::Invalid, |it| it.judge(proof, now)))
        };
        let [first, second, third, fourth] = proofs;
        let judged = tokio::try_join!(judge(first), judge(second), judge(third), judge(fourth))?;
        Ok(judged.into())
    }

    /// Adds the message of `letter` to the user's challenge ([`Challenge::open`]). Send the message
    /// only after that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open<'a>(
        &self,
        purpose: Purpose,
        user_id: UserId,
        to: impl Into<Addressee<'a>>,
        (letter, candidates): (LetterId, &[Hashes]),
        now: UnixMillis,
    ) -> Result<Opened, StoreError> {
        let to = to.into();
        for _ in 0..TRIES {
            let found = find(&self.client, &self.table, purpose, user_id).await?;
            let known = found.challenge();
            let opening = Challenge::open(known, to, letter, candidates, purpose.life(), now);
            let (challenge, candidate) = match opening {
                Some(Opening::Write { challenge, candidate }) => (challenge, candidate),
                Some(Opening::UsedUp) => return Ok(Opened::UsedUp),
                None => return Err(StoreError::MalformedItem("candidates")),
            };
            let write: Write = part::replace(&self.table, purpose, user_id, &found, &challenge);
            if write.send(&self.client).await? {
                return Ok(Opened::With(candidate));
            }
        }
        Err(StoreError::Unavailable {
            operation: "PutItem",
            source: "others changed the same challenge at the same time".into(),
        })
    }
}
