//! The challenge of a sign-in whose first step was right, a password or a message: it is exchanged for a
//! session together with a code.
//!
//! ```text
//! sf1_ base64url( steps (1) ‖ user id (16) ‖ session id (16) ‖ name (16) ‖ device id (16) ‖ bound (1)
//! ‖ jkt (32) ‖ auth time (8, ms) ‖ cut seen (8, ms) ‖ label length (1) ‖ label (40) ‖ tag (16) )
//! ```
//!
//! The session's id is drawn with the challenge. The write of the session requires that there is none
//! of that id, so a challenge leads to one session, whatever is lost or repeated. The tag is made
//! with a key that is derived from the ring's tag key, so garbage is refused without a call. Only a
//! challenge whose hash was stored when the first step proved right counts, so the ring alone makes none.
//!
//! `steps` is both the first step and what the user has to do next. Releases that know passwords only
//! refuse challenges of other first steps.

use std::time::Duration;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::{
    amr::Amr,
    device_token::{DeviceId, DeviceToken, EncodedDeviceToken},
    dpop::Thumbprint,
    encoded_token::encoded_token,
    encoding::sha256,
    ids::{SessionId, UserId},
    key_ring::TagKey,
    session::Session,
    stored_hash::stored_hash,
    tagged_token::Format,
    time::{UnixMillis, UnixSeconds},
    user::{User, name_hash},
};

/// The prefix of every challenge.
pub const PREFIX: &str = "sf1_";

/// How long after the first step the code may come.
pub const LIFE: Duration = Duration::from_mins(5);

const LABEL: usize = Session::DEVICE_BYTES;
const FORMAT: Format = Format::new(PREFIX, 1 + 16 + 16 + 16 + 16 + 1 + 32 + 8 + 8 + 1 + LABEL);

/// What the user has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Present a code.
    Verify,
    /// Set up a second factor, and present its first code.
    Enroll,
}

/// How the user was authenticated before the challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstStep {
    /// By the password.
    Password,
    /// By a message to the user's address.
    Email,
}

impl FirstStep {
    /// The method.
    #[must_use]
    pub const fn amr(self) -> Amr {
        match self {
            Self::Password => Amr::PASSWORD,
            Self::Email => Amr::EMAIL,
        }
    }
}

/// Both steps of a challenge, as one byte.
const STEPS: [(u8, FirstStep, Stage); 4] = [
    (1, FirstStep::Password, Stage::Verify),
    (2, FirstStep::Password, Stage::Enroll),
    (3, FirstStep::Email, Stage::Verify),
    (4, FirstStep::Email, Stage::Enroll),
];

/// A sign-in between its first step and its code.
///
/// # Security
/// Only somebody whose first step was right gets one. It is bound to the user, the session that
/// it leads to, the device, the key of a proof of possession and the last cut of the user's sessions:
/// after a change of the password, or of the second factor, it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInChallenge {
    /// How the user was authenticated.
    pub first: FirstStep,
    /// What the user has to do.
    pub stage: Stage,
    /// The user.
    pub user_id: UserId,
    /// The session that it leads to.
    pub session_id: SessionId,
    /// A hash of the name that was typed, for the device token.
    name: [u8; 16],
    /// The device.
    pub device_id: DeviceId,
    /// The key that the session is bound to, if any.
    pub jkt: Option<Thumbprint>,
    /// When the first step was proved.
    pub proved_at: UnixMillis,
    /// The last cut of the user's sessions then, [`User::cut_seen`].
    pub cut_seen: UnixMillis,
    /// What the user calls the device.
    pub device_label: Option<String>,
}

/// The text is not a challenge of this service, or its time is over.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[error("not a challenge of this service, or too old")]
pub struct InvalidChallenge;

impl SignInChallenge {
    /// The challenge of a sign-in as `user` with a password, with the name as typed.
    #[must_use]
    pub fn new(
        stage: Stage,
        user: &User,
        typed_name: &str,
        device_id: DeviceId,
        jkt: Option<Thumbprint>,
        (session_id, now): (SessionId, UnixMillis),
    ) -> Self {
        Self {
            first: FirstStep::Password,
            stage,
            user_id: user.id,
            session_id,
            name: name_hash(typed_name),
            device_id,
            jkt,
            proved_at: now,
            cut_seen: user.cut_seen(),
            device_label: None,
        }
    }

    /// The same, after a message to the user's address.
    #[must_use]
    pub fn after_email(self) -> Self {
        Self { first: FirstStep::Email, ..self }
    }

