//! The refresh token, version 1: `rt1_` and 84 bytes in base64url.
//!
//! ```text
//! user id (16) ‖ session id (16) ‖ generation (4, big endian) ‖ secret (32) ‖ tag (16)
//! ```
//!
//! The tag is HMAC-SHA-256 over the prefix and the 68 bytes before it, truncated to 16 bytes, under
//! the key ring's tag key. Forged tokens are refused without a database call, and genuine but old
//! ones can be distinguished from them. The secret alone proves possession; the session holds its
//! SHA-256.

use zeroize::Zeroizing;

use crate::{
    encoded_token::encoded_token,
    encoding::from_base64url,
    ids::{SessionId, UserId},
    key_ring::TagKey,
    secret::TokenSecret,
    tagged_token::{Format, TagError},
};

/// The prefix of every version 1 token. Secret scanners can search for it.
pub const PREFIX: &str = "rt1_";

const FORMAT: Format = Format::new(PREFIX, 16 + 16 + 4 + 32);

/// A genuine refresh token: one whose tag was checked, or that is about to be tagged.
#[derive(Debug)]
pub struct RefreshToken {
    /// Whose session it is.
    pub user_id: UserId,
    /// Which session it refreshes.
    pub session_id: SessionId,
    /// How many rotations the session had seen when this token was issued.
    pub generation: u32,
    /// What proves possession.
    pub secret: TokenSecret,
}

/// Why a text is not a refresh token of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RefreshTokenError {
    /// Not `rt1_` followed by 84 bytes in canonical base64url.
    #[error("the refresh token is malformed")]
    Malformed,
    /// Well-formed, but no tag key of the ring made its tag.
    #[error("the refresh token's tag is not ours")]
    Forged,
}

impl RefreshToken {
    /// The token as clients get it.
    #[must_use]
    pub fn encode(&self, key: &TagKey) -> EncodedRefreshToken {
        let fields = [
            self.user_id.as_bytes().as_slice(),
            self.session_id.as_bytes(),
            &self.generation.to_be_bytes(),
            self.secret.expose(),
        ];
        EncodedRefreshToken(FORMAT.encode(&fields, &[], key.hmac()))
    }

    /// Reads a token that a client presented and checks its tag with each of `keys`.
    ///
    /// # Errors
    /// [`RefreshTokenError`]: the text is refused without looking anything up.
    pub fn parse<'k>(
        text: &str,
        keys: impl IntoIterator<Item = &'k TagKey>,
    ) -> Result<Self, RefreshTokenError> {
        let keys = keys.into_iter().map(TagKey::hmac);
        let mut fields = FORMAT.decode(text, &[], keys).map_err(|error| match error {
            TagError::Malformed => RefreshTokenError::Malformed,
            TagError::Forged => RefreshTokenError::Forged,
        })?;
        let mut read = || {
            Some(Self {
                user_id: UserId::from_bytes(fields.take()?),
                session_id: SessionId::from_bytes(fields.take()?),
                generation: u32::from_be_bytes(fields.take()?),
                secret: TokenSecret::new(fields.take()?),
            })
        };
        read().ok_or(RefreshTokenError::Malformed)
    }
}

/// What a refresh token says about itself.
///
/// # Security
/// Nothing of it is verified. It only puts the tokens that a browser sent in an order; each of them
/// is verified before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnverifiedRefreshToken {
    /// Which session it refreshes.
    pub session_id: SessionId,
    /// How many rotations the session had seen when this token was issued.
    pub generation: u32,
}

impl UnverifiedRefreshToken {
    /// Reads a token whose tag is not checked. `None` if the text does not have the form of a
    /// token.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(from_base64url(text.strip_prefix(PREFIX)?)?);
        let (_user_id, rest) = bytes.split_first_chunk::<16>()?;
        let (session_id, rest) = rest.split_first_chunk::<16>()?;
        let (generation, rest) = rest.split_first_chunk::<4>()?;
        // The secret and the tag.
        (rest.len() == 32 + 16).then(|| Self {
            session_id: SessionId::from_bytes(*session_id),
            generation: u32::from_be_bytes(*generation),
        })
    }
}

