//! The list as it is published: a JWT with its own type.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{EndedSession, RecentEnds, STEP};
use crate::{
    access_token::IssueError,
    encoding::{sha256, to_base64url},
    jws::{JwsError, SignError, UnverifiedToken, VerificationKey},
    key_ring::{KeyRing, SigningKey},
    time::UnixSeconds,
};

/// The header's `typ`. It keeps lists and other tokens of this issuer apart.
const TYP: &str = "revocations+jwt";

/// The longest list that is read, in bytes: [`MAX_ENDED`](super::MAX_ENDED) sessions need 34 kB.
pub const MAX_LIST_LEN: usize = 65_536;

/// How long a list is current.
const GOOD_FOR: Duration = Duration::from_secs(3 * STEP.as_secs());

/// The sessions that ended between `since` and `iat`, both included, and those known to have ended
/// later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationList {
    iss: String,
    pub(super) iat: UnixSeconds,
    exp: UnixSeconds,
    pub(super) since: UnixSeconds,
    pub(super) ended: Vec<EndedSession>,
}

/// Why a text is not a valid, current list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Not a JWS, or not signed by the key that its `kid` names.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// No known key has its `kid`.
    #[error("the list's kid names no known key")]
    UnknownKey,
    /// It is a token of another type.
    #[error("the token is of another type")]
    WrongType,
    /// A claim is missing, comes twice or has the wrong type.
    #[error("the list's claims are malformed")]
    Malformed,
    /// It is of another issuer.
    #[error("the list is of another issuer")]
    Foreign,
    /// It is not current any more.
    #[error("the list is out of date")]
    Expired,
}

/// A list without its signature.
#[derive(Debug)]
pub struct UnsignedList<'r> {
    key: &'r SigningKey,
    payload: Vec<u8>,
}

impl UnsignedList<'_> {
    /// An entity tag. The same for the same list and key, unlike the signature, which some algorithms
    /// randomise.
    #[must_use]
    pub fn tag(&self) -> String {
        to_base64url(&sha256(&[self.key.kid().as_bytes(), &[0], &self.payload].concat()))
    }

    /// The list, signed.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn sign(&self) -> Result<Zeroizing<String>, IssueError> {
        Ok(self.key.sign(TYP, &self.payload)?)
    }
}

impl RevocationList {
    /// The list of `ends`.
    #[must_use]
    pub fn new(issuer: &str, ends: &RecentEnds) -> Self {
        Self {
            iss: issuer.to_owned(),
            iat: ends.as_of,
            exp: ends.as_of.plus(GOOD_FOR),
            since: ends.since,
            ended: ends.ended.clone(),
        }
    }

    /// The list, ready to be signed by the ring's signer.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn to_be_signed<'r>(
        &self,
        ring: &'r KeyRing,
        now: UnixSeconds,
    ) -> Result<UnsignedList<'r>, IssueError> {
        let key = ring.signer(now).ok_or(IssueError::NoSigner)?;
        Ok(UnsignedList { key, payload: serde_json::to_vec(self).map_err(|_| SignError)? })
    }

    /// Reads a list of `issuer` that is current at `now`. `key` finds a key by its id.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn verify<'k>(
        token: &str,
        issuer: &str,
        key: impl FnOnce(&str) -> Option<&'k VerificationKey>,
        now: UnixSeconds,
    ) -> Result<Self, ListError> {
        let token: UnverifiedToken<'_> = UnverifiedToken::parse_within(token, MAX_LIST_LEN)?;
        let kid = token.header().kid.as_deref().ok_or(ListError::UnknownKey)?;
        let key = key(kid).ok_or(ListError::UnknownKey)?;
        let (header, payload) = token.verify(key)?;
        if header.typ.as_deref() != Some(TYP) {
            return Err(ListError::WrongType);
        }
        let list: Self = serde_json::from_slice(&payload).map_err(|_| ListError::Malformed)?;
        if list.iss != issuer {
            Err(ListError::Foreign)
        } else if list.is_current(now) {
            Ok(list)
        } else {
            Err(ListError::Expired)
        }
    }

    /// Whether the list is current at `now`.
    #[must_use]
    pub fn is_current(&self, now: UnixSeconds) -> bool {
        now < self.exp
    }
}