    /// The same, for a device with this label. A label that is too long is left out.
    #[must_use]
    pub fn labelled(self, label: Option<String>) -> Self {
        Self { device_label: label.filter(|label| label.len() <= LABEL), ..self }
    }

    /// The challenge as clients get it.
    #[must_use]
    pub fn encode(&self, key: &TagKey) -> EncodedChallenge {
        let label = self.device_label.as_deref().unwrap_or_default().as_bytes();
        let mut padded = [0; LABEL];
        for (to, from) in padded.iter_mut().zip(label) {
            *to = *from;
        }
        // No label is as long as 255 bytes.
        let label_len = match &self.device_label {
            None => u8::MAX,
            Some(label) => u8::try_from(label.len()).unwrap_or(u8::MAX),
        };
        let jkt = self.jkt.map_or([0; 32], |jkt| *jkt.as_bytes());
        let is_same = |(_, first, stage): &&(u8, FirstStep, Stage)| {
            (*first, *stage) == (self.first, self.stage)
        };
        let steps = [STEPS.iter().find(is_same).map_or(0, |(steps, ..)| *steps)];
        let fields = [
            steps.as_slice(),
            self.user_id.as_bytes(),
            self.session_id.as_bytes(),
            &self.name,
            self.device_id.as_bytes(),
            &[u8::from(self.jkt.is_some())],
            &jkt,
            &self.proved_at.get().to_be_bytes(),
            &self.cut_seen.get().to_be_bytes(),
            &[label_len],
            &padded,
        ];
        EncodedChallenge(FORMAT.encode(&fields, &[], &derived(key)))
    }

    /// Reads a challenge that somebody presented. `keys` are those whose tags count.
    ///
    /// # Errors
    /// [`InvalidChallenge`], without looking anything up.
    pub fn parse<'k>(
        text: &str,
        keys: impl IntoIterator<Item = &'k TagKey>,
        now: UnixMillis,
    ) -> Result<Self, InvalidChallenge> {
        let keys = keys.into_iter().map(derived);
        let mut fields = FORMAT.decode(text, &[], keys).map_err(|_| InvalidChallenge)?;
        let mut read = || {
            let [steps] = fields.take()?;
            let (_, first, stage) = STEPS.into_iter().find(|(known, ..)| *known == steps)?;
            let user_id = UserId::from_bytes(fields.take()?);
            let session_id = SessionId::from_bytes(fields.take()?);
            let name = fields.take()?;
            let device_id = DeviceId::from_bytes(fields.take()?);
            let [is_bound] = fields.take()?;
            let jkt = Thumbprint::from_bytes(fields.take()?);
            let proved_at = UnixMillis::new(u64::from_be_bytes(fields.take()?));
            let cut_seen = UnixMillis::new(u64::from_be_bytes(fields.take()?));
            let [label_len] = fields.take()?;
            let label: [u8; LABEL] = fields.take()?;
            let device_label = match label_len {
                u8::MAX => None,
                len => Some(str::from_utf8(label.get(..usize::from(len))?).ok()?.to_owned()),
            };
            Some(Self {
                first,
                stage,
                user_id,
                session_id,
                name,
                device_id,
                jkt: (is_bound == 1).then_some(jkt),
                proved_at,
                cut_seen,
                device_label,
            })
        };
        let challenge = read().ok_or(InvalidChallenge)?;
        if now < challenge.proved_at.plus(LIFE) { Ok(challenge) } else { Err(InvalidChallenge) }
    }

    /// Whether the user may still complete the sign-in: nothing has ended all sessions since.
    #[must_use]
    pub fn is_of(&self, user: &User) -> bool {
        self.user_id == user.id && self.cut_seen == user.cut_seen()
    }

    /// The device's next token, for the name that was typed. `None` if there was no password: the
    /// device has proved nothing about it.
    #[must_use]
    pub fn device_token(
        &self,
        cut_seen: UnixMillis,
        now: UnixSeconds,
        key: &TagKey,
    ) -> Option<EncodedDeviceToken> {
        let (user_id, device_id) = (self.user_id, self.device_id);
        let token = DeviceToken { user_id, device_id, issued_at: now, cut_seen };
        (self.first == FirstStep::Password).then(|| token.encode_for(&self.name, key))
    }
}

stored_hash! {
    /// What is stored of a challenge, SHA-256 of its text. The id of its session, which nobody else has
    /// seen yet, makes the text as hard to guess as a secret of 74 bits.
    ChallengeHash
}

impl ChallengeHash {
    /// The hash of a challenge's text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(sha256(text.as_bytes()))
    }
}