encoded_token! {
    /// A refresh token's text on its way to the client.
    EncodedRefreshToken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encoding::{from_base64url, to_base64url};

    const TEXT: usize = FORMAT.text_len();

    fn key(byte: u8) -> TagKey {
        TagKey::new(&[byte; 32])
    }

    fn token(generation: u32, byte: u8) -> RefreshToken {
        RefreshToken {
            user_id: UserId::from_bytes([byte; 16]),
            session_id: SessionId::from_bytes([byte.wrapping_add(1); 16]),
            generation,
            secret: TokenSecret::new([byte.wrapping_add(2); 32]),
        }
    }

    proptest! {
        #[test]
        fn a_token_reads_back_as_it_was_written(generation: u32, byte: u8) {
            let text = token(generation, byte).encode(&key(7));
            let read = RefreshToken::parse(text.expose(), &[key(9), key(7)]).unwrap();
            prop_assert_eq!(read.generation, generation);
            prop_assert_eq!(read.user_id, UserId::from_bytes([byte; 16]));
            prop_assert_eq!(read.session_id, SessionId::from_bytes([byte.wrapping_add(1); 16]));
            prop_assert_eq!(read.secret.expose(), &[byte.wrapping_add(2); 32]);
            let unverified = UnverifiedRefreshToken::read(text.expose()).unwrap();
            prop_assert_eq!(unverified.session_id, read.session_id);
            prop_assert_eq!(unverified.generation, generation);
        }

        #[test]
        fn any_text_is_read_without_a_panic_and_refused(text: String) {
            prop_assert!(RefreshToken::parse(&text, &[key(7)]).is_err());
        }

        #[test]
        fn any_changed_character_is_refused(position in 0..TEXT, with in "[A-Za-z0-9_-]") {
            let text = token(3, 5).encode(&key(7)).expose().to_owned();
            let mut changed = text.clone();
            changed.replace_range(position..=position, &with);
            prop_assume!(changed != text);
            prop_assert!(RefreshToken::parse(&changed, &[key(7)]).is_err());
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let text = token(3, 5).encode(&key(7));
        let bytes = from_base64url(text.expose().strip_prefix(PREFIX).unwrap()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let text = format!("{PREFIX}{}", to_base64url(&flipped));
            assert_eq!(
                RefreshToken::parse(&text, &[key(7)]).unwrap_err(),
                RefreshTokenError::Forged,
                "bit {bit}"
            );
        }
    }

    #[test]
    fn truncated_extended_and_renamed_tokens_are_malformed() {
        let text = token(3, 5).encode(&key(7)).expose().to_owned();
        let body = &text[PREFIX.len()..];
        for other in [
            String::new(),
            text[..text.len() - 1].to_owned(),
            format!("{text}A"),
            format!("{text}="),
            format!(" {text}"),
            format!("rt2_{body}"),
            format!("RT1_{body}"),
            body.to_owned(),
        ] {
            assert_eq!(
                RefreshToken::parse(&other, &[key(7)]).unwrap_err(),
                RefreshTokenError::Malformed,
                "{other}"
            );
            assert_eq!(UnverifiedRefreshToken::read(&other), None, "{other}");
        }
        let other_case: String = text
            .chars()
            .map(|c| {
                if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
            })
            .collect();
        assert!(RefreshToken::parse(&other_case, &[key(7)]).is_err());
    }

    #[test]
    fn a_tag_of_another_ring_is_forged() {
        let text = token(3, 5).encode(&key(7));
        assert_eq!(
            RefreshToken::parse(text.expose(), &[key(8)]).unwrap_err(),
            RefreshTokenError::Forged
        );
        assert_eq!(RefreshToken::parse(text.expose(), &[]).unwrap_err(), RefreshTokenError::Forged);
    }

    #[test]
    fn nothing_prints_the_secret() {
        let token = token(3, b'x');
        let encoded = token.encode(&key(7));
        let secret = to_base64url(token.secret.expose());
        for printed in [format!("{token:?}"), format!("{encoded:?}"), format!("{:?}", key(7))] {
            assert!(!printed.contains(&secret) && !printed.contains("122"), "{printed}");
        }
        assert_eq!(format!("{encoded:?}"), "EncodedRefreshToken(..)");
    }
}
