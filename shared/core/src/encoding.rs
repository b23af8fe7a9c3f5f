//! base64url without padding and base64 with it (RFC 4648 §5, §4), with exactly one text for each
//! value; and SHA-256.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};

// The default configuration refuses padding bits that are not zero, so no two texts decode alike.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

/// Encodes without padding.
#[must_use]
pub fn to_base64url(bytes: &[u8]) -> String {
    BASE64URL.encode(bytes)
}

/// Decodes; `None` for anything that [`to_base64url`] would not have written.
#[must_use]
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(text).ok()
}

/// Encodes with padding, as HTTP Basic does (RFC 7617 §2).
#[must_use]
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes; `None` for anything that [`to_base64`] would not have written.
#[must_use]
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    // Both sides have 32 bytes.
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_canonical_is_refused() {
        assert_eq!(from_base64url("_w").as_deref(), Some(&[0xff][..]));
        for text in ["_x", "_w==", "/w", "_w\n", "_", "_ w"] {
            assert_eq!(from_base64url(text), None, "{text:?}");
        }
        assert_eq!(from_base64("/w==").as_deref(), Some(&[0xff][..]));
        for text in ["/w", "/x==", "_w==", "/w==\n"] {
            assert_eq!(from_base64(text), None, "{text:?}");
        }
    }
}
