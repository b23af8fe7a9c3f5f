//! Passkeys (WebAuthn level 3): which ones a user has, and what each change does to them.
//!
//! What authenticators sign is verified in `ratchet-webauthn`. A credential is an opaque text here.

mod ceremony;

use std::time::Duration;

pub use self::ceremony::{Ceremony, EncodedCeremony, InvalidCeremony, PREFIX, Purpose};
use crate::{
    encoding::{from_base64url, sha256, to_base64url},
    time::UnixMillis,
};

/// The most passkeys of one user.
pub const MAX_PASSKEYS: usize = 20;

/// How long an authenticator has to answer.
///
/// The same as for a sign-in's challenge: an ended session stays in the table for longer, so that
/// neither leads to it again.
pub const CEREMONY_LIFE: Duration = crate::second_factor::LIFE;

/// Names a passkey: SHA-256 of its credential's id, which can be long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PasskeyId([u8; 32]);

impl PasskeyId {
    /// Of a credential's id.
    #[must_use]
    pub fn of(credential_id: &[u8]) -> Self {
        Self(sha256(credential_id))
    }
}

/// The text is not the id of a passkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a passkey")]
pub struct MalformedPasskeyId;

impl std::str::FromStr for PasskeyId {
    type Err = MalformedPasskeyId;

    /// Reads the one spelling that items and paths have.
    fn from_str(text: &str) -> Result<Self, MalformedPasskeyId> {
        let bytes = from_base64url(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(MalformedPasskeyId)
    }
}

impl std::fmt::Display for PasskeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&to_base64url(&self.0))
    }
}

/// A passkey of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// Its id.
    pub id: PasskeyId,
    /// What the user calls it.
    pub name: PasskeyName,
    /// The public key and everything else that the next signature is verified with.
    pub credential: String,
    /// Whether the user's devices share it, or a backup has it.
    pub backed_up: bool,
    /// When it was added.
    pub created_at: UnixMillis,
    /// When somebody signed in with it.
    pub last_used_at: Option<UnixMillis>,
    /// The ceremony that added it.
    pub ceremony: [u8; 16],
}

/// What a user calls a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyName(String);

/// The text is empty, too long, or has control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name of a passkey has 1 to {} bytes and no control characters", PasskeyName::MAX_BYTES)]
pub struct InvalidPasskeyName;

impl PasskeyName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Reads a name.
    ///
    /// # Errors
    /// [`InvalidPasskeyName`].
    pub fn parse(text: &str) -> Result<Self, InvalidPasskeyName> {
        let text = text.trim();
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPasskeyName)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// All passkeys of a user.
///
/// They are one item. Each change writes it as a whole, if its revision is still the one that was read.
/// So changes of the same moment happen one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Passkeys {
    /// Grows with each change. Zero if the item does not exist. The first one is the time of the first
    /// passkey in milliseconds, so that no revision comes again after the item was deleted.
    pub revision: u64,
    /// The passkeys, the oldest first.
    pub all: Vec<Passkey>,
}

/// What adding a passkey leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// The passkeys are to be written.
    Write(Passkeys),
    /// The same ceremony has added it already: the answer was lost.
    Already(Passkey),
    /// Another ceremony has added it before.
    Exists,
    /// The ceremony has added another one.
    Spent,
    /// The user has too many.
    TooMany,
}

impl Passkeys {
    /// The passkey with this id.
    #[must_use]
    pub fn find(&self, id: PasskeyId) -> Option<&Passkey> {
        self.all.iter().find(|passkey| passkey.id == id)
    }

    /// Adds a passkey.
    ///
    /// # Security
    /// A ceremony stands for a password that was proved, so it adds one passkey. Removing a passkey
    /// also ends the user's sessions, so ceremonies that began earlier are invalid.
    #[must_use]
    pub fn add(&self, new: Passkey) -> Added {
        match self.find(new.id) {
            Some(found) if found.ceremony == new.ceremony => Added::Already(found.clone()),
            Some(_) => Added::Exists,
            None if self.all.iter().any(|it| it.ceremony == new.ceremony) => Added::Spent,
            None if self.all.len() >= MAX_PASSKEYS => Added::TooMany,
            None => {
                let first = if self.revision == 0 { new.created_at.get() } else { 0 };
                let all = self.all.iter().cloned().chain([new]).collect();
                let Self { revision, all } = self.changed(all);
                Added::Write(Self { revision: revision.max(first), all })
            }
        }
    }

    /// Renames a passkey. `None` if there is none with this id.
    #[must_use]
    pub fn rename(&self, id: PasskeyId, name: &PasskeyName) -> Option<Self> {
        self.find(id)?;
        let renamed = |it: &Passkey| Passkey { name: name.clone(), ..it.clone() };
        Some(self.with(id, renamed))
    }

