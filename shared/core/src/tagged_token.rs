//! The common format of refresh, device and message tokens, and of clients' secrets: a prefix, then
//! fields of fixed length, perhaps a last one of any length, and a tag in base64url.
//!
//! ```text
//! PREFIX base64url( fields ‖ tag (16) )      tag = HMAC-SHA-256(key, PREFIX ‖ context ‖
//! fields)[..16]
//! ```
//!
//! The tag is a keyed checksum: garbage is refused without asking the database. The context is data
//! that the reader knows without the token, such as the user name it came with.

use std::borrow::Borrow;

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use zeroize::Zeroizing;

use crate::encoding::{from_base64url, to_base64url};

const TAG_LEN: usize = 16;

/// The format of one type of token.
pub(crate) struct Format {
    prefix: &'static str,
    shortest: usize,
    longest: usize,
}

/// Why a text is not a token of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagError {
    /// Another prefix or length, or not canonical base64url.
    Malformed,
    /// Well-formed, but none of the keys made its tag.
    Forged,
}

impl Format {
    pub(crate) const fn new(prefix: &'static str, fields_len: usize) -> Self {
        Self { prefix, shortest: fields_len, longest: fields_len }
    }

    /// A format whose last field has any length, so that all together have `shortest` to `longest`
    /// bytes.
    pub(crate) const fn with_rest(prefix: &'static str, shortest: usize, longest: usize) -> Self {
        Self { prefix, shortest, longest }
    }

    /// The length of the longest token of this format, in characters. If its fields have fixed lengths,
    /// all have it.
    pub(crate) const fn text_len(&self) -> usize {
        self.text_len_of(self.longest)
    }

    const fn text_len_of(&self, fields_len: usize) -> usize {
        self.prefix.len() + ((fields_len + TAG_LEN) * 4).div_ceil(3)
    }

    pub(crate) fn encode(
        &self,
        fields: &[&[u8]],
        context: &[u8],
        key: &hmac::Key,
    ) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.longest + TAG_LEN));
        for field in fields {
            bytes.extend_from_slice(field);
        }
        let tag = self.tag(key, context, &bytes);
        bytes.extend_from_slice(&tag);
        let encoded = Zeroizing::new(to_base64url(&bytes));
        Zeroizing::new([self.prefix, encoded.as_str()].concat())
    }

    /// The fields of a token that one of `keys` tagged.
    pub(crate) fn decode<K: Borrow<hmac::Key>>(
        &self,
        text: &str,
        context: &[u8],
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Fields, TagError> {
        if !(self.text_len_of(self.shortest)..=self.text_len()).contains(&text.len()) {
            return Err(TagError::Malformed);
        }
        let encoded = text.strip_prefix(self.prefix).ok_or(TagError::Malformed)?;
        let bytes = Zeroizing::new(from_base64url(encoded).ok_or(TagError::Malformed)?);
        let fields_len = bytes.len().saturating_sub(TAG_LEN);
        let (fields, presented) = bytes.split_at_checked(fields_len).ok_or(TagError::Malformed)?;
        let genuine = keys.into_iter().any(|key| {
            verify_slices_are_equal(&self.tag(key.borrow(), context, fields), presented).is_ok()
        });
        if genuine {
            Ok(Fields { bytes: Zeroizing::new(fields.to_vec()), read: 0 })
        } else {
            Err(TagError::Forged)
        }
    }

    fn tag(&self, key: &hmac::Key, context: &[u8], fields: &[u8]) -> [u8; TAG_LEN] {
        let mut hmac = hmac::Context::with_key(key);
        hmac.update(self.prefix.as_bytes());
        hmac.update(context);
        hmac.update(fields);
        let mut tag = [0; TAG_LEN];
        for (to, from) in tag.iter_mut().zip(hmac.sign().as_ref()) {
            *to = *from;
        }
        tag
    }
}

/// The fields of a genuine token, read one after the other.
pub(crate) struct Fields {
    bytes: Zeroizing<Vec<u8>>,
    read: usize,
}

impl Fields {
    /// The next `N` bytes; `None` beyond the end.
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let field = *self.bytes.get(self.read..)?.first_chunk()?;
        self.read += N;
        Some(field)
    }

    /// Everything after the fields that were read.
    pub(crate) fn rest(&self) -> &[u8] {
        self.bytes.get(self.read..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Format = Format::new("tt1_", 3);

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    #[test]
    fn fields_read_back_in_order_and_end_where_they_end() {
        let text = FORMAT.encode(&[&[1, 2], &[3]], b"context", &key(7));
        let mut fields = FORMAT.decode(&text, b"context", [key(8), key(7)]).unwrap();
        assert_eq!(fields.take(), Some([1, 2]));
        assert_eq!(fields.take(), Some([3]));
        assert_eq!(fields.take::<1>(), None);
    }

    #[test]
    fn a_last_field_may_have_any_length_within_the_limits() {
        const OPEN: Format = Format::with_rest("tt2_", 2, 5);
        for rest in [&[][..], &[3], &[3, 4, 5]] {
            let text = OPEN.encode(&[&[1, 2], rest], b"", &key(7));
            let mut fields = OPEN.decode(&text, b"", [key(7)]).unwrap();
            assert_eq!((fields.take(), fields.rest()), (Some([1, 2]), rest));
        }
        for outside in [&[1][..], &[1, 2, 3, 4, 5, 6]] {
            let text = OPEN.encode(&[outside], b"", &key(7));
            assert_eq!(OPEN.decode(&text, b"", [key(7)]).err(), Some(TagError::Malformed));
        }
    }

    #[test]
    fn the_tag_is_over_prefix_context_and_fields() {
        let text = FORMAT.encode(&[&[1, 2, 3]], b"context", &key(7));
        let error = |format: &Format, text: &str, context: &[u8], key| {
            format.decode(text, context, [key]).err()
        };
        assert_eq!(error(&FORMAT, &text, b"context", key(7)), None);
        assert_eq!(error(&FORMAT, &text, b"other", key(7)), Some(TagError::Forged));
        assert_eq!(error(&FORMAT, &text, b"context", key(8)), Some(TagError::Forged));
        let renamed = text.replacen("tt1_", "xx1_", 1);
        let other = Format::new("xx1_", 3);
        assert_eq!(error(&other, &renamed, b"context", key(7)), Some(TagError::Forged));
        assert_eq!(error(&FORMAT, &renamed, b"context", key(7)), Some(TagError::Malformed));
        let longer = format!("{}A", text.as_str());
        assert_eq!(error(&FORMAT, &longer, b"context", key(7)), Some(TagError::Malformed));
    }
}