encoded_token! {
    /// A challenge's text on its way to the client.
    EncodedChallenge
}

impl EncodedChallenge {
    /// A text that is no challenge, for the description of the API.
    #[must_use]
    pub fn example(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> ChallengeHash {
        ChallengeHash::of(&self.0)
    }
}

fn derived(key: &TagKey) -> hmac::Key {
    key.derive(b"ratchet sign-in challenge v1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        custom_claims::CustomClaims,
        encoding::{from_base64url, to_base64url},
        user::{SessionsCut, UserStatus},
    };

    const NOW: UnixMillis = UnixMillis::new(1_780_000_000_000);

    fn key() -> TagKey {
        TagKey::new(&[7; 32])
    }

    fn ada(cut: Option<u64>) -> User {
        User {
            id: UserId::from_bytes([1; 16]),
            name: "Ada".to_owned(),
            status: UserStatus::Active,
            email_confirmed: true,
            second_factor: true,
            has_passkeys: false,
            roles: Vec::new(),
            claims: CustomClaims::default(),
            cut: cut.map(|at| SessionsCut { valid_after: UnixMillis::new(at), spared: None }),
        }
    }

    fn challenge(label: Option<&str>, jkt: Option<Thumbprint>) -> SignInChallenge {
        let device = DeviceId::from_bytes([3; 16]);
        let session = SessionId::from_bytes([2; 16]);
        SignInChallenge::new(Stage::Verify, &ada(Some(5)), "ada", device, jkt, (session, NOW))
            .labelled(label.map(str::to_owned))
    }

    fn parse(text: &str, now: UnixMillis) -> Result<SignInChallenge, InvalidChallenge> {
        SignInChallenge::parse(text, [&TagKey::new(&[8; 32]), &key()], now)
    }

    #[test]
    fn a_challenge_reads_back_as_written() {
        let longest = "x".repeat(LABEL);
        for label in [None, Some(""), Some("Laptop"), Some(&longest), Some("\u{e9}")] {
            for jkt in [None, Some(Thumbprint::from_bytes([9; 32]))] {
                for (_, first, stage) in STEPS {
                    let challenge = SignInChallenge { first, stage, ..challenge(label, jkt) };
                    assert_eq!(parse(challenge.encode(&key()).expose(), NOW), Ok(challenge));
                }
            }
        }
        assert_eq!(challenge(Some(&"x".repeat(LABEL + 1)), None).device_label, None);
    }

    #[test]
    fn it_ends_to_the_millisecond() {
        let text = challenge(None, None).encode(&key());
        let text = text.expose();
        assert!(parse(text, UnixMillis::new(NOW.get() + 299_999)).is_ok());
        assert_eq!(parse(text, UnixMillis::new(NOW.get() + 300_000)), Err(InvalidChallenge));
    }

    #[test]
    fn every_changed_bit_and_every_other_length_is_refused() {
        let text = challenge(Some("Laptop"), None).encode(&key());
        assert_eq!(format!("{text:?}"), "EncodedChallenge(..)");
        let text = text.expose();
        let bytes = from_base64url(text.strip_prefix(PREFIX).unwrap()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let forged = [PREFIX, &to_base64url(&forged)].concat();
            assert_eq!(parse(&forged, NOW), Err(InvalidChallenge), "bit {bit}");
        }
        for other in ["", PREFIX, "rt1_AAAA", &text[1..], &format!("{text}A")] {
            assert_eq!(parse(other, NOW), Err(InvalidChallenge), "{other:.20}");
        }
    }

    #[test]
    fn a_cut_of_the_sessions_ends_it() {
        let challenge = challenge(None, None);
        assert!(challenge.is_of(&ada(Some(5))));
        assert!(!challenge.is_of(&ada(Some(6))));
        assert!(!challenge.is_of(&ada(None)));
        assert!(!challenge.is_of(&User { id: UserId::from_bytes([9; 16]), ..ada(Some(5)) }));
    }

    #[test]
    fn the_device_is_known_by_the_name_that_was_typed() {
        let token = challenge(None, None).device_token(UnixMillis::new(5), NOW.seconds(), &key());
        let token = token.unwrap();
        let read = |name| DeviceToken::parse(token.expose(), name, [&key()], NOW.seconds());
        assert!(read("ADA").is_some_and(|token| token.knows(&ada(Some(5)))));
        assert_eq!(read("bob"), None);
        let by_email = challenge(None, None).after_email();
        assert!(by_email.device_token(UnixMillis::new(5), NOW.seconds(), &key()).is_none());
    }
}
