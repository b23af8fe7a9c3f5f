//! The link and the code of a message.

use std::fmt;

use ratchet_core::{
    challenge::{LetterSecrets, Purpose},
    key_ring::TagKey,
};
use zeroize::Zeroizing;

/// The secrets of a challenge, as they appear in the message.
#[derive(Default)]
pub(crate) struct Proofs {
    /// A link, or the bare token if no page is configured.
    pub(crate) link: Zeroizing<String>,
    pub(crate) is_url: bool,
    pub(crate) code: Zeroizing<String>,
}

impl Proofs {
    /// # Security
    /// The token is in the fragment of the link. Browsers do not send that to a server, so it does
    /// not appear in access logs or `Referer` headers (RFC 9110 §10.1.3).
    pub(crate) fn new(
        purpose: Purpose,
        secrets: &LetterSecrets,
        key: &TagKey,
        page: Option<&str>,
    ) -> Self {
        let token = secrets.token.encode(key);
        let link = page.map_or_else(
            || token.as_str().to_owned(),
            |page| format!("{page}#action={}&token={}", purpose.as_str(), token.as_str()),
        );
        Self {
            link: Zeroizing::new(link),
            is_url: page.is_some(),
            code: Zeroizing::new(secrets.code.expose().to_owned()),
        }
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proofs").finish_non_exhaustive()
    }
}