    /// Removes a passkey. `None` if there is none with this id.
    #[must_use]
    pub fn remove(&self, id: PasskeyId) -> Option<Self> {
        self.find(id)?;
        let others = self.all.iter().filter(|passkey| passkey.id != id);
        Some(self.changed(others.cloned().collect()))
    }

    /// Notes that somebody signed in with a passkey, whose credential may have changed: its counter
    /// counts signatures. `None` if there is none with this id.
    #[must_use]
    pub fn used(
        &self,
        id: PasskeyId,
        credential: Option<&str>,
        backed_up: bool,
        now: UnixMillis,
    ) -> Option<Self> {
        self.find(id)?;
        Some(self.with(id, |it| Passkey {
            credential: credential.unwrap_or(&it.credential).to_owned(),
            backed_up,
            last_used_at: Some(now),
            ..it.clone()
        }))
    }

    fn with(&self, id: PasskeyId, change: impl Fn(&Passkey) -> Passkey) -> Self {
        let all = self.all.iter();
        self.changed(all.map(|it| if it.id == id { change(it) } else { it.clone() }).collect())
    }

    const fn changed(&self, all: Vec<Passkey>) -> Self {
        Self { revision: self.revision.saturating_add(1), all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_780_000_000_000);

    fn passkey(number: u8, ceremony: u8) -> Passkey {
        Passkey {
            id: PasskeyId::of(&[number]),
            name: PasskeyName::parse("Phone").unwrap(),
            credential: format!("credential {number}"),
            backed_up: false,
            created_at: NOW,
            last_used_at: None,
            ceremony: [ceremony; 16],
        }
    }

    fn with(numbers: impl IntoIterator<Item = u8>) -> Passkeys {
        numbers.into_iter().fold(Passkeys::default(), |passkeys, number| {
            match passkeys.add(passkey(number, number)) {
                Added::Write(passkeys) => passkeys,
                other => panic!("{other:?}"),
            }
        })
    }

    #[test]
    fn a_ceremony_adds_one_passkey() {
        let passkeys = with([1, 2]);
        assert_eq!(passkeys.revision, NOW.get() + 1);
        assert_eq!(passkeys.add(passkey(3, 2)), Added::Spent);
    }

    #[test]
    fn the_same_request_again_finds_that_it_is_done() {
        let renamed = Passkey { name: PasskeyName::parse("Other").unwrap(), ..passkey(2, 2) };
        assert_eq!(with([1, 2]).add(renamed), Added::Already(passkey(2, 2)));
    }

    #[test]
    fn a_credential_is_added_once() {
        assert_eq!(with([1, 2]).add(passkey(2, 9)), Added::Exists);
    }

    #[test]
    fn there_are_at_most_twenty() {
        let most = with(1..=20);
        assert_eq!(most.add(passkey(21, 21)), Added::TooMany);
        let fewer = most.remove(PasskeyId::of(&[7])).unwrap();
        assert!(matches!(fewer.add(passkey(21, 21)), Added::Write(_)));
    }

    #[test]
    fn a_change_is_of_one_passkey_and_counts() {
        let before = with([1, 2]);
        let id = PasskeyId::of(&[1]);
        let name = PasskeyName::parse("Key ring").unwrap();
        let renamed = before.rename(id, &name).unwrap();
        assert_eq!(renamed.find(id).unwrap().name, name);
        let used = before.used(id, Some("counted"), true, NOW).unwrap();
        let expected = Passkey {
            credential: "counted".to_owned(),
            backed_up: true,
            last_used_at: Some(NOW),
            ..passkey(1, 1)
        };
        assert_eq!(used.find(id), Some(&expected));
        assert_eq!(before.used(id, None, false, NOW).unwrap().all[0].credential, "credential 1");
        let removed = before.remove(id).unwrap();
        assert_eq!(removed.find(id), None);
        for after in [renamed, used, removed] {
            assert_eq!(after.revision, NOW.get() + 2);
            assert_eq!(after.all.last(), before.all.last());
        }
    }

    #[test]
    fn nothing_is_done_to_a_passkey_that_is_not_there() {
        let (passkeys, id) = (with([1]), PasskeyId::of(&[9]));
        assert_eq!(passkeys.rename(id, &PasskeyName::parse("x").unwrap()), None);
        assert_eq!(passkeys.remove(id), None);
        assert_eq!(passkeys.used(id, None, false, NOW), None);
    }

    #[test]
    fn names_and_ids_are_read_strictly() {
        assert_eq!(PasskeyName::parse("  My phone ").unwrap().as_str(), "My phone");
        for bad in ["", "  ", "a\u{7}", &"x".repeat(65)] {
            assert_eq!(PasskeyName::parse(bad), Err(InvalidPasskeyName));
        }
        let id = PasskeyId::of(b"credential");
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "AAAA", &format!("{id}A")] {
            assert_eq!(bad.parse::<PasskeyId>(), Err(MalformedPasskeyId));
        }
    }
}
