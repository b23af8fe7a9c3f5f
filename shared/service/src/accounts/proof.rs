//! Evidence from a message: its token, or the address and the code.

use std::net::IpAddr;

use ratchet_core::{
    attempts::AttemptId,
    challenge::{MailCode, MailToken, Proof, Purpose},
    email::EmailAddress,
    entropy::{RandomUnavailable, random},
    ids::UserId,
    key_ring::KeyRing,
    registration::sent_for,
    time::UnixMillis,
    user::NameKey,
};
use ratchet_store::{Challenges, Users};

use crate::{
    Fault,
    fault::from_faults,
    throttle::{AttemptError, AttemptLimiter, AttemptScope, RecordedAttempt, Throttled},
};

/// What a client presents from a message.
#[derive(Debug)]
pub enum Evidence<'a> {
    /// The token of the link, not yet parsed.
    Token(&'a str),
    /// The code, with the address that it was sent to.
    Code {
        /// The address.
        email: EmailAddress,
        /// The user name that it was sent for. Without it, all registrations listed in the
        /// address's item are considered.
        name: Option<NameKey>,
        /// The code.
        code: MailCode,
    },
}

/// There is no evidence, or both a token and a code, or one of them is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a token, or an address and a code, perhaps with a user name")]
pub struct MalformedEvidence;

/// Counted evidence, ready to be compared with a challenge.
pub(crate) struct CountedProof {
    pub(crate) purpose: Purpose,
    pub(crate) user_id: UserId,
    pub(crate) proof: Proof,
    /// The request as it was counted, to be taken back if the proof is right.
    pub(crate) request: RecordedAttempt,
}

/// Why evidence was not even compared.
pub(crate) enum EvidenceError {
    /// The token is not genuine or of another purpose, or too many codes were tried.
    Invalid,
    Throttled(Throttled),
    Fault(Fault),
}

from_faults!(EvidenceError);

impl From<AttemptError> for EvidenceError {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Throttled(throttled) => Self::Throttled(throttled),
            AttemptError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl<'a> Evidence<'a> {
    /// Reads what a client sent: a token, or an address and a code. A user name may come with either.
    ///
    /// # Errors
    /// [`MalformedEvidence`].
    pub fn parse(
        token: Option<&'a str>,
        email: Option<&str>,
        name: Option<&str>,
        code: Option<&str>,
    ) -> Result<Self, MalformedEvidence> {
        match (token, email, code) {
            (Some(token), None, None) => Ok(Self::Token(token)),
            (None, Some(email), Some(code)) => Ok(Self::Code {
                email: EmailAddress::parse(email).map_err(|_| MalformedEvidence)?,
                name: name.map(NameKey::parse).transpose().map_err(|_| MalformedEvidence)?,
                code: MailCode::parse(code).map_err(|_| MalformedEvidence)?,
            }),
            _ => Err(MalformedEvidence),
        }
    }

    /// The address, if there is one.
    pub(super) fn email(&self) -> Option<&EmailAddress> {
        match self {
            Self::Token(_) => None,
            Self::Code { email, .. } => Some(email),
        }
    }
}

/// Where evidence is counted and compared.
#[derive(Clone, Copy)]
pub(crate) struct EvidenceCounter<'a> {
    pub(crate) users: &'a Users,
    pub(crate) challenges: &'a Challenges,
    pub(crate) limiter: &'a AttemptLimiter,
}

impl EvidenceCounter<'_> {
    /// Counts the evidence for its network, and a code also for its address, before it is compared
    /// with the challenge. A token may be of any of the `purposes`, a code is of the first one.
    ///
    /// # Security
    /// An unknown address costs the same calls as a known one: the code is counted and compared
    /// with the challenge of a user who does not exist. Each unknown address has one such user, so
    /// that parallel requests contend for items just as with a known address.
    ///
    /// A code without a name is compared with several challenges and counts as often, so that more
    /// registrations do not allow more guesses. Beyond the limit, a code is compared with the
    /// challenges of a user who does not exist: where the limit is depends on who has the address,
    /// so reaching it must not take another time.
    pub(crate) async fn count(
        self,
        evidence: &Evidence<'_>,
        ring: &KeyRing,
        purposes: &[Purpose],
        source_ip: Option<IpAddr>,
        now: UnixMillis,
    ) -> Result<CountedProof, EvidenceError> {
        match evidence {
            Evidence::Token(token) => {
                let token = MailToken::parse(token, ring.tag_keys(now.seconds()))
                    .map_err(|_| EvidenceError::Invalid)?;
                if !purposes.contains(&token.purpose) {
                    return Err(EvidenceError::Invalid);
                }
                let MailToken { purpose, user_id, secret } = token;
                let scope = AttemptScope::AccountRequests(source_ip);
                let request = self.limiter.record_attempt(scope, now).await?;
                Ok(CountedProof { purpose, user_id, proof: Proof::Token(secret.hash()), request })
            }
            Evidence::Code { email, name, code } => {
                let purpose = purposes.first().copied().ok_or(EvidenceError::Invalid)?;
                let scope = AttemptScope::AccountRequests(source_ip);
                let request = self.limiter.record_attempt(scope, now).await?;
                let proof = |user_id| {
                    let keys = ring.tag_keys(now.seconds());
                    let hashes = keys.map(|key| code.hash(purpose, user_id, key)).collect();
                    (user_id, Proof::Code(hashes))
                };
                let nobody = email.stand_in();
                let (user_id, proof) = if let Some(name) = name {
                    let called = self.users.find_account_called(name, email, now).await?;
                    let may_compare = self.count_comparisons(purpose, email, 1, now).await?;
                    let called = called.filter(|_| may_compare);
                    proof(called.map_or(nobody, |account| account.user.id))
                } else {
                    let users = self.users.address(email, now).await?.users();
                    let known = users.iter().flatten().count().max(1);
                    let may_compare = self.count_comparisons(purpose, email, known, now).await?;
                    let proofs =
                        users.map(|user| proof(user.filter(|_| may_compare).unwrap_or(nobody)));
                    let judged = Box::pin(self.challenges.judge(purpose, &proofs, now)).await?;
                    let place = sent_for(&judged);
                    let chosen = place.and_then(|place| proofs.into_iter().nth(place));
                    chosen.unwrap_or_else(|| proof(nobody))
                };
                Ok(CountedProof { purpose, user_id, proof, request })
            }
        }
    }

    /// Counts comparisons that are about to be made. Returns whether they may be.
    async fn count_comparisons(
        self,
        purpose: Purpose,
        email: &EmailAddress,
        number: usize,
        now: UnixMillis,
    ) -> Result<bool, EvidenceError> {
        let attempts = (0..number).map(|_| Ok(AttemptId::new(random()?)));
        let attempts = attempts.collect::<Result<Vec<_>, RandomUnavailable>>()?;
        Ok(self.challenges.count_tries(purpose, email, &attempts, now).await?)
    }
}
