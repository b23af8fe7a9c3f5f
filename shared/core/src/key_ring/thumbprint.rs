//! JWK thumbprints (RFC 7638).

use zeroize::Zeroizing;

use crate::encoding::{sha256, to_base64url};

/// The thumbprint of a key with these required members, in alphabetical order.
pub(super) fn of(members: Vec<(&'static str, String)>) -> String {
    let mut canonical = Zeroizing::new(String::from("{"));
    for (name, value) in members {
        let value = Zeroizing::new(value);
        if canonical.len() > 1 {
            canonical.push(',');
        }
        // The values are base64url or names of ours: nothing in them needs an escape.
        for part in ["\"", name, "\":\"", value.as_str(), "\""] {
            canonical.push_str(part);
        }
    }
    canonical.push('}');
    to_base64url(&sha256(canonical.as_bytes()))
}
