//! Identifiers of users, sessions, letters and clients: UUIDv7 (RFC 9562 §5.7), sixteen bytes at rest.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::{Builder, Uuid};

use crate::time::UnixMillis;

/// The text is not a UUID in its hyphenated lower-case form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an id")]
pub struct MalformedId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id made at `now` from ten random bytes.
            #[must_use]
            pub const fn generate(now: UnixMillis, random: &[u8; 10]) -> Self {
                Self(Builder::from_unix_timestamp_millis(now.get(), random).into_uuid())
            }

            /// The id with these sixteen bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The sixteen bytes kept at rest.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// When the id was made: the first 48 bits of a UUIDv7 (RFC 9562 §5.7).
            #[must_use]
            pub fn created_at(&self) -> UnixMillis {
                let mut millis = [0; 8];
                for (to, from) in millis.iter_mut().skip(2).zip(self.as_bytes()) {
                    *to = *from;
                }
                UnixMillis::new(u64::from_be_bytes(millis))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            /// Reads the one canonical spelling.
            fn from_str(text: &str) -> Result<Self, MalformedId> {
                let uuid = Uuid::try_parse(text).map_err(|_| MalformedId)?;
                if uuid.as_hyphenated().to_string() == text { Ok(Self(uuid)) } else { Err(MalformedId) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

id! {
    /// A user: the `sub` of access tokens. Never reused, even if the name is.
    UserId
}

id! {
    /// A session of a user: the `sid` of access tokens.
    ///
    /// A refresh token's tag covers its session id, so [`created_at`](Self::created_at) is as
    /// trustworthy as the item itself and is known before the item is read.
    SessionId
}

id! {
    /// A letter in the outbox.
    LetterId
}

id! {
    /// A client that may introspect tokens: the `client_id` that it authenticates with.
    ClientId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_tells_when_it_was_made() {
        let now = UnixMillis::new(1_780_000_000_123);
        assert_eq!(SessionId::generate(now, &[0xff; 10]).created_at(), now);
    }

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        let id = UserId::generate(UnixMillis::new(1_780_000_000_000), &[0xab; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        let text = id.to_string();
        for other in [
            text.to_uppercase(),
            text.replace('-', ""),
            format!("{{{text}}}"),
            format!("urn:uuid:{text}"),
        ] {
            assert_eq!(other.parse::<UserId>(), Err(MalformedId), "{other}");
        }
    }
}
