//! What a client keeps between the options of a ceremony and the authenticator's answer.
//!
//! ```text
//! pk1_ base64url( purpose (1) ‖ user (16) ‖ session (16) ‖ begun (8, ms) ‖ cut seen (8, ms) ‖
//!                 sign-in's challenge, hashed (32) ‖ state ‖ tag (16) )
//! ```
//!
//! Nothing is stored when options are requested, which anybody may do. The state has the challenge that
//! the authenticator signs. The tag is made with a key that is derived from the ring's tag key, so
//! garbage is refused without a call.
//!
//! A ceremony is good for one answer: a sign-in creates the session whose id the ceremony has, if there
//! is none of that id, and a registration adds one passkey. A registration counts only if its hash was
//! stored when the user proved who they are, so the ring alone makes none.

use aws_lc_rs::hmac;

use super::CEREMONY_LIFE;
use crate::{
    encoded_token::encoded_token,
    encoding::sha256,
    ids::{SessionId, UserId},
    key_ring::TagKey,
    second_factor::ChallengeHash,
    tagged_token::Format,
    time::UnixMillis,
};

/// The prefix of every ceremony.
pub const PREFIX: &str = "pk1_";

const FIXED: usize = 1 + 16 + 16 + 8 + 8 + 32;
/// More than a state has: a challenge, and what the answer has to fulfil.
const LONGEST_STATE: usize = 2 * 1024;
const FORMAT: Format = Format::with_rest(PREFIX, FIXED, FIXED + LONGEST_STATE);

/// What an authenticator's answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Adds a passkey to the user, in this session.
    Registration {
        /// The user.
        user_id: UserId,
        /// The session in which the user began.
        session_id: SessionId,
        /// The last cut of the user's sessions then, [`User::cut_seen`](crate::user::User::cut_seen).
        cut_seen: UnixMillis,
    },
    /// Signs somebody in, to this session.
    SignIn {
        /// The session that it leads to.
        session_id: SessionId,
    },
    /// Authenticates the user again, within this session.
    StepUp {
        /// The user.
        user_id: UserId,
        /// The session.
        session_id: SessionId,
    },
    /// Completes the sign-in of this challenge.
    SecondFactor {
        /// The user.
        user_id: UserId,
        /// The challenge.
        challenge: ChallengeHash,
    },
}

/// A ceremony that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceremony {
    /// What it is for.
    pub purpose: Purpose,
    /// When it began.
    pub begun: UnixMillis,
    /// What the answer is verified with.
    pub state: String,
}

/// The text is not a ceremony of this service, or its time is over.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[error("not a ceremony of this service, or too old")]
pub struct InvalidCeremony;

impl Ceremony {
    /// The ceremony as clients get it.
    #[must_use]
    pub fn encode(&self, key: &TagKey) -> EncodedCeremony {
        let (kind, user, session, cut, challenge): (u8, _, _, u64, _) = match &self.purpose {
            Purpose::Registration { user_id, session_id, cut_seen } => {
                (1, *user_id.as_bytes(), *session_id.as_bytes(), cut_seen.get(), [0; 32])
            }
            Purpose::SignIn { session_id } => (2, [0; 16], *session_id.as_bytes(), 0, [0; 32]),
            Purpose::SecondFactor { user_id, challenge } => {
                (3, *user_id.as_bytes(), [0; 16], 0, *challenge.as_bytes())
            }
            Purpose::StepUp { user_id, session_id } => {
                (4, *user_id.as_bytes(), *session_id.as_bytes(), 0, [0; 32])
            }
        };
        let kind = [kind];
        let fields = [
            kind.as_slice(),
            &user,
            &session,
            &self.begun.get().to_be_bytes(),
            &cut.to_be_bytes(),
            &challenge,
            self.state.as_bytes(),
        ];
        EncodedCeremony(FORMAT.encode(&fields, &[], &derived(key)))
    }

