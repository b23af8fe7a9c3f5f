//! Confidential request fields.

use std::{fmt, ops::Deref};

use serde::Deserialize;
use zeroize::Zeroizing;

/// A password, token, code or address in a request.
///
/// # Security
/// Prints as a placeholder and is wiped when dropped.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Private(Zeroizing<String>);

impl Deref for Private {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_from_a_string_and_does_not_print_it() {
        let private: Private = serde_json::from_str(r#""canary""#).unwrap();
        assert_eq!(&*private, "canary");
        assert_eq!(format!("{private:?}"), "Private(..)");
    }
}