    /// Reads a ceremony that somebody presented. `keys` are those whose tags count.
    ///
    /// # Errors
    /// [`InvalidCeremony`], without looking anything up.
    pub fn parse<'k>(
        text: &str,
        keys: impl IntoIterator<Item = &'k TagKey>,
        now: UnixMillis,
    ) -> Result<Self, InvalidCeremony> {
        let keys = keys.into_iter().map(derived);
        let mut fields = FORMAT.decode(text, &[], keys).map_err(|_| InvalidCeremony)?;
        let mut read = || {
            let [kind] = fields.take()?;
            let user_id = UserId::from_bytes(fields.take()?);
            let session_id = SessionId::from_bytes(fields.take()?);
            let begun = UnixMillis::new(u64::from_be_bytes(fields.take()?));
            let cut_seen = UnixMillis::new(u64::from_be_bytes(fields.take()?));
            let challenge = ChallengeHash::from_bytes(fields.take()?);
            let purpose = match kind {
                1 => Purpose::Registration { user_id, session_id, cut_seen },
                2 => Purpose::SignIn { session_id },
                3 => Purpose::SecondFactor { user_id, challenge },
                4 => Purpose::StepUp { user_id, session_id },
                _ => return None,
            };
            let state = str::from_utf8(fields.rest()).ok()?.to_owned();
            Some(Self { purpose, begun, state })
        };
        let ceremony = read().ok_or(InvalidCeremony)?;
        if now < ceremony.begun.plus(CEREMONY_LIFE) { Ok(ceremony) } else { Err(InvalidCeremony) }
    }

    /// Tells ceremonies apart: a part of the SHA-256 of the state, which has a random challenge.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(sha256(self.state.as_bytes())) {
            *to = from;
        }
        id
    }
}

encoded_token! {
    /// A ceremony's text on its way to the client.
    EncodedCeremony
}

impl EncodedCeremony {
    /// What is stored of a registration.
    #[must_use]
    pub fn hash(&self) -> ChallengeHash {
        ChallengeHash::of(&self.0)
    }
}

fn derived(key: &TagKey) -> hmac::Key {
    key.derive(b"ratchet passkey ceremony v1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::{from_base64url, to_base64url};

    const NOW: UnixMillis = UnixMillis::new(1_780_000_000_000);

    fn key() -> TagKey {
        TagKey::new(&[7; 32])
    }

    fn purposes() -> [Purpose; 4] {
        let user_id = UserId::from_bytes([1; 16]);
        let session_id = SessionId::from_bytes([2; 16]);
        [
            Purpose::Registration { user_id, session_id, cut_seen: UnixMillis::new(5) },
            Purpose::SignIn { session_id },
            Purpose::SecondFactor { user_id, challenge: ChallengeHash::from_bytes([3; 32]) },
            Purpose::StepUp { user_id, session_id },
        ]
    }

    fn parse(text: &str, now: UnixMillis) -> Result<Ceremony, InvalidCeremony> {
        Ceremony::parse(text, [&TagKey::new(&[8; 32]), &key()], now)
    }

    #[test]
    fn a_ceremony_reads_back_as_written() {
        for purpose in purposes() {
            for state in ["", "{}", &"x".repeat(LONGEST_STATE)] {
                let ceremony = Ceremony { purpose, begun: NOW, state: state.to_owned() };
                assert_eq!(parse(ceremony.encode(&key()).expose(), NOW), Ok(ceremony));
            }
        }
    }

    #[test]
    fn it_ends_to_the_millisecond() {
        let [_, purpose, ..] = purposes();
        let text = Ceremony { purpose, begun: NOW, state: String::new() }.encode(&key());
        assert!(parse(text.expose(), UnixMillis::new(NOW.get() + 299_999)).is_ok());
        let late = parse(text.expose(), UnixMillis::new(NOW.get() + 300_000));
        assert_eq!(late, Err(InvalidCeremony));
    }

    #[test]
    fn every_changed_bit_and_every_other_length_is_refused() {
        for purpose in purposes() {
            let text = Ceremony { purpose, begun: NOW, state: "{}".to_owned() }.encode(&key());
            assert_eq!(format!("{text:?}"), "EncodedCeremony(..)");
            let text = text.expose();
            let bytes = from_base64url(text.strip_prefix(PREFIX).unwrap()).unwrap();
            for bit in 0..bytes.len() * 8 {
                let mut forged = bytes.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                let forged = [PREFIX, &to_base64url(&forged)].concat();
                assert_eq!(parse(&forged, NOW), Err(InvalidCeremony), "bit {bit}");
            }
            for len in 0..text.len() {
                assert_eq!(parse(&text[..len], NOW), Err(InvalidCeremony), "{len}");
            }
            for other in ["rt1_AAAA", &format!("{text}A"), &format!("{text}AAAA")] {
                assert_eq!(parse(other, NOW), Err(InvalidCeremony), "{other:.20}");
            }
        }
    }

    #[test]
    fn other_states_are_other_ceremonies() {
        let [_, purpose, ..] = purposes();
        let of = |state: &str| Ceremony { purpose, begun: NOW, state: state.to_owned() }.id();
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
    }
}
